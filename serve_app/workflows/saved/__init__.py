"""Saved workflows: jobs with parameters in them, kept by name and version and run again."""
