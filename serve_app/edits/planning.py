"""From a request to a plan: the edit type, every parameter, the seed, the content key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
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
from serve_app.edits.model import AdapterDescription, ModelDescription
from serve_app.edits.request import EditRequest, EditType, LoraUse

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EditPlan:
    """A request with everything decided; ``key`` names its result in the cache.

    ``reason`` says in plain words why ``edit_type`` was chosen. ``seed`` is that of the
    first attempt. ``adapter`` is the one that ``request.lora`` names.
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
    adapter: AdapterDescription | None = None

    def seed_of(self, attempt: int) -> int:
        """The seed of an attempt, counted from 1."""
        return attempt_seed(self.seed, attempt)

    def job(
        self, attempt: int, partial_images: int = 0, deadline_s: float | None = None
    ) -> EditJob:
        """What the editor is given for one attempt.

        ``deadline_s`` is what is left of the request's own, which by default is all of it.
        """
        request = self.request
        return EditJob(
            images=tuple(image.pixels for image in request.images),
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            true_cfg_scale=self.true_cfg_scale,
            num_inference_steps=self.num_inference_steps,
            seed=self.seed_of(attempt),
            size=request.size,
            partial_images=partial_images,
            mask=None if request.mask is None else request.mask.editable,
            lora=self._lora(),
            priority=request.priority,
            deadline_s=request.deadline_s if deadline_s is None else deadline_s,
            tenant=request.user or "",
            subject_id=request.images[0].id,
        )

    def _lora(self) -> LoraUse | None:
        if self.request.lora is None or self.adapter is None:
            return None
        return replace(self.request.lora, revision=self.adapter.revision)

    def to_json(self) -> dict[str, Any]:
        """What was decided, for the result's record."""
        decided: dict[str, Any] = {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "edit_type": str(self.edit_type),
            "edit_type_reason": self.reason,
            "true_cfg_scale": self.true_cfg_scale,
            "num_inference_steps": self.num_inference_steps,
            "seed": self.seed,
            "max_attempts": self.max_attempts,
        }
        if self.adapter is not None:
            decided["adapter"] = {"name": self.adapter.name, "revision": self.adapter.revision}
        return decided


class Planner:
    """Plans edits for one model under one configuration; pure but for random seeds."""

    def __init__(self, config: ServiceConfig, model: ModelDescription) -> None:
        self._planning = config.planning
        self._model = model
        # Whatever else changes a result: weights, canvases, and the judgement that decides
        # which attempt is kept.
        self._surroundings = {
            "model": [model.name, model.revision, model.dtype],
            "canvas": [config.model.vae_area, config.model.condition_area],
            "quality": config.quality.model_dump(mode="json"),
        }

    def plan(self, request: EditRequest) -> EditPlan:
        """Decide everything that ``request`` leaves open.

        Raises ``UnusableAdapter`` if it names an adapter that the model doesn't have.
        """
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
        lora = request.lora
        adapter = None if lora is None else self._model.adapter(lora.name)
        facts = {
            **self._surroundings,
            **_mask_and_adapter(request, adapter),
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
            adapter=adapter,
        )

    @staticmethod
    def _classify(request: EditRequest, prompt: str) -> Classification:
        if request.edit_type == "auto":
            return classify(prompt)
        return Classification(request.edit_type, "The request names the edit type.")


def _mask_and_adapter(request: EditRequest, adapter: AdapterDescription | None) -> dict[str, Any]:
    """Facts that only some requests have; the others' keys are the same as without them."""
    facts: dict[str, Any] = {}
    if request.mask is not None:
        facts["mask"] = request.mask.id
    if request.lora is not None and adapter is not None:
        facts["lora"] = [adapter.name, adapter.revision, float(request.lora.scale)]
    return facts


def _seed(request: EditRequest, facts: dict[str, Any]) -> int:
    if request.seed == "random":
        return secrets.randbits(32)
    if request.seed is None:
        return derived_seed(content_key(facts), request.variation)
    return request.seed


def _first(*choices: T | None) -> T:
    """The first choice that is made; the last always is."""
    return next(choice for choice in choices if choice is not None)
