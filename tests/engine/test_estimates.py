"""When edits will be done, what those who wait are told, and which can't make it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.policies import FirstComeFirstServed
from serve_app.config import EngineConfig, SchedulingConfig
from serve_app.engine.costs import Costs
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.estimates import Estimates
from serve_app.engine.load import Checkpoint
from serve_app.engine.policy import LeastWorkFirst, Work, forecast, remaining_s
from serve_app.engine.state import CanvasTask, Ticket
from serve_app.errors import DeadlineExceeded
from tests.engine.tasks import photo, task
from tests.engine.watched import Watched, alone, small

STEP_S, ENCODING_S, DECODING_S = 0.5, 2.0, 3.0
NOTHING = CanvasTask((), (), 64, 64, "x", " ", 1.0, 1, 0)


def measured() -> Costs:
    """A device where a second row costs half of the first."""
    costs = Costs()
    for _ in range(3):
        costs.encoding.observe(100, 1, ENCODING_S)
        costs.decoding.observe(100, 1, DECODING_S)
        costs.steps.observe(100, 1, STEP_S)
        costs.steps.observe(100, 2, 1.5 * STEP_S)
    return costs


def work(steps: int, *, encoded: bool = True, arrived: float = 0.0) -> Work:
    return Work("a", 100, 1, steps, arrived, encoded=encoded)


def ticket(steps: int, arrived: float = 0.0) -> Ticket:
    made = Ticket(NOTHING, None)
    made.work = work(steps, arrived=arrived)
    return made


# Forecasts


def test_nothing_measured_is_not_an_estimate() -> None:
    assert forecast([work(5), work(7)], Costs()) == [0.0, 0.0]
    assert Estimates(Costs()).eta_s(work(5)) is None


def test_an_edit_needs_its_encoding_its_steps_and_its_decoding() -> None:
    costs = measured()
    assert remaining_s(work(4), costs) == pytest.approx(4 * STEP_S + DECODING_S)
    assert remaining_s(work(4, encoded=False), costs) == pytest.approx(
        ENCODING_S + 4 * STEP_S + DECODING_S
    )
    assert Estimates(costs).eta_s(work(0)) == pytest.approx(DECODING_S)


def test_those_behind_wait_for_those_ahead_at_their_cheapest() -> None:
    """Two rows cost 1.5 steps: each row of the first one's costs three quarters of a step."""
    first_s, second_s = forecast([work(10), work(2)], measured())
    assert first_s == pytest.approx(10 * STEP_S + DECODING_S)
    assert second_s == pytest.approx(10 * 0.75 * STEP_S + 2 * STEP_S + DECODING_S)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_nobody_is_forecast_before_the_time_needed_alone(steps: list[int]) -> None:
    costs = measured()
    works = [work(count) for count in steps]
    done_in = forecast(works, costs)
    assert len(done_in) == len(works)
    for it, seconds in zip(works, done_in, strict=True):
        assert seconds >= remaining_s(it, costs)
    more = forecast([*works, work(1)], costs)
    assert more[:-1] == done_in  # whoever comes last delays nobody


# The queue


def test_those_who_wait_are_told_their_place_and_only_when_it_changes() -> None:
    estimates, policy = Estimates(measured()), FirstComeFirstServed()
    first, second, third = crowd = [ticket(5, arrived=float(n)) for n in range(3)]
    told = estimates.news(crowd, policy, [first.work])
    assert [(it, event.position) for it, event in told] == [(second, 1), (third, 2)]
    etas = [event.eta_s for _, event in told]
    assert etas == pytest.approx(forecast([it.work for it in crowd], measured())[1:])
    newcomer = ticket(5, arrived=3.0)
    told = estimates.news([*crowd, newcomer], policy, [first.work])
    assert [(it, event.position) for it, event in told] == [(newcomer, 3)]
    told = estimates.news([second, third, newcomer], policy, [second.work])
    assert [(it, event.position) for it, event in told] == [(third, 1), (newcomer, 2)]
    assert estimates.news([second, third, newcomer], policy, [second.work]) == []


def test_a_place_is_told_before_anything_is_measured() -> None:
    (told,) = Estimates(Costs()).news([ticket(5)], FirstComeFirstServed(), [])
    assert (told[1].position, told[1].eta_s) == (0, None)


def test_the_backlog_is_what_the_last_one_waits_for() -> None:
    costs = measured()
    estimates = Estimates(costs)
    policy = LeastWorkFirst(costs, SchedulingConfig(), 8)
    crowd = [ticket(count) for count in (20, 5, 10)]
    estimates.news(crowd, policy, [])
    ranked = [crowd[n].work for n in (1, 2, 0)]
    assert estimates.backlog_s == pytest.approx(forecast(ranked, costs)[-1])
    estimates.news([], policy, [])
    assert estimates.backlog_s == 0.0


def test_places_in_a_queue_only_fall_where_nobody_overtakes(plus: Checkpoint) -> None:
    loop = DeviceLoop(plus, EngineConfig(), FirstComeFirstServed(), beside=False)
    gate = Watched(small(plus))
    crowd = [Watched(small(plus, steps=4, seed=n)) for n in range(5)]
    gate.at[1] = lambda: [loop.submit(it.ticket) for it in crowd]
    try:
        loop.submit(gate.ticket)
        for watched in crowd:
            watched.result()
    finally:
        loop.close()
    for number, watched in enumerate(crowd):
        places = [event.position for event in watched.queued]
        assert places == list(range(number + 1, 0, -1))
        assert watched.events[: len(places)] == watched.queued  # before its first step


def test_those_behind_move_up_when_somebody_leaves(plus: Checkpoint) -> None:
    loop = DeviceLoop(plus, EngineConfig(), FirstComeFirstServed(), beside=False)
    gate = Watched(small(plus, steps=6))
    crowd = [Watched(small(plus, seed=n)) for n in range(4)]
    leaver, stayed = crowd[1], [crowd[0], *crowd[2:]]
    gate.at = {
        1: lambda: [loop.submit(it.ticket) for it in crowd],
        3: leaver.ticket.future.cancel,
    }
    try:
        loop.submit(gate.ticket)
        for watched in (gate, *stayed):
            watched.result()
    finally:
        loop.close()
    assert gate.queued == []  # who begins at once, and who runs, is told of steps alone
    places = [[event.position for event in watched.queued] for watched in crowd]
    assert places == [[1], [2], [3, 2, 1], [4, 3, 2, 1]]
    assert leaver.events == leaver.queued
    etas = [event.eta_s for event in crowd[3].queued]
    assert all(eta is not None and 0 < eta < 3600 for eta in etas[1:])  # three steps were made


def test_steps_say_when_the_edit_is_done_once_enough_were_measured(plus: Checkpoint) -> None:
    loop = DeviceLoop(plus, EngineConfig())
    watched = Watched(small(plus, steps=12))
    try:
        loop.submit(watched.ticket)
        watched.result()
    finally:
        loop.close()
    etas = [step.eta_s for step in watched.steps]
    assert etas[:2] == [None, None]
    assert all(eta is not None and eta > 0 for eta in etas[3:-1])


# Deadlines


def test_an_edit_is_too_late_only_if_the_whole_device_could_not_finish_it() -> None:
    estimates = Estimates(measured())
    for steps, deadline_s, late in ((10, 7.0, True), (10, 60.0, False), (0, -1.0, False)):
        late_or_not = ticket(steps)
        late_or_not.work.deadline = late_or_not.submitted + deadline_s
        assert estimates.too_late(late_or_not) == late
    assert not estimates.too_late(ticket(10_000))  # no deadline


@pytest.mark.parametrize("beside", [False, True])
def test_what_can_not_be_done_in_time_is_refused_before_it_costs_a_step(
    plus: Checkpoint, beside: bool
) -> None:
    loop = DeviceLoop(plus, EngineConfig(), beside=beside)
    try:
        alone(loop, small(plus, steps=6))  # its cost is measured now
        steps = loop.steps
        hopeless = Watched(small(plus, steps=10**6), deadline_s=5.0)
        loop.submit(hopeless.ticket)
        error = hopeless.error()
        assert isinstance(error, DeadlineExceeded)
        assert error.param == "deadline_s"
        assert (hopeless.steps, loop.steps) == ([], steps)
        patient = Watched(small(plus, steps=6), deadline_s=100.0)
        loop.submit(patient.ticket)
        assert patient.result().finite
        assert loop.steps == steps + 6
    finally:
        loop.close()
    assert loop.pending() == 0


def test_a_deadline_that_has_passed_is_told_before_anything_is_measured(plus: Checkpoint) -> None:
    loop = DeviceLoop(plus, EngineConfig())
    try:
        late = Ticket(task(plus, (photo(1, 64, 64),)), None, deadline_s=0.0)
        loop.submit(late)
        assert type(late.future.exception(timeout=60)) is DeadlineExceeded
        assert loop.steps == 0
    finally:
        loop.close()
