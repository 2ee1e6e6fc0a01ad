"""The caller's time: what each attempt gets of it, and what is kept when it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from serve_app.config import LimitsConfig, ServiceConfig
from serve_app.edits.job import EditedImage, EditJob
from serve_app.edits.model import FewStepDrafts, ModelDescription
from serve_app.edits.request import CachePolicy, EditRequest
from serve_app.edits.result import CacheStatus, EditResult
from serve_app.engine.engine import Engine
from serve_app.errors import DeadlineExceeded
from serve_app.storage.shared_cache import SharedCache
from serve_app.workflows.deadline import Deadline, cut_short
from serve_app.workflows.in_process import assemble
from tests.workflows.faulty_editor import FaultyEditor, joined


class Clock:
    """Stands for the module ``time`` in the workflow; goes only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class SlowEditor(FaultyEditor):
    """Takes ``took_s`` seconds of the clock for every edit, none of which is any good."""

    def __init__(self, engine: Engine, clock: Clock, took_s: float) -> None:
        super().__init__(engine)
        self._clock = clock
        self._took_s = took_s

    async def edit(self, job: EditJob) -> EditedImage:
        self.jobs.append(job)
        self._clock.now += self._took_s
        return EditedImage(job.images[0], finite=True, seconds={"denoise": self._took_s})


class SlowDrafts(SlowEditor):
    """Says of the model that it makes drafts of one step."""

    async def describe(self) -> ModelDescription:
        return replace(await super().describe(), drafts=FewStepDrafts(1, 1.0))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("deadline", "edit"):
        monkeypatch.setattr(f"serve_app.workflows.{module}.time", clock)
    return clock


def test_what_is_left(clock: Clock) -> None:
    deadline = Deadline(3.0)
    clock.now += 1.0
    assert deadline.left_s() == 2.0
    assert deadline.leaves(1.9)
    assert not deadline.leaves(2.0)
    clock.now += 5.0
    assert deadline.left_s() == 0.0
    assert not deadline.leaves(0.0)


async def test_every_attempt_gets_what_is_left_and_none_begins_that_could_not_end(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest, clock: Clock
) -> None:
    editor = SlowEditor(engine, clock, took_s=120.0)
    request = replace(request_for_blue, deadline_s=400.0, max_attempts=4)
    result = (await assemble(config, editor).edit(request)).result
    assert [job.deadline_s for job in editor.jobs] == [400.0, 280.0, 160.0]
    assert (result.attempts, result.verdict) == (3, "fail")


async def test_the_service_limit_is_a_deadline_that_the_engine_is_not_told(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest, clock: Clock
) -> None:
    editor = SlowEditor(engine, clock, took_s=120.0)
    limited = config.model_copy(update={"limits": LimitsConfig(request_s=400.0)})
    service = assemble(limited, editor)
    result = (await service.edit(replace(request_for_blue, max_attempts=4))).result
    assert [job.deadline_s for job in editor.jobs] == [None] * 3
    assert (result.attempts, result.verdict) == (3, "fail")


@pytest.mark.parametrize(("deadline_s", "attempts"), [(60.0, 1), (80.0, 2)])
async def test_after_a_draft_the_full_model_needs_its_own_time(
    engine: Engine,
    config: ServiceConfig,
    request_for_blue: EditRequest,
    clock: Clock,
    deadline_s: float,
    attempts: int,
) -> None:
    """Three steps with guidance are six forwards, where the draft took one."""
    editor = SlowDrafts(engine, clock, took_s=10.0)
    request = replace(request_for_blue, deadline_s=deadline_s, max_attempts=2)
    result = (await assemble(config, editor).edit(request)).result
    assert [job.few_step for job in editor.jobs] == [True, False][:attempts]
    assert result.metadata["stopped"] == ("time" if attempts == 1 else "budget")


@pytest.mark.parametrize("policy", [CachePolicy.USE, CachePolicy.REFRESH])
async def test_what_was_cut_short_is_not_for_others(
    engine: Engine,
    config: ServiceConfig,
    request_for_blue: EditRequest,
    clock: Clock,
    policy: CachePolicy,
) -> None:
    service = assemble(config, SlowEditor(engine, clock, took_s=120.0))
    hasty = replace(request_for_blue, deadline_s=200.0, cache=policy)
    assert (await service.edit(hasty)).result.attempts == 1
    patient = await service.edit(request_for_blue)
    assert (patient.cache, patient.result.attempts) == (CacheStatus.MISS, 3)
    # A failure after all attempts is the answer, also for those in a hurry.
    again = await service.edit(replace(hasty, cache=CachePolicy.USE))
    assert (again.cache, again.result.attempts) == (CacheStatus.HIT, 3)


async def test_an_editor_that_refuses_a_second_attempt_costs_only_that(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = FaultyEditor(engine, flat=1, failing_at=2, error=DeadlineExceeded("No time."))
    result = (await assemble(config, editor).edit(replace(request_for_blue, deadline_s=90))).result
    assert (result.attempts, result.verdict) == (1, "fail")


@pytest.mark.parametrize(
    ("request_s", "deadline_s", "said", "param"),
    [
        (9.0, 0.05, "0.05 s of `deadline_s`", "deadline_s"),
        (0.05, 9.0, "within 0.05 s", None),
        (0.05, 0.05, "within 0.05 s", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_shorter_limit_ends_the_edit_and_is_named(
    engine: Engine,
    config: ServiceConfig,
    request_for_blue: EditRequest,
    request_s: float,
    deadline_s: float,
    said: str,
    param: str | None,
    stream: bool,
) -> None:
    class Stuck(FaultyEditor):
        async def stream(self, job: EditJob):  # type: ignore[no-untyped-def]
            await asyncio.Event().wait()
            yield

    limited = config.model_copy(update={"limits": LimitsConfig(request_s=request_s)})
    service = assemble(limited, Stuck(engine, hold=asyncio.Event()))
    request = replace(request_for_blue, deadline_s=deadline_s, cache=CachePolicy.OFF)

    async def run() -> None:
        if stream:
            _ = [event async for event in service.stream(request, 0)]
        else:
            await service.edit(request)

    with pytest.raises(DeadlineExceeded) as caught:
        await run()
    assert said in caught.value.message
    assert (caught.value.status, caught.value.param) == (504, param)


async def test_one_who_waits_for_anothers_edit_keeps_the_own_deadline(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    release = asyncio.Event()
    editor = FaultyEditor(engine, hold=release)
    service = assemble(config, editor)
    leader = asyncio.create_task(service.edit(request_for_blue))
    await editor.started.wait()
    with pytest.raises(DeadlineExceeded):
        await service.edit(replace(request_for_blue, deadline_s=0.05))
    release.set()
    assert (await leader).cache is CacheStatus.MISS
    assert len(editor.jobs) == 1


async def test_whoever_takes_over_has_waited_already(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest, clock: Clock
) -> None:
    release = asyncio.Event()
    editor = FaultyEditor(engine, hold=release)
    cache = SharedCache(config.cache, config.storage.folder)
    service = assemble(config, editor, cache)
    leader = asyncio.create_task(service.edit(request_for_blue))
    await editor.started.wait()
    follower = asyncio.create_task(service.edit(replace(request_for_blue, deadline_s=100.0)))
    await joined(cache, 1)
    clock.now += 40.0
    leader.cancel()
    release.set()
    await follower
    assert [job.deadline_s for job in editor.jobs] == [None, 60.0]


@pytest.mark.parametrize(
    ("verdict", "stopped", "cut"),
    [
        ("fail", "time", True),
        ("fail", "trouble", True),
        ("fail", "budget", False),
        ("fail", "repeated", False),
        ("pass_unverified", "passed", False),
    ],
)
def test_a_failure_that_had_no_time_for_another_try_is_cut_short(
    verdict: str, stopped: str, cut: bool
) -> None:
    result = EditResult("edit-1", b"", 40, 40, 1, verdict, 1, {"stopped": stopped})
    assert cut_short(result) is cut
