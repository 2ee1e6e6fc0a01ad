"""The databases that jobs are tested with, for the table beside theirs, and jobs themselves."""

from tests.workflows.jobs.conftest import database, jobs, postgres

__all__ = ["database", "jobs", "postgres"]
