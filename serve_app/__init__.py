"""Qwen Edit Serve: batched, validated image editing on Ray Serve."""

__version__ = "0.1.0"
