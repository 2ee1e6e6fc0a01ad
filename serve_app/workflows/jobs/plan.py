"""What was accepted as a job: ids and parameters, from which it can be run at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from serve_app.edits.request import DEFAULT_PRIORITY


class JobKind(StrEnum):
    """Which workflow a job runs."""

    EDIT = "edit"  # one edit, or many that don't depend on each other
    CHAIN = "chain"  # each step edits what the one before it made


class OnFailure(StrEnum):
    """What a chain does after a step that failed or whose result was rejected."""

    STOP = "stop"  # the job fails there
    SKIP = "skip"  # the next step edits the last accepted result
    KEEP_BEST = "keep_best"  # the job ends there, and succeeds with the last accepted result


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One edit of a job: ids and parameters, never pixels.

    Without ``images`` it edits the result of the earlier step ``source``, by default the last
    accepted one. ``mask`` is a file id. ``parameters`` are those of
    ``edits.recorded.recorded_request``.
    """

    parameters: dict[str, Any]
    images: tuple[str, ...] = ()
    mask: str | None = None
    description: str | None = None
    name: str | None = None
    source: int | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> StepPlan:
        """The inverse of ``dataclasses.asdict``, after a way through JSON."""
        return cls(**{**stored, "images": tuple(stored["images"])})


@dataclass(frozen=True, slots=True)
class JobPlan:
    """Everything that was accepted; made of ids and parameters, as JSON it is short.

    ``images`` are what a chain begins with. ``at_once`` bounds how many steps of an ``edit``
    job run together. ``deadline_s`` counts from the acceptance. ``partial_images`` is the number
    of previews per step.
    """

    kind: JobKind
    steps: tuple[StepPlan, ...]
    images: tuple[str, ...] = ()
    on_failure: OnFailure = OnFailure.STOP
    at_once: int = 4
    label: str | None = None
    user: str | None = None
    priority: int = DEFAULT_PRIORITY
    deadline_s: float | None = None
    partial_images: int = 0
    webhook: str | None = None

    @property
    def inputs(self) -> set[str]:
        """Ids of all files that the job needs."""
        named = {image for step in self.steps for image in step.images}
        return named | set(self.images) | {step.mask for step in self.steps if step.mask}

    @property
    def webhook_to_tell(self) -> dict[str, Any] | None:
        """How far the delivery of the webhook is, before the job has ended."""
        return None if self.webhook is None else {"url": self.webhook, "state": "waiting"}

    def deadline_from(self, moment: float) -> float | None:
        """When the job must be done that begins to count at ``moment``, seconds since 1970."""
        return None if self.deadline_s is None else moment + self.deadline_s

    @property
    def specification(self) -> dict[str, Any]:
        """What was asked for, as it may be submitted again; images as ids, a matrix as items."""
        steps = "items" if self.kind is JobKind.EDIT else "steps"
        own: dict[str, Any] = {"kind": str(self.kind)}
        match self.kind:
            case JobKind.EDIT:
                own["concurrency"] = self.at_once
            case JobKind.CHAIN:
                own |= {"image": _one_or_list(self.images), "on_failure": str(self.on_failure)}
        for name in ("label", "user", "priority", "deadline_s", "partial_images", "webhook"):
            own[name] = getattr(self, name)
        own[steps] = [self._step_specification(step) for step in self.steps]
        return {name: value for name, value in own.items() if value is not None}

    def _step_specification(self, step: StepPlan) -> dict[str, Any]:
        own = {
            "name": step.name,
            "description": step.description,
            "image": _one_or_list(step.images) if step.images else None,
            "mask": step.mask,
            "input": None if step.source is None else self.steps[step.source].name,
        }
        return {name: value for name, value in own.items() if value is not None} | step.parameters

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> JobPlan:
        """The inverse of ``to_json``, after a way through JSON."""
        return cls(
            **{
                **stored,
                "kind": JobKind(stored["kind"]),
                "on_failure": OnFailure(stored["on_failure"]),
                "images": tuple(stored["images"]),
                "steps": tuple(StepPlan.from_json(step) for step in stored["steps"]),
            }
        )

    def with_later_steps(self, steps: Sequence[StepPlan], first: int) -> JobPlan:
        """This plan with ``steps`` from index ``first`` on."""
        return replace(self, steps=(*self.steps[:first], *steps))


def _one_or_list(images: Sequence[str]) -> str | list[str]:
    return images[0] if len(images) == 1 else list(images)
