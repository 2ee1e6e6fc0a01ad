"""Costs by rows, the ring, the choice among editors, and what the plan is made from."""

from __future__ import annotations

import itertools
import statistics

import pytest
import simpy

from benchmarks.scale.affinity import Affinity, Ring
from benchmarks.scale.calibrating import without
from benchmarks.scale.choosing import choice_s
from benchmarks.scale.cores import Cores
from benchmarks.scale.costs import Affine, Curve, Device
from benchmarks.scale.editors import Editor
from benchmarks.scale.h200 import bursts, device
from benchmarks.scale.requests import Kind, arrivals
from serve_app.config import EngineConfig


@pytest.mark.parametrize(
    ("rows", "seconds"), [(1, 0.4), (2, 0.8), (3, 1.1), (4, 1.4), (8, 2.6), (16, 5.0)]
)
def test_a_curve_is_measured_points_and_the_lines_between_and_beyond(
    rows: int, seconds: float
) -> None:
    assert Curve({1: 0.4, 2: 0.8, 4: 1.4, 8: 2.6})(rows) == pytest.approx(seconds)


def test_an_engine_that_has_run_for_a_while_knows_its_device() -> None:
    device = Device(Affine(0.1, 0.05), Affine(0.2, 0.0), 0.1, tokens=64, beside=False)
    costs = device.learned(range(1, 9))
    assert [costs.steps.seconds(64, rows) for rows in (1, 5, 8)] == pytest.approx(
        [device.step(rows) for rows in (1, 5, 8)]
    )
    assert costs.decoding.seconds(64, 1) == pytest.approx(0.1)


def test_simulated_bursts_take_as_long_as_the_gpu_did() -> None:
    for burst in bursts().values():
        assert burst["simulated_mean_s"] == pytest.approx(burst["measured_mean_s"], rel=0.15)
        assert burst["simulated_last_s"] == pytest.approx(burst["measured_last_s"], rel=0.15)


def test_on_a_gpu_a_large_picture_gains_nothing_from_company_and_a_small_one_does() -> None:
    large, small = device(1024).step, device(512).step
    assert large(8) > 7.5 * large(1)
    assert small(8) < 6.5 * small(1)


@pytest.fixture
def ring() -> Ring:
    env = simpy.Environment()
    device = Device(Affine(0.1, 0.05), Affine(0.2, 0.0), 0.1, tokens=64, beside=False)
    editors = [Editor(env, name, Cores(env), device, EngineConfig()) for name in range(4)]
    for editor in editors:
        editor.start()
    return Ring(editors)


def test_a_subject_stays_at_its_editor_and_goes_to_the_same_one_elsewhere(ring: Ring) -> None:
    affinity = Affinity(ring)
    for subject in range(50):
        home, second = list(ring.ranked(subject))[:2]
        assert affinity.choose(subject, 4) is home
        assert affinity.choose(subject, 4, elsewhere=True) is second


def test_a_popular_subject_is_shared_by_editors_within_bounds(ring: Ring) -> None:
    affinity = Affinity(ring)
    for _ in range(40):
        editor = affinity.choose(7, 4)
        assert editor is not None
        affinity.sent(editor)
    loads = sorted(affinity.load(editor) for editor in ring.editors)
    assert sum(loads) == 40
    assert loads[-1] <= 13  # a quarter above the mean


def test_nobody_is_sent_to_the_dead(ring: Ring) -> None:
    affinity = Affinity(ring)
    for editor in ring.editors[:3]:
        editor.kill()
    assert affinity.choose(1, 1) is ring.editors[3]
    assert affinity.choose(1, 1, elsewhere=True) is ring.editors[3]
    ring.editors[3].kill()
    assert affinity.choose(1, 0) is None


def test_arrivals_have_their_rate_their_mix_and_their_repeats() -> None:
    kinds = [Kind(4, weight=3), Kind(50)]
    requests = list(arrivals(3, 10.0, 2000, kinds, repeats=0.25))
    assert len(requests) == pytest.approx(20_000, rel=0.03)
    assert len({request.key for request in requests}) == pytest.approx(15_000, rel=0.03)
    short = sum(each.kind.steps == 4 for each in requests)
    assert short / len(requests) == pytest.approx(0.75, abs=0.03)
    gaps = [later.at - each.at for each, later in itertools.pairwise(requests)]
    assert statistics.stdev(gaps) == pytest.approx(0.1, rel=0.05)  # as long as their mean


def test_what_is_spent_is_without_what_idling_takes() -> None:
    spent = without({"router": 3.0, "jobs": 0.5, "new": 1.0}, {"router": 0.1, "jobs": 0.2}, 10.0)
    assert spent == pytest.approx({"router": 2.0, "jobs": -1.5, "new": 1.0})


def test_the_routers_choice_can_be_measured_without_a_cluster() -> None:
    assert choice_s(3) > 0
