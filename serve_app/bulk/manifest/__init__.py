"""The manifest of a bulk run: what is to be edited, and how, read and checked."""
