"""The way of a single edit: verdicts, caching, and what happens when parts fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serve_app.config import LimitsConfig, ServiceConfig
from serve_app.edits.job import EditedImage, EditJob, EditorEvent, Queued, StepDone
from serve_app.edits.model import ModelDescription
from serve_app.edits.request import CachePolicy, EditRequest, EditType
from serve_app.edits.result import CacheStatus, Completed, PartialImage, Progress, Waiting
from serve_app.engine.engine import Engine
from serve_app.errors import (
    DeadlineExceeded,
    EditFailed,
    EditServiceError,
    InvalidRequest,
    NotReady,
    Quarantined,
    ReplicaLost,
)
from serve_app.images.masks import EditMask
from serve_app.images.pixels import DecodedImage
from serve_app.storage.blobs import BlobStore
from serve_app.storage.results import ResultStore
from serve_app.storage.shared_cache import SharedCache
from serve_app.workflows import gateway
from serve_app.workflows.in_process import assemble
from tests.conftest import decoded, photo
from tests.workflows.faulty_editor import FaultyEditor, joined


async def test_the_result_has_the_inputs_size_and_its_record_is_stored(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    outcome = await assemble(config, engine).edit(request_for_blue)
    result = outcome.result
    assert outcome.cache is CacheStatus.MISS
    assert (result.width, result.height) == (96, 64)
    assert decoded(result.png).shape == (64, 96, 3)
    store = ResultStore(BlobStore(config.storage.root))
    assert await store.image(result.id) == result.png
    assert await store.metadata(result.id) == result.metadata
    assert result.metadata["verdict"] == result.verdict


async def test_cache_policies(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = FaultyEditor(engine)
    service = assemble(config, editor)
    asked = [CachePolicy.OFF, CachePolicy.USE, CachePolicy.USE, CachePolicy.REFRESH]
    answers = [await service.edit(replace(request_for_blue, cache=policy)) for policy in asked]
    assert [answer.cache for answer in answers] == [
        CacheStatus.OFF,
        CacheStatus.MISS,
        CacheStatus.HIT,
        CacheStatus.MISS,
    ]
    assert len(editor.jobs) == 3


async def test_a_restarted_service_answers_from_the_disk_tier(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    first = await assemble(config, engine).edit(request_for_blue)
    editor = FaultyEditor(engine)
    second = await assemble(config, editor).edit(request_for_blue)
    assert second.cache is CacheStatus.HIT
    assert second.result.png == first.result.png
    assert editor.jobs == []


async def test_random_seeds_make_different_edits(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    service = assemble(config, engine)
    random = replace(request_for_blue, seed="random")
    first, second = await asyncio.gather(service.edit(random), service.edit(random))
    assert first.result.seed != second.result.seed
    assert first.result.png != second.result.png


async def test_identical_requests_are_one_edit(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = FaultyEditor(engine)
    service = assemble(config, editor)
    answers = await asyncio.gather(*(service.edit(request_for_blue) for _ in range(50)))
    assert len(editor.jobs) == 1
    assert len({answer.result.id for answer in answers}) == 1
    statuses = [answer.cache for answer in answers]
    assert statuses.count(CacheStatus.MISS) == 1


async def test_a_cancelled_leader_hands_over(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    release = asyncio.Event()
    editor = FaultyEditor(engine, hold=release)
    cache = SharedCache(config.cache, config.storage.folder)
    service = assemble(config, editor, cache)
    leader = asyncio.create_task(service.edit(request_for_blue))
    await editor.started.wait()
    followers = [asyncio.create_task(service.edit(request_for_blue)) for _ in range(5)]
    await joined(cache, 5)
    leader.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await leader
    outcomes = await asyncio.gather(*followers)
    assert len({outcome.result.id for outcome in outcomes}) == 1
    assert len(editor.jobs) == 2


async def test_a_failing_leader_fails_alone(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    release = asyncio.Event()
    editor = FaultyEditor(engine, failing=1, hold=release)
    cache = SharedCache(config.cache, config.storage.folder)
    service = assemble(config, editor, cache)
    callers = [asyncio.create_task(service.edit(request_for_blue)) for _ in range(4)]
    await joined(cache, 3)
    release.set()
    outcomes: list[Any] = await asyncio.gather(*callers, return_exceptions=True)
    assert sum(isinstance(outcome, EditFailed) for outcome in outcomes) == 1
    assert len(editor.jobs) == 2


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("The prompt is too long.", "prompt"),
        Quarantined("This request stopped the editor twice."),
    ],
    ids=["nobody can serve it", "it takes editors down"],
)
async def test_an_error_that_awaits_everybody_is_given_to_all_at_once(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest, error: EditServiceError
) -> None:
    release = asyncio.Event()
    editor = FaultyEditor(engine, failing=99, error=error, hold=release)
    cache = SharedCache(config.cache, config.storage.folder)
    service = assemble(config, editor, cache)
    callers = [asyncio.create_task(service.edit(request_for_blue)) for _ in range(10)]
    await joined(cache, 9)
    release.set()
    outcomes: list[Any] = await asyncio.gather(*callers, return_exceptions=True)
    assert all(isinstance(outcome, type(error)) for outcome in outcomes)
    assert len(editor.jobs) == 1


@pytest.mark.parametrize("first", CachePolicy)
async def test_an_edit_that_takes_editors_down_is_not_run_again(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest, first: CachePolicy
) -> None:
    editor = FaultyEditor(engine, failing=1, error=Quarantined("It stopped the editor twice."))
    service = assemble(config, editor)
    for policy in (first, *CachePolicy):
        with pytest.raises(Quarantined):
            await service.edit(replace(request_for_blue, cache=policy))
    assert len(editor.jobs) == 1
    other = await service.edit(replace(request_for_blue, seed=4321))
    assert other.cache is CacheStatus.MISS


async def test_an_edit_whose_editors_all_stop_is_left_to_the_next_caller(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    editor = FaultyEditor(engine, failing=1, error=ReplicaLost("The editors stop."))
    service = assemble(config, editor)
    with pytest.raises(ReplicaLost):
        await service.edit(request_for_blue)
    assert (await service.edit(request_for_blue)).cache is CacheStatus.MISS


async def test_without_its_cache_the_service_still_edits(
    engine: Engine,
    config: ServiceConfig,
    request_for_blue: EditRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = assemble(config, engine)

    async def gone(*_: object) -> None:
        raise NotReady("The cache is away.")

    for method in ("claim", "fulfil", "replace", "renew", "abandon", "quarantined"):
        monkeypatch.setattr(f"serve_app.storage.shared_cache.SharedCache.{method}", gone)
    for policy in (CachePolicy.USE, CachePolicy.REFRESH):
        outcome = await service.edit(replace(request_for_blue, seed="random", cache=policy))
        assert outcome.cache is CacheStatus.MISS


async def test_a_stream_reports_every_step_its_previews_and_the_outcome(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    service = assemble(config, engine)
    asked = replace(request_for_blue, num_inference_steps=6)
    events = [event async for event in service.stream(asked, 2)]
    steps = [event.step for event in events if isinstance(event, Progress)]
    previews = [event for event in events if isinstance(event, PartialImage)]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert [preview.index for preview in previews] == [0, 1]
    assert decoded(previews[0].png).shape == (64, 96, 3)
    assert isinstance(events[-1], Completed)
    cached = [event async for event in service.stream(asked, 2)]
    (only,) = cached
    assert isinstance(only, Completed)
    assert only.outcome.cache is CacheStatus.HIT


async def test_a_stream_passes_positions_and_estimates_on(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    class TellingEditor(FaultyEditor):
        async def stream(self, job: EditJob) -> AsyncGenerator[EditorEvent, None]:
            yield Queued(2, 12.5)
            yield Queued(0, None)
            yield StepDone(1, 3, 2, 4.25)
            yield await self.edit(job)

    service = assemble(config, TellingEditor(engine, flat=1))
    events = [event async for event in service.stream(request_for_blue, 0)]
    told = [Waiting(1, 2, 12.5), Waiting(1, 0, None), Progress(1, 1, 3, 4.25)]
    assert events[:-1] == told + [replace(event, attempt=2) for event in told]


async def test_the_mask_reaches_the_editor_and_the_checks(
    engine: Engine, config: ServiceConfig
) -> None:
    """A change of four pixels is no copy where only they could change."""

    class RetouchingEditor(FaultyEditor):
        async def edit(self, job: EditJob) -> EditedImage:
            self.jobs.append(job)
            pixels = job.images[0].copy()
            pixels[10:12, 20:22] = 255 - pixels[10:12, 20:22]
            return EditedImage(pixels, finite=True)

    picture = DecodedImage.of(photo("coffee", (600, 400)))
    free = np.zeros((400, 600), np.bool_)
    free[10:12, 20:22] = True
    for mask, verdict in ((None, "fail"), (EditMask.of(free), "pass_unverified")):
        editor = RetouchingEditor(engine)
        request = EditRequest((picture,), "remove it", EditType.APPEARANCE, mask=mask)
        result = (await assemble(config, editor).edit(request)).result
        assert result.verdict == verdict
        assert editor.jobs[0].mask is (mask and mask.editable)


async def test_a_stream_that_is_left_withdraws_its_edit(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    service = assemble(config, engine)
    withdrawn = engine.load_figures()["withdrawn"]
    events = service.stream(replace(request_for_blue, num_inference_steps=150), 0)
    await anext(events)
    await events.aclose()
    while engine.load_figures()["pending"]:
        await asyncio.sleep(0.001)
    assert engine.load_figures()["withdrawn"] == withdrawn + 1


async def test_ready_tells_whether_an_editor_answers(engine: Engine, config: ServiceConfig) -> None:
    class AwayEditor(FaultyEditor):
        async def check(self) -> None:
            raise NotReady("No editor.")

    assert await assemble(config, engine).ready()
    assert not await assemble(config, AwayEditor(engine)).ready()


async def test_an_edit_over_its_time_is_stopped(
    engine: Engine, config: ServiceConfig, request_for_blue: EditRequest
) -> None:
    never = asyncio.Event()
    editor = FaultyEditor(engine, hold=never)
    short = config.model_copy(update={"limits": LimitsConfig(request_s=0.05)})
    with pytest.raises(DeadlineExceeded) as caught:
        await assemble(short, editor).edit(request_for_blue)
    assert caught.value.status == 504


async def test_an_editor_that_never_answers_is_not_ready(
    engine: Engine, config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SilentEditor(FaultyEditor):
        async def check(self) -> None:
            await asyncio.Event().wait()

        async def describe(self) -> ModelDescription:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(gateway, "_ANSWER_S", 0.01)
    service = assemble(config, SilentEditor(engine))
    assert not await service.ready()
    with pytest.raises(NotReady) as caught:
        await service.model()
    assert caught.value.retry_after_s
