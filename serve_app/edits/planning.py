"""From a request to a plan: the edit type, every parameter, the seed, the content key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from serve_app.config import PlanningConfig, ServiceConfig, TypeParameters
from serve_app.edits.attempt import AttemptPlan
from serve_app.edits.classification import Classification, classify
from serve_app.edits.content_key import (
    attempt_seed,
    content_key,
    derived_seed,
    normalise_prompt,
)
from serve_app.edits.job import EditJob
from serve_app.edits.model import AdapterDescription, FewStepDrafts, ModelDescription
from serve_app.edits.request import EditRequest, EditType, LoraUse, Quality
from serve_app.edits.text_targets import NO_TEXT, TextTargets, wanted_text

T = TypeVar("T")

MAX_ATTEMPTS = 4
"""Best-of-N with a reward model gains up to four tries (GEdit 7.51, 7.68 at 4, 7.73 at 16)."""


@dataclass(frozen=True, slots=True)
class EditPlan:
    """A request with everything decided; ``key`` names its result in the cache.

    ``reason`` says in plain words why ``edit_type`` was chosen. ``seed`` is that of the
    first attempt. ``adapter`` is the one that ``request.lora`` names. ``text`` are the words the
    edit is about. ``drafts`` says how the first attempt is made by the few-step model, if it is.
    Later attempts may move the guidance by ``guidance_step`` and take ``more_steps`` (a share)
    more, at most ``most_steps``.
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
    quality: Quality = Quality.STANDARD
    text: TextTargets = NO_TEXT
    drafts: FewStepDrafts | None = None
    guidance_step: float = 1.0
    more_steps: float = 0.2
    most_steps: int = 200

    def seed_of(self, attempt: int) -> int:
        """The seed of an attempt, counted from 1."""
        return attempt_seed(self.seed, attempt)

    def job(
        self, attempt: AttemptPlan, partial_images: int = 0, deadline_s: float | None = None
    ) -> EditJob:
        """What the editor is given for one attempt.

        ``deadline_s`` is what is left of the request's own, which by default is all of it.
        """
        request = self.request
        return EditJob(
            images=tuple(image.pixels for image in request.images),
            prompt=attempt.prompt,
            negative_prompt=self.negative_prompt,
            true_cfg_scale=attempt.true_cfg_scale,
            num_inference_steps=attempt.num_inference_steps,
            seed=attempt.seed,
            few_step=attempt.few_step,
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
            "quality": str(self.quality),
            "expected_text": self.text.expected,
            "old_text": self.text.old,
        }
        if self.adapter is not None:
            decided["adapter"] = {"name": self.adapter.name, "revision": self.adapter.revision}
        return decided


@dataclass(frozen=True, slots=True)
class Decisions:
    """What is decided for a request without a look at its pixels; fields as in ``EditPlan``."""

    prompt: str
    negative_prompt: str
    edit_type: EditType
    reason: str
    true_cfg_scale: float
    num_inference_steps: int
    quality: Quality
    max_attempts: int
    drafts: FewStepDrafts | None


def decide(
    request: EditRequest,
    planning: PlanningConfig,
    drafts: FewStepDrafts | None,
    kind: Classification | None = None,
) -> Decisions:
    """Decide what ``request`` leaves open, for a model that makes ``drafts``, if it does.

    ``kind`` is its edit type, if somebody knows better than the rules.
    """
    prompt = normalise_prompt(request.prompt)
    kind = kind or _classified(request, prompt)
    defaults: TypeParameters = getattr(planning.edit_types, kind.edit_type.value)
    scale = _first(request.true_cfg_scale, planning.true_cfg_scale, defaults.true_cfg_scale)
    quality = _first(request.quality, Quality(planning.quality))
    # A request that sets these sets what the few-step model can't keep to.
    asked = request.num_inference_steps is not None or request.true_cfg_scale is not None
    return Decisions(
        prompt=prompt,
        negative_prompt=_first(request.negative_prompt, defaults.negative_prompt),
        edit_type=kind.edit_type,
        reason=kind.reason,
        true_cfg_scale=float(scale),
        num_inference_steps=_first(
            request.num_inference_steps, planning.num_inference_steps, defaults.num_inference_steps
        ),
        quality=quality,
        max_attempts=_first(request.max_attempts, _attempts(quality, planning)),
        drafts=None if asked or quality is Quality.BEST else drafts,
    )


class Planner:
    """Plans edits for one model under one configuration; pure but for random seeds."""

    def __init__(self, config: ServiceConfig, model: ModelDescription) -> None:
        self._planning = config.planning
        self._most_steps = config.limits.max_steps
        self._model = model
        # Whatever else changes a result: weights, canvases, and the judgement that decides
        # which attempt is kept.
        self._surroundings = {
            "model": [model.name, model.revision, model.dtype],
            "canvas": [config.model.vae_area, config.model.condition_area],
            "quality": config.quality.model_dump(mode="json"),
        }

    def plan(self, request: EditRequest, kind: Classification | None = None) -> EditPlan:
        """Decide everything that ``request`` leaves open.

        ``kind`` is its edit type, if somebody knows better than the rules. Raises
        ``UnusableAdapter`` if it names an adapter that the model doesn't have.
        """
        decided = decide(request, self._planning, self._model.drafts, kind)
        max_attempts, drafts = decided.max_attempts, decided.drafts
        lora = request.lora
        adapter = None if lora is None else self._model.adapter(lora.name)
        facts = {
            **self._surroundings,
            **_mask_and_adapter(request, adapter),
            **_words_and_drafts(request, decided.quality, drafts),
            **self._remedies(max_attempts),
            "images": [image.id for image in request.images],
            "prompt": decided.prompt,
            "negative_prompt": decided.negative_prompt,
            "edit_type": decided.edit_type.value,
            "true_cfg_scale": decided.true_cfg_scale,
            "num_inference_steps": decided.num_inference_steps,
            "size": str(request.size),
            "max_attempts": max_attempts,
        }
        seed = _seed(request, facts)
        return EditPlan(
            key=content_key({**facts, "seed": seed}),
            request=request,
            prompt=decided.prompt,
            negative_prompt=decided.negative_prompt,
            edit_type=decided.edit_type,
            reason=decided.reason,
            true_cfg_scale=decided.true_cfg_scale,
            num_inference_steps=decided.num_inference_steps,
            seed=seed,
            max_attempts=max_attempts,
            adapter=adapter,
            quality=decided.quality,
            text=wanted_text(decided.prompt, request.expected_text, request.old_text),
            drafts=drafts,
            guidance_step=self._planning.guidance_step,
            more_steps=self._planning.more_steps,
            most_steps=self._most_steps,
        )

    def _remedies(self, max_attempts: int) -> dict[str, Any]:
        """Facts that tell from the third attempt on: before, only seed and model change."""
        if max_attempts < 3:
            return {}
        planning = self._planning
        asks = planning.ask_model and self._model.answers
        return {"remedies": [planning.guidance_step, planning.more_steps, asks]}


def _classified(request: EditRequest, prompt: str) -> Classification:
    if request.edit_type == "auto":
        return classify(prompt)
    return Classification(request.edit_type, "The request names the edit type.")


def _attempts(quality: Quality, planning: PlanningConfig) -> int:
    match quality:
        case Quality.DRAFT:
            return 1
        case Quality.BEST:
            return MAX_ATTEMPTS
        case _:
            return planning.max_attempts


def _mask_and_adapter(request: EditRequest, adapter: AdapterDescription | None) -> dict[str, Any]:
    """Facts that only some requests have; the others' keys are the same as without them."""
    facts: dict[str, Any] = {}
    if request.mask is not None:
        facts["mask"] = request.mask.id
    if request.lora is not None and adapter is not None:
        facts["lora"] = [adapter.name, adapter.revision, float(request.lora.scale)]
    return facts


def _words_and_drafts(
    request: EditRequest, quality: Quality, drafts: FewStepDrafts | None
) -> dict[str, Any]:
    """Facts that decide which attempt is kept, where they differ from the usual."""
    facts: dict[str, Any] = {}
    if request.expected_text is not None or request.old_text is not None:
        facts["text"] = [request.expected_text, request.old_text]
    if drafts is not None:
        facts["drafts"] = [str(quality), drafts.num_inference_steps, drafts.true_cfg_scale]
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
