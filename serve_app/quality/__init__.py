"""Judging an edit: checks on pixels, the table of which decide, report and verdict."""
