"""A tiny Qwen-Image-Edit of the same architecture, made here instead of downloaded."""
