"""Shared cores against what queueing theory says."""

from __future__ import annotations

import math
import random
import statistics

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale.cores import Cores
from benchmarks.scale.parts import Process


def mean_time(number: float, load: float, count: int = 60_000, seed: int = 0) -> float:
    """Mean time in the system: Poisson arrivals of exponential work of one second on average."""
    env, draw = simpy.Environment(), random.Random(seed)
    cores, taken = Cores(env, number), []

    def come() -> Process:
        for _ in range(count):
            yield env.timeout(draw.expovariate(load * number))
            env.process(be_served(draw.expovariate(1.0)))

    def be_served(seconds: float) -> Process:
        arrived = env.now
        yield cores.run(seconds)
        taken.append(env.now - arrived)

    env.process(come())
    env.run()
    assert len(taken) == count
    return statistics.mean(taken)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_shared_core_is_the_queue_m_m_1_ps(load: float) -> None:
    assert mean_time(1, load) == pytest.approx(1 / (1 - load), rel=0.06)


def test_two_shared_cores_take_as_long_as_two_servers_with_one_queue() -> None:
    """The number present has the same law as in M/M/2, and so has its mean (Little)."""
    load = 0.7
    assert mean_time(2, load) == pytest.approx(1 / (1 - load**2), rel=0.06)


def test_without_bounds_nobody_waits() -> None:
    env = simpy.Environment()
    cores = Cores(env, math.inf)
    tasks = [cores.run(seconds) for seconds in (3.0, 1.0, 2.0)]
    env.run(tasks[0])
    assert env.now == 3.0
    assert all(task.triggered for task in tasks)


def test_who_goes_first_leaves_the_others_what_remains() -> None:
    env = simpy.Environment()
    cores = Cores(env, 1.5)
    computes, hurries = cores.run(1.0), cores.run(1.0, first=True)
    env.run(hurries)
    assert env.now == pytest.approx(1.0 / 1.0)
    env.run(computes)
    assert env.now == pytest.approx(1.0 + 0.5)


def test_nobody_starves_behind_those_who_go_first() -> None:
    env = simpy.Environment()
    cores = Cores(env, 1)
    computes = cores.run(1.0)
    for _ in range(100):
        cores.run(10.0, first=True)
    env.run(computes)
    assert env.now < 100


def test_whoever_is_withdrawn_leaves_its_share_to_the_others() -> None:
    env = simpy.Environment()
    cores = Cores(env, 1)
    stays, leaves = cores.run(1.0), cores.run(5.0)
    env.run(1.0)
    cores.withdraw(leaves)
    env.run(stays)
    assert env.now == pytest.approx(1.5)
    env.run()
    assert not leaves.triggered


@given(
    st.lists(
        st.tuples(st.floats(0, 10), st.floats(0.001, 5), st.booleans()), min_size=1, max_size=20
    ),
    st.floats(0.5, 3),
)
def test_work_is_conserved(tasks: list[tuple[float, float, bool]], number: float) -> None:
    env = simpy.Environment()
    cores, ends = Cores(env, number), []

    def come(at: float, seconds: float, first: bool) -> Process:
        yield env.timeout(at)
        yield cores.run(seconds, first)
        assert env.now >= at + seconds - 1e-6
        ends.append(env.now)

    for task in tasks:
        env.process(come(*task))
    env.run()
    work = sum(seconds for _, seconds, _ in tasks)
    assert len(ends) == len(tasks)
    assert cores.busy_s == pytest.approx(work, abs=1e-5)
    assert max(ends) <= max(at for at, _, _ in tasks) + work / min(1.0, number) + 1e-6
