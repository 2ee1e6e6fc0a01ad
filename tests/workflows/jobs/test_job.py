"""What a job is: ids that sort, states that end, plans that survive their storage."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve_app.workflows.jobs.job import (
    JOB_ID,
    Job,
    JobState,
    StepRecord,
    first_id_at,
    new_job_id,
    shown_time,
)
from serve_app.workflows.jobs.plan import JobKind, JobPlan, OnFailure, StepPlan

texts = st.text(max_size=20)
ids = st.integers(0, 9).map(lambda number: f"img-{number:064x}")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
step_plans = st.builds(
    StepPlan,
    parameters=st.dictionaries(texts, values, max_size=4),
    images=st.lists(ids, max_size=4).map(tuple),
    mask=st.none() | ids,
    description=st.none() | texts,
    name=st.none() | texts,
    source=st.none() | st.integers(0, 999),
)
plans = st.builds(
    JobPlan,
    kind=st.sampled_from(JobKind),
    steps=st.lists(step_plans, min_size=1, max_size=4).map(tuple),
    images=st.lists(ids, max_size=4).map(tuple),
    on_failure=st.sampled_from(OnFailure),
    at_once=st.integers(1, 16),
    label=st.none() | texts,
    user=st.none() | texts,
    priority=st.integers(0, 9),
    deadline_s=st.none() | st.floats(0.001, 1e7),
    partial_images=st.integers(0, 3),
    webhook=st.none() | texts,
)
# Until the year 9999, in milliseconds.
moments = st.integers(0, 253_402_300_799_999).map(lambda at: at / 1000)


class TestIds:
    @given(moments, moments)
    def test_they_sort_by_time(self, one: float, other: float) -> None:
        earlier, later = sorted((one, other))
        if earlier < later:
            assert new_job_id(earlier) < new_job_id(later)

    @given(moments)
    def test_they_have_their_shape_and_differ(self, moment: float) -> None:
        twins = {new_job_id(moment) for _ in range(3)}
        assert len(twins) == 3
        assert all(JOB_ID.fullmatch(job_id) for job_id in twins)

    @given(moments, moments)
    def test_those_from_a_moment_on_are_above_its_first(self, created: float, at: float) -> None:
        assert (new_job_id(created) >= first_id_at(at)) == (created >= at)

    @given(st.floats(-1e11, 0))
    def test_before_1970_there_are_none(self, moment: float) -> None:
        assert first_id_at(moment) == first_id_at(0.0) < new_job_id(0.0)

    # Between two milliseconds, too, and next to the later one.
    @example(1_800_000_000.3459997)
    @given(st.floats(0, 1e11))
    def test_a_shown_time_finds_its_job(self, created: float) -> None:
        shown = shown_time(created)
        assert shown is not None
        assert new_job_id(created) >= first_id_at(datetime.fromisoformat(shown).timestamp())


class TestStates:
    def test_only_those_that_wait_or_run_go_on(self) -> None:
        going_on = {state for state in JobState if not state.final}
        assert going_on == {JobState.QUEUED, JobState.RUNNING}


class TestPlans:
    @settings(deadline=None)
    @given(plans)
    def test_they_survive_their_storage(self, plan: JobPlan) -> None:
        assert JobPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan

    @settings(deadline=None)
    @given(plans)
    def test_their_inputs_are_all_that_they_name(self, plan: JobPlan) -> None:
        named = [*plan.images]
        for step in plan.steps:
            named += [*step.images, *([step.mask] if step.mask else [])]
        assert plan.inputs == set(named)

    @settings(deadline=None)
    @given(plans, st.lists(step_plans, min_size=1, max_size=3), st.data())
    def test_later_steps_are_replaced(
        self, plan: JobPlan, later: list[StepPlan], data: st.DataObject
    ) -> None:
        first = data.draw(st.integers(0, len(plan.steps) - 1))
        changed = plan.with_later_steps(later, first)
        assert changed.steps == (*plan.steps[:first], *later)
        assert changed.with_later_steps(plan.steps[first:], first) == plan

    def test_a_specification_names_steps_and_leaves_out_what_was_not_said(self) -> None:
        steps = (
            StepPlan({"prompt": "x"}, name="a"),
            StepPlan({"prompt": "y", "seed": 1}, mask="img-m", source=0),
        )
        plan = JobPlan(JobKind.CHAIN, steps, images=("img-1", "img-2"))
        assert plan.specification == {
            "kind": "chain",
            "image": ["img-1", "img-2"],
            "on_failure": "stop",
            "repair_drift": False,
            "priority": 5,
            "partial_images": 0,
            "steps": [
                {"prompt": "x", "name": "a"},
                {"prompt": "y", "seed": 1, "mask": "img-m", "input": "a"},
            ],
        }


class TestRecords:
    def accepted(self, **options: Any) -> Job:
        steps = (StepPlan({"prompt": "x"}, name="a", description="the a"), StepPlan({}))
        return Job.accepted(JobPlan(JobKind.CHAIN, steps, **options))

    def test_an_accepted_job_has_done_nothing_yet(self) -> None:
        job = self.accepted(label="l", user="u", priority=3)
        assert (job.state, job.run, job.step_count) == (JobState.QUEUED, 1, 2)
        assert (job.label, job.user, job.priority) == ("l", "u", 3)
        assert job.steps == (StepRecord(0, name="a", description="the a"), StepRecord(1))
        assert (job.deadline_at, job.left_s, job.webhook) == (None, None, None)

    def test_a_deadline_counts_from_the_acceptance(self) -> None:
        job = self.accepted(deadline_s=60.0)
        assert job.deadline_at == job.created_at + 60
        assert job.left_s is not None
        assert job.left_s <= 60

    @pytest.mark.parametrize(("other_seed", "variation"), [(True, 3), (False, 2)])
    def test_a_step_is_begun_anew(self, other_seed: bool, variation: int) -> None:
        done = StepRecord(
            4,
            JobState.FAILED,
            "a",
            "the a",
            result="edit-1",
            verdict="fail",
            attempts=2,
            seed=7,
            seconds=1.0,
            started_at=1.0,
            finished_at=2.0,
            made=True,
            variation=2,
            error={"code": "x"},
        )
        again = done.again(other_seed=other_seed)
        assert again == StepRecord(4, name="a", description="the a", variation=variation)


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (None, None),
        (0.0, "1970-01-01T00:00:00.000+00:00"),
        (1_800_000_000.25, "2027-01-15T08:00:00.250+00:00"),
    ],
)
def test_times_are_shown_in_utc(moment: float | None, shown: str | None) -> None:
    assert shown_time(moment) == shown
