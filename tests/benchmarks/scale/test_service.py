"""The simulated service: closed forms, and what must hold whatever comes."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest
import simpy
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.scale.changes import Deaths, Scaling, dies
from benchmarks.scale.cores import Cores
from benchmarks.scale.costs import Affine, Curve, Device, Front
from benchmarks.scale.requests import Answer, Kind, Request, arrivals
from benchmarks.scale.service import Service, Shape
from serve_app.config import EngineConfig

GPU = Device(Curve({1: 0.4, 2: 0.8, 8: 3.2}), Affine(0.1, 0.0), 0.05, tokens=8192, beside=True)
CPU = Device(Affine(0.1, 0.01), Affine(0.05, 0.0), 0.03, tokens=64, beside=False)


def served(requests: list[Request], shape: Shape, device: Device = CPU, **more: object) -> Service:
    env = simpy.Environment()
    service = Service(env, shape, Front(**more), device)  # type: ignore[arg-type]
    env.process(service.open_loop(requests))
    env.run()
    return service


def test_one_editor_with_edits_of_one_step_is_the_queue_m_d_1() -> None:
    load, seconds = 0.7, 0.5
    device = Device(Affine(0.0, seconds), Affine(0.0, 0.0), 0.0, tokens=64, beside=False)
    requests = list(arrivals(1, load / seconds, 30_000, [Kind(1)]))
    served(requests, Shape(1, engine=EngineConfig(max_batch_size=1, max_pending=1000)), device)
    waited = statistics.mean(request.latency_s for request in requests) - seconds
    assert waited == pytest.approx(load / (2 * (1 - load)) * seconds, rel=0.06)


@pytest.mark.parametrize("together", [1, 3, 8])
def test_edits_that_come_together_share_every_step(together: int) -> None:
    requests = [Request(0.0, Kind(10), key, key) for key in range(together)]
    service = served(requests, Shape(1))
    editor = service.editors[0]
    assert (editor.steps, editor.rows) == (10, 10 * together)
    shared_s = together * CPU.encode(1) + 10 * CPU.step(together)
    assert min(each.ended for each in requests) == pytest.approx(shared_s + CPU.decode_s)
    assert max(each.ended for each in requests) == pytest.approx(shared_s + together * CPU.decode_s)


def test_where_batches_save_nothing_edits_run_one_after_the_other() -> None:
    requests = [Request(0.0, Kind(4), key, key) for key in range(4)]
    service = served(requests, Shape(1), GPU)
    assert service.editors[0].largest_batch == 1
    work_s = 4 * (GPU.encode(1) + 4 * GPU.step(1) + GPU.decode_s)
    assert max(each.ended for each in requests) == pytest.approx(work_s)


def test_every_part_adds_its_seconds_to_an_edit_that_is_alone() -> None:
    front = {
        "client_s": 0.1, "proxy_s": 0.2, "ingress_s": 0.3, "router_s": 0.4, "png_s": 0.5,
        "cache_s": 0.6, "validator_s": 0.8,
    }  # fmt: skip
    request = Request(1.0, Kind(2), 0, 0)
    served([request], Shape(1), **front)
    device_s = CPU.encode(1) + 2 * CPU.step(1) + CPU.decode_s
    assert request.latency_s == pytest.approx(sum(front.values()) + device_s)


def test_a_repeated_request_is_joined_hit_or_answered_nearby() -> None:
    requests = [Request(at, Kind(4), 0, 0) for at in (0.0, 0.1, 50.0, 200.0)]
    served(requests, Shape(1, near_s=60))
    assert [each.answer for each in requests] == [
        Answer.EDITED, Answer.JOINED, Answer.NEAR, Answer.HIT,
    ]  # fmt: skip


def test_a_full_editor_refuses_after_the_other_one_did() -> None:
    shape = Shape(2, engine=EngineConfig(max_batch_size=1, max_pending=2))
    requests = [Request(0.0, Kind(4), key, 0) for key in range(7)]
    service = served(requests, shape)
    assert Counter(each.answer for each in requests) == {Answer.EDITED: 4, Answer.REFUSED: 3}
    assert service.sent_elsewhere >= 3


def test_an_edit_whose_editor_dies_runs_elsewhere() -> None:
    env = simpy.Environment()
    service = Service(env, Shape(2), Front(), CPU)
    requests = [Request(0.0, Kind(20), key, key) for key in range(8)]
    env.process(service.open_loop(requests))
    env.run(1.0)
    first = service.editors[0]
    lost = first.pending
    assert lost
    env.process(dies(env, first, restart_s=100))
    env.run()
    assert all(each.answer is Answer.EDITED for each in requests)
    assert service.sent_elsewhere == lost
    assert first.alive


def test_starting_again_takes_from_others_what_it_needs() -> None:
    env = simpy.Environment()
    machine = Cores(env, 1)
    (editor,) = Service(env, Shape(1), Front(), CPU, machine, learn=True).editors
    restart = env.process(dies(env, editor, 10.0, machine, cpu_s=8.0))
    env.run(2.0)
    work = machine.run(3.0)
    env.run(work)
    assert env.now == pytest.approx(8.0)
    env.run(restart)
    assert editor.alive
    assert env.now == pytest.approx(10.0)


def test_a_second_death_loses_the_edit() -> None:
    env = simpy.Environment()
    service = Service(env, Shape(2), Front(), CPU)
    request = Request(0.0, Kind(20), 0, 0)
    env.process(service.open_loop([request]))
    for until in (0.5, 1.0):
        env.run(until)
        env.process(dies(env, next(each for each in service.editors if each.pending), 100))
    env.run()
    assert request.answer is Answer.LOST


kinds = st.builds(Kind, st.integers(1, 6), st.integers(1, 2))
loads = st.lists(st.tuples(st.floats(0, 5), kinds, st.integers(0, 6)), min_size=1, max_size=40).map(
    lambda given: [
        Request(at, kind, hash((key, kind)), key)
        for at, kind, key in sorted(given, key=lambda each: each[0])
    ]
)
devices = st.sampled_from([CPU, GPU])
AT_ONE_MOMENT = [
    Request(at, Kind(1), key, key)
    for key, at in enumerate((0.5613506798068902, 1.6609979657236964, 1.6609979657236964))
]
"""The second and the third, as far apart as rounding has it."""


@given(loads, devices, st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(8, 20))
@example(AT_ONE_MOMENT, CPU, 1, 1, 1, 8)
def test_nothing_is_lost_and_identical_requests_are_one_edit(
    requests: list[Request], device: Device, editors: int, routers: int, batch: int, pending: int
) -> None:
    engine = EngineConfig(max_batch_size=batch, max_pending=pending)
    shape = Shape(editors, routers=routers, shards=2, validators=2, engine=engine)
    service = served(requests, shape, device, router_s=0.01, validator_s=0.1, cache_s=0.01)
    assert all(request.answer is not None for request in requests)
    assert Answer.LOST not in {request.answer for request in requests}
    assert max(Counter(service.edited).values(), default=1) == 1
    steps = {request.key: request.kind.steps * request.kind.rows for request in requests}
    assert sum(steps[key] for key in service.edited) == sum(it.rows for it in service.editors)
    assert all(editor.largest_batch <= batch for editor in service.editors)
    assert all(editor.pending == 0 for editor in service.editors)
    for request in requests:
        if request.answer is Answer.EDITED:
            least_s = device.encode(1) + request.kind.steps * device.step(1) + device.decode_s
            assert request.latency_s >= least_s - 1e-6


@given(loads, st.integers(0, 10**6))
def test_whatever_dies_every_request_is_answered(requests: list[Request], seed: int) -> None:
    env = simpy.Environment()
    service = Service(env, Shape(3), Front(router_s=0.01), GPU)
    Deaths(mean_s=5, restart_s=2).over(env, service, seed)
    env.process(service.open_loop(requests))
    env.run(1000)
    assert all(request.answer is not None for request in requests)
    served_keys = {each.key for each in requests if each.answer is not None and each.answer.served}
    assert set(service.edited) == served_keys
    assert max(Counter(service.edited).values(), default=1) == 1


def test_the_same_seed_gives_the_same_seconds() -> None:
    def latencies(seed: int) -> list[float]:
        env = simpy.Environment()
        service = Service(env, Shape(3, routers=2, validators=2), Front(0.01, 0.01), GPU, seed=seed)
        Deaths(200, 20).over(env, service, seed)
        requests = list(arrivals(seed, 2.0, 200, [Kind(4), Kind(10, 2)], repeats=0.2))
        env.process(service.open_loop(requests))
        env.run(2000)
        return [request.latency_s for request in requests]

    assert latencies(1) == latencies(1)
    assert latencies(1) != latencies(2)


def test_editors_come_with_the_work_that_waits_and_go_when_it_is_done() -> None:
    env = simpy.Environment()
    shape = Shape(2, spare_editors=6, engine=EngineConfig(max_pending=200))
    service = Service(env, shape, Front(), GPU)
    scaling = Scaling(10, 2, 8, upscale_delay_s=5, downscale_delay_s=60, load_s=30)
    sizes = scaling.over(env, service)
    requests = [Request(0.0, Kind(4), key, key) for key in range(150)]
    env.process(service.open_loop(requests))
    env.run(600)
    assert all(each.answer is Answer.EDITED for each in requests)
    assert all(size == 2 for at, size in sizes if at <= 35)
    assert max(size for _, size in sizes) == 8
    assert sizes[-1][1] == 2
