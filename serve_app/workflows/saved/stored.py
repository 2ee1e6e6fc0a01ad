"""A saved workflow with its name and version, as it is stored and shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serve_app.workflows.jobs.job import shown_time
from serve_app.workflows.saved.document import WorkflowDocument


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """One version of a workflow; versions count from 1. ``created_at`` in seconds since 1970."""

    name: str
    version: int
    created_at: float
    document: WorkflowDocument

    def to_json(self) -> dict[str, Any]:
        """As users see it."""
        created_at = shown_time(self.created_at)
        named = {"name": self.name, "version": self.version, "created_at": created_at}
        return named | self.document.to_json()


@dataclass(frozen=True, slots=True)
class WorkflowOverview:
    """A line of the list of workflows: the latest version, and which there are, in order."""

    name: str
    created_at: float
    description: str | None
    versions: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As users see it."""
        return {
            "name": self.name,
            "version": self.versions[-1],
            "versions": list(self.versions),
            "created_at": shown_time(self.created_at),
            "description": self.description,
        }
