"""The parts a workflow calls. In one process they are the parts themselves, on Ray handles."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from serve_app.edits.job import EditedImage, EditJob, EditorEvent
from serve_app.edits.model import ModelDescription
from serve_app.edits.planning import EditPlan
from serve_app.edits.question import Question, Reply
from serve_app.edits.result import EditEvent, EditOutcome, EditResult
from serve_app.errors import EditServiceError, Quarantined
from serve_app.quality.annotation import Judged
from serve_app.quality.case import Case
from serve_app.quality.repair import Mended
from serve_app.storage.shared_cache import Claim
from serve_app.storage.single_flight import Lease

EventSink = Callable[[EditEvent], None]
"""Takes an event of a running edit; must not block."""


class Editor(Protocol):
    """Runs one attempt; cancelling the awaiting task withdraws it."""

    async def describe(self) -> ModelDescription: ...

    async def edit(self, job: EditJob) -> EditedImage: ...

    def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]: ...

    async def ask(self, question: Question) -> Reply:
        """Put a question to the text encoder; raises ``NoAnswer`` if it has none."""

    async def check(self) -> None:
        """Raise ``NotReady`` unless a warm editor answers."""


class Judge(Protocol):
    """Judges one attempt."""

    async def mend(self, case: Case) -> Mended:
        """Judge, repair what can be, and judge again."""

    async def judge(self, case: Case, picture: bool) -> Judged:
        """Judge, and draw what was found if ``picture``."""


class Cache(Protocol):
    """The shared cache; raises ``NotReady`` where it can't be reached."""

    async def claim(self, key: str) -> Claim: ...

    async def fulfil(self, lease: Lease, result: EditResult) -> None: ...

    async def refuse(self, lease: Lease, error: EditServiceError) -> None: ...

    async def replace(self, key: str, result: EditResult) -> None: ...

    async def forget(self, key: str) -> None: ...

    async def renew(self, lease: Lease) -> bool: ...

    async def abandon(self, lease: Lease) -> None: ...

    async def quarantine(self, key: str, refusal: Quarantined) -> None: ...

    async def quarantined(self, key: str) -> Quarantined | None: ...


class Results(Protocol):
    """Keeps finished edits."""

    async def put(self, result: EditResult) -> None:
        """Keep ``result``; raises ``NotReady`` where that can't be done."""


class Router(Protocol):
    """Runs planned edits."""

    async def describe(self) -> ModelDescription: ...

    async def check(self) -> None: ...

    async def ask(self, question: Question) -> Reply: ...

    async def forget(self, key: str) -> None:
        """Let no later request be answered with the cached result of ``key``."""

    async def run(self, plan: EditPlan) -> EditOutcome: ...

    def stream(self, plan: EditPlan, partial_images: int) -> AsyncGenerator[EditEvent, None]: ...
