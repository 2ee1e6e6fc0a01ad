"""What was accepted as a job: ids and parameters, from which it can be run at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from serve_app.edits.request import DEFAULT_PRIORITY
from serve_app.workflows.brand_sets.plan import BrandSet, Framing


class JobKind(StrEnum):
    """Which workflow a job runs."""

    EDIT = "edit"  # one edit, or many that don't depend on each other
    CHAIN = "chain"  # each step edits what the one before it made
    VARIANTS = "variants"  # one picture, edited in several ways that are to be compared
    BRAND_SET = "brand_set"  # one picture, several variations, each in all formats


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
    ``edits.recorded.recorded_request``. ``hypothesis`` is what a variant is expected to do.
    ``framing`` is the shape that the first image is brought to before.
    """

    parameters: dict[str, Any]
    images: tuple[str, ...] = ()
    mask: str | None = None
    description: str | None = None
    name: str | None = None
    source: int | None = None
    hypothesis: str | None = None
    framing: Framing | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> StepPlan:
        """The inverse of ``dataclasses.asdict``, after a way through JSON."""
        framing = stored.get("framing")
        return cls(
            **{
                **stored,
                "images": tuple(stored["images"]),
                "framing": None if framing is None else Framing.from_json(framing),
            }
        )


@dataclass(frozen=True, slots=True)
class JobPlan:
    """Everything that was accepted; made of ids and parameters, as JSON it is short.

    ``images`` are what the job begins with, unless each step has its own. ``at_once`` bounds how
    many steps run together, where they don't build on each other. ``deadline_s`` counts from the
    acceptance. ``partial_images`` is the number of previews per step. With ``repair_drift`` a
    chain's results are laid back over its first image. ``success_metric`` is what variants are
    compared by.
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
    repair_drift: bool = False
    success_metric: str | None = None
    brand_set: BrandSet | None = None

    @property
    def inputs(self) -> set[str]:
        """Ids of all files that the job needs."""
        named = {image for step in self.steps for image in step.images}
        masks = {step.mask for step in self.steps if step.mask}
        return named | set(self.images) | masks | self._logo

    @property
    def _logo(self) -> set[str]:
        logo = None if self.brand_set is None else self.brand_set.brand.logo
        return set() if logo is None else {one for one in (logo.image, logo.opacity) if one}

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
        own: dict[str, Any] = {"kind": str(self.kind)}
        for name in ("label", "user", "priority", "deadline_s", "partial_images", "webhook"):
            own[name] = getattr(self, name)
        if self.kind is not JobKind.EDIT:
            own["image"] = _one_or_list(self.images)
        if self.kind is not JobKind.CHAIN:
            own["concurrency"] = self.at_once
        match self.kind:
            case JobKind.EDIT:
                own["items"] = [self._step_specification(step) for step in self.steps]
            case JobKind.CHAIN:
                own["on_failure"] = str(self.on_failure)
                own["repair_drift"] = self.repair_drift
                own["steps"] = [self._step_specification(step) for step in self.steps]
            case JobKind.VARIANTS:
                own["success_metric"] = self.success_metric
                own["variants"] = {step.name: self._variant(step) for step in self.steps}
            case JobKind.BRAND_SET if self.brand_set is not None:
                own |= self.brand_set.specification
        return {name: value for name, value in own.items() if value is not None}

    def _variant(self, step: StepPlan) -> dict[str, Any]:
        variant = self._step_specification(step)
        del variant["name"]
        return variant

    def _step_specification(self, step: StepPlan) -> dict[str, Any]:
        own = {
            "name": step.name,
            "description": step.description,
            "hypothesis": step.hypothesis,
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
        brand_set = stored.get("brand_set")
        return cls(
            **{
                **stored,
                "kind": JobKind(stored["kind"]),
                "on_failure": OnFailure(stored["on_failure"]),
                "images": tuple(stored["images"]),
                "steps": tuple(StepPlan.from_json(step) for step in stored["steps"]),
                "brand_set": None if brand_set is None else BrandSet.from_json(brand_set),
            }
        )

    def with_later_steps(self, steps: Sequence[StepPlan], first: int) -> JobPlan:
        """This plan with ``steps`` from index ``first`` on."""
        return replace(self, steps=(*self.steps[:first], *steps))


def _one_or_list(images: Sequence[str]) -> str | list[str]:
    return images[0] if len(images) == 1 else list(images)
