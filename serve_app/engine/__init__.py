"""The diffusion engine: step-level batching over the stock Qwen-Image transformer."""
