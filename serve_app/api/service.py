"""What the HTTP surface needs from the service behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol

from serve_app.edits.model import ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import EditRequest
from serve_app.edits.result import EditEvent, EditOutcome
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.workflows.jobs.again import Fork
from serve_app.workflows.jobs.events import JobEvent
from serve_app.workflows.jobs.idempotency import IdempotencyKey
from serve_app.workflows.jobs.job import Job
from serve_app.workflows.jobs.listing import JobPage, JobQuery
from serve_app.workflows.jobs.outputs import JobOutputs
from serve_app.workflows.jobs.plan import JobPlan
from serve_app.workflows.saved.document import WorkflowDocument
from serve_app.workflows.saved.stored import StoredWorkflow, WorkflowOverview


class EditService(Protocol):
    """Runs edits. Cancelling the awaiting task withdraws the edit."""

    async def edit(self, request: EditRequest) -> EditOutcome:
        """Run ``request`` to its end and return the result with its verdict."""

    def stream(self, request: EditRequest, partial_images: int) -> AsyncGenerator[EditEvent, None]:
        """Run ``request``, yielding progress, up to ``partial_images`` previews, the outcome."""

    async def validate(self, case: Case, picture: bool) -> Judged:
        """Judge an edit, whoever made it, and draw what was found if ``picture``."""

    async def ask(self, question: Question) -> Reply:
        """Put a question to the model; raises ``NoAnswer`` if it has none, or none in time."""

    async def model(self) -> ModelDescription:
        """Describe the model the editors run; raises ``NotReady`` while there is none."""

    async def ready(self) -> bool:
        """Whether a warm editor answers."""


class Jobs(Protocol):
    """Durable jobs, as ``workflows.jobs.service.JobService`` runs them."""

    async def submit(self, plan: JobPlan, key: IdempotencyKey | None) -> Job: ...

    async def get(self, job_id: str) -> Job: ...

    async def page(self, query: JobQuery) -> JobPage: ...

    def events(self, job_id: str, last_id: int) -> AsyncGenerator[JobEvent, None]: ...

    async def cancel(self, job_id: str) -> Job: ...

    async def retry(self, job_id: str) -> Job: ...

    async def fork(self, job_id: str, fork: Fork, key: IdempotencyKey | None) -> Job: ...

    async def delete(self, job_id: str) -> None: ...

    async def outputs(self, job_id: str) -> JobOutputs: ...

    async def keep_analysis(self, job_id: str, analysis: dict[str, Any]) -> None: ...

    async def analyses(self, job_id: str) -> list[dict[str, Any]]: ...


class Workflows(Protocol):
    """Saved workflows, as ``workflows.saved.shelf.Shelf`` keeps them."""

    async def put(self, name: str, document: WorkflowDocument) -> tuple[StoredWorkflow, bool]: ...

    async def get(self, name: str, version: int | None) -> StoredWorkflow: ...

    async def overviews(self) -> list[WorkflowOverview]: ...

    async def erase(self, name: str) -> None: ...


class Monitor(Protocol):
    """Tells how the service is doing, as ``monitoring.monitor.ServiceMonitor`` does."""

    async def summary(self) -> dict[str, Any]:
        """The last hour as JSON; raises ``NotReady`` while the monitor is away."""
