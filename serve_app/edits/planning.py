"""From a request to a plan: the edit type, every parameter, the seed, the content key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, TypeVar

from serve_app.config import ServiceConfig, TypeParameters
from serve_app.edits.classification import Classification, classify
from serve_app.edits.content_key import (
    attempt_seed,
    content_key,
    derived_seed,
    normalise_prompt,
)
from serve_app.edits.job import EditJob
from serve_app.edits.model import ModelDescription
from serve_app.edits.request import EditRequest, EditType

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EditPlan:
    """A request with everything decided; ``key`` names its result in the cache.

    ``reason`` says in plain words why ``edit_type`` was chosen. ``seed`` is that of the
    first attempt.
    """

    key: str
    request: EditRequest
    prompt: str
    negative_prompt: str
    edit_type: EditType
    reason: str
    true_cfg_scale: float
    num_inference_steps: int
    seed: int
    max_attempts: int

    def seed_of(self, attempt: int) -> int:
        """The seed of an attempt, counted from 1."""
        return attempt_seed(self.seed, attempt)

    def job(self, attempt: int, partial_images: int = 0) -> EditJob:
        """What the editor is given for one attempt."""
        return EditJob(
            images=tuple(image.pixels for image in self.request.images),
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            true_cfg_scale=self.true_cfg_scale,
            num_inference_steps=self.num_inference_steps,
            seed=self.seed_of(attempt),
            size=self.request.size,
            partial_images=partial_images,
        )

    def to_json(self) -> dict[str, Any]:
        """What was decided, for the result's record."""
        return {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "edit_type": str(self.edit_type),
            "edit_type_reason": self.reason,
            "true_cfg_scale": self.true_cfg_scale,
            "num_inference_steps": self.num_inference_steps,
            "seed": self.seed,
            "max_attempts": self.max_attempts,
        }


class Planner:
    """Plans edits for one model under one configuration; pure but for random seeds."""

    def __init__(self, config: ServiceConfig, model: ModelDescription) -> None:
        self._planning = config.planning
        # Whatever else changes a result: weights, canvases, and the judgement that decides
        # which attempt is kept.
        self._surroundings = {
            "model": [model.name, model.revision, model.dtype],
            "canvas": [config.model.vae_area, config.model.condition_area],
            "quality": config.quality.model_dump(mode="json"),
        }

    def plan(self, request: EditRequest) -> EditPlan:
        """Decide everything that ``request`` leaves open."""
        prompt = normalise_prompt(request.prompt)
        kind = self._classify(request, prompt)
        defaults: TypeParameters = getattr(self._planning.edit_types, kind.edit_type.value)
        negative_prompt = _first(request.negative_prompt, defaults.negative_prompt)
        scale = _first(
            request.true_cfg_scale, self._planning.true_cfg_scale, defaults.true_cfg_scale
        )
        steps = _first(
            request.num_inference_steps,
            self._planning.num_inference_steps,
            defaults.num_inference_steps,
        )
        max_attempts = _first(request.max_attempts, self._planning.max_attempts)
        facts = {
            **self._surroundings,
            "images": [image.id for image in request.images],
            "prompt": prompt,
            "negative_prompt": negative_prompt,
            "edit_type": kind.edit_type.value,
            "true_cfg_scale": float(scale),
            "num_inference_steps": steps,
            "size": str(request.size),
            "max_attempts": max_attempts,
        }
        seed = _seed(request, facts)
        return EditPlan(
            key=content_key({**facts, "seed": seed}),
            request=request,
            prompt=prompt,
            negative_prompt=negative_prompt,
            edit_type=kind.edit_type,
            reason=kind.reason,
            true_cfg_scale=float(scale),
            num_inference_steps=steps,
            seed=seed,
            max_attempts=max_attempts,
        )

    @staticmethod
    def _classify(request: EditRequest, prompt: str) -> Classification:
        if request.edit_type == "auto":
            return classify(prompt)
        return Classification(request.edit_type, "The request names the edit type.")


def _seed(request: EditRequest, facts: dict[str, Any]) -> int:
    if request.seed == "random":
        return secrets.randbits(32)
    if request.seed is None:
        return derived_seed(content_key(facts), request.variation)
    return request.seed


def _first(*choices: T | None) -> T:
    """The first choice that is made; the last always is."""
    return next(choice for choice in choices if choice is not None)
