"""The scheduling policy under a simulated clock."""

from __future__ import annotations

import copy
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.policies import FirstComeFirstServed
from benchmarks.simulation import Edit, StepSeconds, simulate
from benchmarks.traces import SIZE_1024, h200_step_seconds, percentile, poisson
from serve_app.config import SchedulingConfig
from serve_app.engine.costs import Costs
from serve_app.engine.policy import LeastWorkFirst, Work

STEP_S = 0.1
AGING = SchedulingConfig().aging
PRIORITY_S = SchedulingConfig().priority_s


def proportional(tokens: int, rows: int) -> float:
    """A device that gains nothing from batches."""
    return STEP_S * rows * tokens / 100


def nearly_free(tokens: int, rows: int) -> float:
    return STEP_S * (1 + 0.01 * (rows - 1)) * tokens / 100


def knowing(step_seconds: StepSeconds, most: int = 16, tokens: tuple[int, ...] = (100,)) -> Costs:
    costs = Costs()
    for size in tokens:
        for rows in range(1, most + 1):
            for _ in range(3):
                costs.steps.observe(size, rows, step_seconds(size, rows))
    return costs


def policy(costs: Costs, max_requests: int = 8, **settings_: float) -> LeastWorkFirst:
    return LeastWorkFirst(costs, SchedulingConfig(**settings_), max_requests)


def work(steps: int = 10, key: object = "a", **given_: object) -> Work:
    facts: dict[str, object] = {"tokens": 100, "rows": 1, "arrived": 0.0, "encoded": True}
    facts |= given_
    return Work(key, remaining_steps=steps, **facts)  # type: ignore[arg-type]


def run(
    trace: list[Edit], step_seconds: StepSeconds = proportional, **kwargs: float
) -> list[float]:
    costs = Costs()
    return simulate(policy(costs, **kwargs), trace, step_seconds, costs)  # type: ignore[arg-type]


# Order


def test_the_least_remaining_work_comes_first() -> None:
    costs = knowing(proportional)
    long, short, half_done = work(50), work(4), work(20)
    assert policy(costs).ranked([long, half_done, short], 0.0) == [short, half_done, long]


def test_work_is_seconds_and_not_steps() -> None:
    costs = knowing(proportional, tokens=(100, 1000))
    few_large, many_small = work(5, tokens=1000), work(20, tokens=100)
    assert policy(costs).ranked([few_large, many_small], 0.0) == [many_small, few_large]


def test_equals_keep_their_order_of_arrival() -> None:
    works = [work(arrived=float(n)) for n in range(5)]
    assert policy(knowing(proportional)).ranked(works[::-1], 10.0) == works


def test_nothing_present_gives_nothing_to_run() -> None:
    assert policy(Costs()).choose([], 0.0) == []


def test_a_level_of_priority_is_worth_so_many_seconds_of_work() -> None:
    costs = knowing(proportional)
    steps = round(PRIORITY_S / STEP_S)
    urgent_long, short = work(steps + 9, priority=6), work(10)
    assert policy(costs).ranked([short, urgent_long], 0.0) == [urgent_long, short]
    longer = work(steps + 11, priority=6)
    assert policy(costs).ranked([longer, short], 0.0) == [short, longer]


def test_the_lowest_priority_still_precedes_newcomers_after_waiting() -> None:
    costs = knowing(proportional)
    patient, newcomer = work(10, priority=0), work(1, priority=5, arrived=0.0)
    wait_s = (5 * PRIORITY_S + 10 * STEP_S) / AGING
    newcomer.arrived = wait_s
    assert policy(costs).ranked([newcomer, patient], wait_s)[0] is patient


def test_a_short_edit_overtakes_a_long_one_at_the_next_step() -> None:
    long, short = Edit(0.0, 100, 100), Edit(1.05, 4, 100)
    waited = simulate(policy(knowing(proportional)), [long, short], proportional)
    assert waited[1] <= (4 + 1) * STEP_S + 1e-9
    assert waited[0] == pytest.approx(104 * STEP_S)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 20),
            st.integers(1, 60),
            st.sampled_from([50, 100, 400]),
            st.integers(0, 9),
            st.sampled_from(["", "a", "b"]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([proportional, nearly_free, h200_step_seconds]),
)
def test_everybody_finishes_and_nobody_starves(
    drawn: list[tuple[float, int, int, int, str]], step_seconds: StepSeconds
) -> None:
    trace = [
        Edit(at, steps, tokens, 1, None, priority, tenant)
        for at, steps, tokens, priority, tenant in drawn
    ]
    waited = run(trace, step_seconds)
    # Everything that came, one after another, is the longest that a busy device can take.
    everything_s = sum(edit.steps * step_seconds(edit.tokens, 1) for edit in trace)
    idle_s = max(edit.at for edit in trace)
    for edit, seconds in zip(trace, waited, strict=True):
        assert edit.finished > edit.at
        assert seconds <= everything_s * 1.05 + idle_s + 1e-6


def test_a_long_edit_gets_its_turn_in_an_endless_stream_of_short_ones() -> None:
    """Full load of short edits for ten times longer than aging should need."""
    long = Edit(0.0, 50, 100)
    span_s = 10 * 50 * STEP_S / AGING
    short = [Edit(0.4 * n, 4, 100) for n in range(int(span_s / 0.4))]
    waited = run([long, *short])
    assert waited[0] <= 50 * STEP_S * (1 + 1 / AGING) * 1.5


# Batches


def test_rows_that_cost_as_much_as_alone_are_never_added() -> None:
    chooser = policy(knowing(proportional))
    for present in (2, 3, 8, 40):
        assert len(chooser.choose([work() for _ in range(present)], 0.0)) == 1


def test_rows_that_are_nearly_free_fill_the_step() -> None:
    works = [work() for _ in range(30)]
    assert policy(knowing(nearly_free)).choose(works, 0.0) == works[:8]


def test_only_what_can_share_a_forward_is_added() -> None:
    mine, others = [work(10) for _ in range(3)], [work(11, key="b") for _ in range(3)]
    assert policy(knowing(nearly_free)).choose([*others, *mine], 0.0) == mine


def test_memory_bounds_the_rows_of_a_step_but_never_refuses_the_first() -> None:
    costs = knowing(nearly_free)
    works = [work(rows=2) for _ in range(6)]
    bounded = LeastWorkFirst(costs, SchedulingConfig(), 8, lambda tokens, rows: tokens * rows < 700)
    assert len(bounded.choose(works, 0.0)) == 3
    none_fits = LeastWorkFirst(costs, SchedulingConfig(), 8, lambda _tokens, _rows: False)
    assert len(none_fits.choose(works, 0.0)) == 1


def test_few_are_spared_what_many_gain() -> None:
    """A second row at 0.9 of the first's cost: the first in line of two would lose by it."""

    def some_gain(tokens: int, rows: int) -> float:
        return STEP_S * (1 + 0.9 * (rows - 1)) * tokens / 100

    chooser = policy(knowing(some_gain))
    assert len(chooser.choose([work() for _ in range(2)], 0.0)) == 1
    assert len(chooser.choose([work() for _ in range(60)], 0.0)) > 1


def test_what_was_never_tried_is_tried() -> None:
    assert len(policy(Costs()).choose([work() for _ in range(20)], 0.0)) == 8


# Tenants


def test_one_tenant_alone_may_use_the_whole_device_without_a_debt() -> None:
    chooser = policy(knowing(proportional))
    mine = [work(5, tenant="a") for _ in range(3)]
    for _ in range(100):
        chooser.charge(mine[:1], mine, 1.0)
    other = work(6, tenant="b")
    assert chooser.ranked([other, *mine], 0.0) == [*mine, other]


def test_a_tenant_pays_for_what_its_other_edits_had() -> None:
    chooser = policy(knowing(proportional))
    first, second = work(5, tenant="crowd"), work(5, tenant="crowd")
    other = work(20, tenant="other")
    for _ in range(10):
        chooser.charge([first], [first, second, other], 1.0)
    assert chooser.ranked([second, other], 0.0) == [other, second]


def test_edits_of_many_tenants_keep_the_order_of_work() -> None:
    """Fairness is no round robin: whoever runs is not sent back for having run."""
    chooser = policy(knowing(proportional))
    works = [work(10 + n, tenant=str(n)) for n in range(6)]
    for _ in range(9):
        (chosen,) = chooser.choose(works, 0.0)
        assert chosen is works[0]
        chooser.charge([chosen], works, STEP_S)
        chosen.remaining_steps -= 1


def test_those_who_left_during_a_step_are_charged_without_trouble() -> None:
    chooser = policy(knowing(proportional))
    gone, here = work(tenant="gone"), work(tenant="here")
    chooser.charge([gone], [here], 1.0)
    chooser.charge([gone], [], 1.0)
    assert chooser.ranked([here], 0.0) == [here]


def test_a_tenant_that_sends_ten_times_more_takes_no_more_than_its_share() -> None:
    """Others' p99 is at most 1.2 times what half of a device alone would give them."""
    ratios = []
    for seed in range(4):
        others = poisson(seed, 150, 0.09, (SIZE_1024,), (4, 20), h200_step_seconds, "others")
        crowd = poisson(seed + 100, 1500, 0.9, (SIZE_1024,), (4, 20), h200_step_seconds, "crowd")
        alone = copy.deepcopy(others)
        beside = run([*others, *crowd], h200_step_seconds)[: len(others)]
        half = run(alone, lambda tokens, rows: 2 * h200_step_seconds(tokens, rows))
        ratios.append(percentile(beside, 0.99) / percentile(half, 0.99))
    assert statistics.mean(ratios) <= 1.2


def test_without_fairness_the_crowd_would_be_felt() -> None:
    """What the test above would show if the accounts did nothing."""
    others = [Edit(10.0 * n, 20, 100, tenant="others") for n in range(20)]
    crowd = [Edit(0.42 * n, 4, 100, tenant="crowd") for n in range(500)]
    with_accounts = run([*copy.deepcopy(others), *copy.deepcopy(crowd)])[: len(others)]
    without = run([*others, *crowd], fairness=0.0)[: len(others)]
    assert statistics.mean(with_accounts) < 0.8 * statistics.mean(without)


# Against the baseline


def test_short_edits_gain_and_the_mean_falls_against_first_come_first_served() -> None:
    trace = poisson(3, 400, 0.8, (100, 400), (4, 50), proportional)
    baseline = simulate(FirstComeFirstServed(), copy.deepcopy(trace), proportional)
    assert statistics.mean(run(trace)) < 0.7 * statistics.mean(baseline)


# Bounds


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 40),
            st.integers(1, 20),
            st.sampled_from([100, 400]),
            st.integers(0, 9),
            st.sampled_from(["a", "b"]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([0.0, 0.2]),
)
def test_nobody_waits_longer_than_aging_allows(
    drawn: list[tuple[float, int, int, int, str]], fairness: float
) -> None:
    """Whoever comes once ``aging`` has made up for all that an edit lacks is behind it.

    From then on each step is led by somebody who had come before.
    """
    aging, priority_s = 0.5, 0.5
    trace = [
        Edit(at, steps, tokens, 1, None, priority, tenant)
        for at, steps, tokens, priority, tenant in drawn
    ]
    all_s = sum(edit.steps * proportional(edit.tokens, 1) for edit in trace)
    chooser = policy(
        knowing(proportional, tokens=(100, 400)),
        aging=aging,
        priority_s=priority_s,
        fairness=fairness,
    )
    simulate(chooser, trace, proportional)
    for edit in trace:
        own_s = edit.steps * proportional(edit.tokens, 1)
        lacks_s = own_s + priority_s * (9 - edit.priority) + fairness * all_s
        first_behind_s = edit.at + lacks_s / aging
        before_s = sum(
            other.steps * proportional(other.tokens, 1)
            for other in trace
            if other.at <= first_behind_s
        )
        in_flight_s = proportional(400, 1)
        assert edit.finished <= first_behind_s + before_s + in_flight_s + 1e-6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 30)), min_size=1, max_size=20))
def test_one_request_for_each_tenant_is_served_as_if_there_were_none(
    drawn: list[tuple[float, int]],
) -> None:
    own = [Edit(at, steps, 100, tenant=str(n)) for n, (at, steps) in enumerate(drawn)]
    nobodys = [Edit(at, steps, 100) for at, steps in drawn]
    latencies = [
        simulate(policy(knowing(proportional)), trace, proportional) for trace in (own, nobodys)
    ]
    assert latencies[0] == latencies[1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([1, 2]), st.integers(1, 30)),
        min_size=1,
        max_size=20,
    ),
    st.integers(1, 8),
    st.integers(1, 16),
    st.sampled_from([proportional, nearly_free, h200_step_seconds]),
)
def test_whoever_shares_a_step_may(
    drawn: list[tuple[str, int, int]], most: int, fitting_rows: int, step_seconds: StepSeconds
) -> None:
    """Of one key, within the limit and the memory, the first in rank among them."""
    works = [work(steps, key=key, rows=rows) for key, rows, steps in drawn]
    chooser = LeastWorkFirst(
        knowing(step_seconds), SchedulingConfig(), most, lambda _tokens, rows: rows <= fitting_rows
    )
    chosen = chooser.choose(works, 0.0)
    assert chosen[0] is chooser.ranked(works, 0.0)[0]
    assert len(set(map(id, chosen))) == len(chosen) <= most
    assert len({it.key for it in chosen}) == 1
    assert len(chosen) == 1 or sum(it.rows for it in chosen) <= fitting_rows
