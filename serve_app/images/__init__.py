"""Bytes to pixels and back: limits, decoding, encoding, geometry."""
