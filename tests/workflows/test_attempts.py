"""Attempts at one edit: what is tried again, mended, rewritten, and which one is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serve_app.config import QualityConfig, ServiceConfig
from serve_app.edits.job import EditedImage, EditJob
from serve_app.edits.model import FewStepDrafts, ModelDescription
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import CachePolicy, EditRequest, EditType, Quality
from serve_app.engine.engine import Engine
from serve_app.errors import (
    NoAnswer,
    Overloaded,
)
from serve_app.images.pixels import DecodedImage
from serve_app.workflows.in_process import assemble
from tests.conftest import decoded, photo
from tests.workflows.faulty_editor import FaultyEditor


async def test_a_failed_attempt_is_tried_again_with_another_seed(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = FaultyEditor(engine, copies=2)
    result = (await assemble(config, editor).edit(request_for_blue)).result
    assert result.attempts == 3
    assert len({job.seed for job in editor.jobs}) == 3
    assert result.seed == editor.jobs[2].seed
    verdicts = [a["report"]["verdict"] for a in result.metadata["attempts"]]
    assert verdicts == ["fail", "fail", "pass_unverified"]
    assert result.verdict == "pass_unverified"


async def test_a_spent_budget_returns_the_best_attempt_with_an_honest_verdict(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    # Everything counts as collapsed, and the first result isn't finite besides.
    quality = config.quality.model_copy(update={"collapse_std": 250.0})
    impossible = config.model_copy(update={"quality": quality})
    editor = FaultyEditor(engine, flat=1)
    result = (await assemble(impossible, editor).edit(request_for_blue)).result
    assert result.attempts == 3
    assert result.verdict == "fail"
    assert result.metadata["kept_attempt"] == 2
    assert result.seed == editor.jobs[1].seed
    assert result.metadata["report"]["reasons"]


async def test_a_finished_attempt_survives_the_failure_of_a_later_one(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = FaultyEditor(engine, flat=1, failing_at=2, error=Overloaded("The queue is full."))
    result = (await assemble(config, editor).edit(request_for_blue)).result
    assert (result.attempts, result.verdict) == (1, "fail")


class DraftingEditor(FaultyEditor):
    """Says that the model makes drafts of two steps; the tiny one makes them as it makes all."""

    async def describe(self) -> ModelDescription:
        return replace(await super().describe(), drafts=FewStepDrafts(2, 1.0))

    async def edit(self, job: EditJob) -> EditedImage:
        edited = await super().edit(replace(job, few_step=False))
        self.jobs[-1] = job
        return edited


@pytest.mark.parametrize(
    ("quality", "copies", "drafts"),
    [
        (Quality.STANDARD, 0, [True]),
        (Quality.STANDARD, 1, [True, False]),
        (Quality.DRAFT, 1, [True]),
        (Quality.BEST, 1, [False, False]),
    ],
)
async def test_only_failed_drafts_cost_a_full_edit(
    engine: Engine,
    config: ServiceConfig,
    request_for_blue: EditRequest,
    quality: Quality,
    copies: int,
    drafts: list[bool],
) -> None:
    editor = DraftingEditor(engine, copies=copies)
    result = (
        await assemble(config, editor).edit(replace(request_for_blue, quality=quality))
    ).result
    assert [job.few_step for job in editor.jobs] == drafts
    assert [job.num_inference_steps for job in editor.jobs] == [2 if few else 3 for few in drafts]
    recorded = result.metadata["attempts"]
    assert [attempt["few_step"] for attempt in recorded] == drafts
    escalated = quality is Quality.STANDARD and copies == 1
    assert ("full_model" in recorded[-1].get("remedies", [])) is escalated


class RewritingEditor(FaultyEditor):
    """Copies the input and, asked for better words, gives ``words``."""

    def __init__(self, engine: Engine, words: str) -> None:
        super().__init__(engine, copies=2)
        self._words = words
        self.questions: list[Question] = []

    async def describe(self) -> ModelDescription:
        return replace(await super().describe(), answers=True)

    async def ask(self, question: Question) -> Reply:
        self.questions.append(question)
        if not self._words:
            raise NoAnswer("It has none.")
        return Reply(text=self._words)


@pytest.mark.parametrize("words", ["paint all of it in deep blue", ""])
async def test_a_model_that_answers_words_the_prompt_anew_and_rules_do_it_otherwise(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest, words: str
) -> None:
    planning = config.planning.model_copy(update={"ask_model": True})
    editor = RewritingEditor(engine, words)
    service = assemble(config.model_copy(update={"planning": planning}), editor)
    request = replace(request_for_blue, edit_type=EditType.APPEARANCE)
    result = (await service.edit(request)).result
    first, second, third = (job.prompt for job in editor.jobs)
    assert first == second == request.prompt
    assert third == words if words else third.startswith(request.prompt) and third != first
    (question,) = editor.questions
    assert "the same as the original" in question.text
    assert "not checked" not in question.text
    assert result.metadata["attempts"][2]["prompt"] == third


async def test_what_can_be_mended_is_not_made_again(engine: Engine, config: ServiceConfig) -> None:
    class TintingEditor(FaultyEditor):
        async def edit(self, job: EditJob) -> EditedImage:
            self.jobs.append(job)
            pixels = job.images[0].copy()
            pixels[40:80, 40:90] = (40, 90, 200)
            tinted = np.clip(pixels + np.array((14, 0, -14)), 0, 255).astype(np.uint8)
            return EditedImage(tinted, finite=True)

    picture = DecodedImage.of(photo("astronaut", (256, 256)))
    request = EditRequest((picture,), "add a blue box", EditType.APPEARANCE)
    editor = TintingEditor(engine)
    strict = config.model_copy(update={"quality": QualityConfig(read_text=False)})
    result = (await assemble(strict, editor).edit(request)).result
    (attempt,) = result.metadata["attempts"]
    assert attempt["repairs"] == ["cast_matched"]
    assert result.verdict == "pass_unverified"
    assert attempt["report_before_repairs"]["verdict"] == "fail"
    below = decoded(result.png)[100:].astype(int) - picture.pixels[100:]
    assert np.abs(below).mean() < 28 / 3 / 2  # half of what the tint had added


async def test_the_attempt_budget_of_the_request_is_kept(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = FaultyEditor(engine, flat=9)
    await assemble(config, editor).edit(replace(request_for_blue, max_attempts=1))
    assert len(editor.jobs) == 1


async def test_a_reported_seed_makes_the_same_picture_again(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    service = assemble(config, FaultyEditor(engine, flat=1))
    first = (await service.edit(request_for_blue)).result
    again = (
        await service.edit(
            replace(request_for_blue, seed=first.seed, max_attempts=1, cache=CachePolicy.OFF)
        )
    ).result
    assert (decoded(first.png) == decoded(again.png)).all()
