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


def expected_time(number: float, load: float) -> float:
    """Of the queue whose requests are done at the rate of the cores that they use (Little)."""
    shares, used, arrive = [1.0], 0.0, load * number
    while shares[-1] > 1e-12:
        used += 1 - used / number  # one more is on a free core with the share of those free
        shares.append(shares[-1] * arrive / used)
    return sum(n * share for n, share in enumerate(shares)) / sum(shares) / arrive


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_shared_core_is_the_queue_m_m_1_ps(load: float) -> None:
    assert expected_time(1, load) == pytest.approx(1 / (1 - load))
    assert mean_time(1, load) == pytest.approx(1 / (1 - load), rel=0.06)


@pytest.mark.parametrize("number", [1.5, 2.0])
def test_several_cores_are_used_as_far_as_chance_spreads_the_tasks(number: float) -> None:
    assert mean_time(number, 0.6) == pytest.approx(expected_time(number, 0.6), rel=0.06)


def test_without_bounds_nobody_waits() -> None:
    env = simpy.Environment()
    cores = Cores(env, math.inf)
    tasks = [cores.run(seconds) for seconds in (3.0, 1.0, 2.0)]
    env.run(tasks[0])
    assert env.now == 3.0
    assert all(task.triggered for task in tasks)


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


@pytest.mark.parametrize("number", [1.0, math.inf])
def test_what_is_left_of_a_task_goes_at_the_new_pace(number: float) -> None:
    env = simpy.Environment()
    cores = Cores(env, number)
    task = cores.run(3.0)
    env.run(1.0)
    cores.slow_down(1.5)
    env.run(task)
    assert env.now == pytest.approx(1.0 + 2.0 * 1.5)


def test_whoever_joins_takes_a_share_until_it_leaves() -> None:
    env = simpy.Environment()
    cores = Cores(env, 1)
    task = cores.run(3.0)
    cores.join()
    env.run(2.0)
    cores.leave()
    env.run(task)
    assert env.now == pytest.approx(4.0)


def test_a_task_alone_has_a_core() -> None:
    with pytest.raises(ValueError, match="less than"):
        Cores(simpy.Environment(), 0.9)


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0.001, 5)), min_size=1, max_size=20),
    st.floats(1, 3),
)
def test_work_is_conserved(tasks: list[tuple[float, float]], number: float) -> None:
    env = simpy.Environment()
    cores, ends = Cores(env, number), []

    def come(at: float, seconds: float) -> Process:
        yield env.timeout(at)
        yield cores.run(seconds)
        assert env.now >= at + seconds - 1e-6
        ends.append(env.now)

    for at, seconds in tasks:
        env.process(come(at, seconds))
    env.run()
    work = sum(seconds for _, seconds in tasks)
    assert len(ends) == len(tasks)
    assert cores.busy_s == pytest.approx(work, abs=1e-5)
    assert max(ends) <= max(at for at, _ in tasks) + work + 1e-6
