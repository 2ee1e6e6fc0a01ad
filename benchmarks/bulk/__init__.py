"""Bulk runs: their pace, their memory, what kills cost them, and a million rows."""
