"""Bulk runs: a manifest of edits on Ray Data, each row committed on its own."""
