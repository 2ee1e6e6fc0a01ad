"""The policy of further attempts, which is a pure function, and what is told of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.config import PlanningConfig, ServiceConfig
from serve_app.edits.attempt import AttemptPlan
from serve_app.edits.model import FewStepDrafts, ModelDescription
from serve_app.edits.planning import EditPlan, Planner
from serve_app.edits.request import EditRequest, EditType, Quality
from serve_app.images.masks import EditMask
from serve_app.images.pixels import DecodedImage
from serve_app.quality.remedy import Remedy
from serve_app.quality.report import Check, CheckStatus, Report, Verdict
from serve_app.quality.table import TABLE, remedies
from serve_app.workflows.re_editing import ReEdit, Stop, Tried, next_attempt, observe

MODEL = ModelDescription("model", "qwen-image-edit", "rev-1", False, 1, "bfloat16", "cuda")
IMAGE = DecodedImage.of(np.zeros((60, 90, 3), np.uint8))
REQUEST = EditRequest((IMAGE,), "change the sign to 'OPEN'", EditType.TEXT, seed=7, max_attempts=4)
CHECKS = [rule.name for rule in TABLE if any(cell.fail for cell in rule.limits.values())]


def planned(
    request: EditRequest = REQUEST,
    drafts: FewStepDrafts | None = None,
    planning: Mapping[str, float | None] | None = None,
) -> EditPlan:
    config = ServiceConfig(planning=PlanningConfig.model_validate(planning or {}))
    return Planner(config, replace(MODEL, drafts=drafts)).plan(request)


def report(*failed: str) -> Report:
    checks = tuple(Check(name, CheckStatus.FAIL) for name in failed)
    return Report(Verdict.FAIL if failed else Verdict.PASS_UNVERIFIED, 1.0, (), checks)


def run(plan: EditPlan, failures: list[str]) -> tuple[list[AttemptPlan], Stop]:
    """All attempts at ``plan``, of which the n-th has the n-th failure; the rest pass."""
    tried: list[Tried] = []
    left = iter(failures)
    while not isinstance(attempt := next_attempt(plan, tried), Stop):
        failed = next(left, None)
        tried.append(Tried(attempt, report() if failed is None else report(failed)))
    return [one.plan for one in tried], attempt


def test_an_edit_that_passes_is_tried_once_as_planned() -> None:
    plan = planned()
    attempts, stopped = run(plan, [])
    assert stopped is Stop.PASSED
    assert attempts == [AttemptPlan(1, 7, plan.prompt, 4.0, 75)]


def test_each_further_attempt_takes_the_next_remedy_of_the_check() -> None:
    attempts, stopped = run(planned(), ["no_op"] * 4)
    assert stopped is Stop.BUDGET
    assert [attempt.remedies for attempt in attempts] == [
        (),
        ("new_seed",),
        ("new_seed", "rewrite"),
        ("new_seed", "more_guidance"),
    ]
    assert [attempt.true_cfg_scale for attempt in attempts] == [4.0, 4.0, 4.0, 5.0]
    assert attempts[2].prompt.startswith(attempts[0].prompt)
    assert attempts[2].prompt != attempts[0].prompt == attempts[3].prompt


@pytest.mark.parametrize(
    ("failure", "attempt", "field", "value"),
    [
        ("noise", 3, "num_inference_steps", 90),
        ("oversaturation", 3, "true_cfg_scale", 3.0),
        ("target_text", 4, "remedies", ("new_seed", "quote_the_text")),
    ],
)
def test_a_remedy_changes_what_it_says(
    failure: str, attempt: int, field: str, value: object
) -> None:
    attempts, _ = run(planned(), [failure] * 4)
    assert getattr(attempts[attempt - 1], field) == value


def test_the_same_failure_across_seeds_ends_it() -> None:
    attempts, stopped = run(planned(), ["collapse"] * 4)
    assert (len(attempts), stopped) == (2, Stop.REPEATED)


def test_another_failure_begins_with_its_own_remedies() -> None:
    attempts, stopped = run(planned(), ["collapse", "noise", "noise"])
    assert [attempt.against for attempt in attempts] == [None, "collapse", "noise", "noise"]
    assert attempts[3].remedies == ("new_seed", "more_steps")
    assert stopped is Stop.PASSED


@pytest.mark.parametrize(
    ("failure", "planning"),
    [
        ("oversaturation", {"true_cfg_scale": 1.0}),  # less guidance than none
        ("blur", {"num_inference_steps": 200}),  # more steps than there may be
    ],
)
def test_what_would_change_nothing_is_left_out(failure: str, planning: dict[str, float]) -> None:
    attempts, stopped = run(planned(planning=planning), [failure] * 4)
    assert (len(attempts), stopped) == (2, Stop.REPEATED)


def test_what_the_request_sets_stays_as_it_is() -> None:
    plan = planned(replace(REQUEST, true_cfg_scale=6.0, num_inference_steps=30))
    for name in CHECKS:
        attempts, _ = run(plan, [name] * 4)
        parameters = {(one.true_cfg_scale, one.num_inference_steps) for one in attempts}
        assert parameters == {(6.0, 30)}


def masked(rows: int, columns: int) -> EditRequest:
    free = np.zeros((60, 90), np.bool_)
    free[:rows, :columns] = True
    return replace(REQUEST, mask=EditMask.of(free))


def test_a_mask_gives_the_place_its_name() -> None:
    attempts, _ = run(planned(masked(15, 20)), ["inside_mask"] * 3)
    assert "in the top left" in attempts[2].prompt


def test_a_mask_over_most_of_the_picture_is_no_place() -> None:
    attempts, _ = run(planned(masked(50, 80)), ["inside_mask"] * 3)
    assert attempts[2].remedies == ("new_seed", "more_guidance")


DRAFTS = FewStepDrafts(4, 1.0)


def test_a_draft_that_fails_is_followed_by_the_full_model() -> None:
    attempts, stopped = run(planned(drafts=DRAFTS), ["no_op", "no_op", "no_op"])
    assert [attempt.few_step for attempt in attempts] == [True, False, False, False]
    assert [attempt.num_inference_steps for attempt in attempts] == [4, 75, 75, 75]
    assert [attempt.true_cfg_scale for attempt in attempts] == [1.0, 4.0, 4.0, 4.0]
    assert [attempt.remedies[-1:] for attempt in attempts] == [
        (), ("full_model",), ("new_seed",), ("rewrite",),
    ]  # fmt: skip
    assert stopped is Stop.PASSED


def test_a_draft_stays_a_draft_where_only_that_is_wanted() -> None:
    request = replace(REQUEST, quality=Quality.DRAFT, max_attempts=3)
    attempts, _ = run(planned(request, DRAFTS), ["noise"] * 3)
    assert all(attempt.few_step for attempt in attempts)
    assert attempts[2].num_inference_steps == 5


def test_a_draft_without_guidance_can_not_take_less() -> None:
    request = replace(REQUEST, quality=Quality.DRAFT, max_attempts=4)
    attempts, stopped = run(planned(request, DRAFTS), ["oversaturation"] * 4)
    assert (len(attempts), stopped) == (2, Stop.REPEATED)


@given(
    failures=st.lists(st.sampled_from(CHECKS), max_size=6),
    most=st.integers(1, 4),
    quality=st.sampled_from(Quality),
    drafts=st.sampled_from([None, DRAFTS]),
    scale=st.sampled_from([None, 1.0, 4.0, 20.0]),
)
def test_whatever_fails_every_attempt_is_new_and_within_the_budget(
    failures: list[str],
    most: int,
    quality: Quality,
    drafts: FewStepDrafts | None,
    scale: float | None,
) -> None:
    request = replace(REQUEST, max_attempts=most, quality=quality)
    plan = planned(request, drafts, {"true_cfg_scale": scale})
    attempts, stopped = run(plan, failures)
    assert run(plan, failures) == (attempts, stopped)
    assert 1 <= len(attempts) <= most
    assert len({attempt.seed for attempt in attempts}) == len(attempts)
    assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
    for attempt in attempts:
        assert 1.0 <= attempt.true_cfg_scale <= 20.0
        assert 1 <= attempt.num_inference_steps <= 200
        assert (attempt.against is None) == (attempt.number == 1)
    if stopped is Stop.REPEATED:
        made = failures[: len(attempts)]
        assert made.count(made[-1]) > 1


def test_every_check_that_rejects_has_something_to_try() -> None:
    for name in CHECKS:
        assert remedies(name)[0] is Remedy.NEW_SEED


@pytest.mark.parametrize(
    ("failed", "outcome"),
    [((), "passed"), (("noise",), "same_failure"), (("blur", "noise"), "other_failure")],
)
def test_what_came_of_it_is_logged_and_counted(
    failed: tuple[str, ...], outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    counted: list[ReEdit] = []
    first = Tried(AttemptPlan(1, 1, "p", 4.0, 50), report("noise"))
    second = AttemptPlan(2, 2, "p", 4.0, 50, against="noise", remedies=("new_seed",))
    with caplog.at_level(logging.INFO):
        observe([first], counted.append)
        observe([first, Tried(second, report(*failed))], counted.append)
    event = {"failure": "noise", "action": "new_seed", "outcome": outcome}
    assert counted == [ReEdit(**event)]
    (line,) = caplog.messages
    assert json.loads(line.removeprefix("re_edit ")) == event
