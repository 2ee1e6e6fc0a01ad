"""The HTTP surface: a FastAPI application made by a pure factory, without Ray or torch."""
