"""Estimates: by the pace of what has run, else by what is configured, else an honest no."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.bulk.estimate import estimate, mean_forwards, planned
from serve_app.bulk.record import RowRecord, Status
from serve_app.bulk.row import Row
from serve_app.config import (
    Actors,
    BulkConfig,
    FewStepConfig,
    ModelConfig,
    PlanningConfig,
    ServiceConfig,
)
from serve_app.edits.request import EditType

from .finished import ledger_of


def config(**bulk: Any) -> ServiceConfig:
    return ServiceConfig(bulk=BulkConfig(**bulk))


def row(prompt: str = "make the car red", **asked: Any) -> Row:
    return Row(1, "car", ("car.png",), None, {"prompt": prompt, **asked})


def ended(number: int, begun_at: float, seconds: float, **facts: Any) -> RowRecord:
    given = {"true_cfg_scale": 4.0, "num_inference_steps": 50} | facts
    return RowRecord(
        number,
        f"id-{number}",
        Status.SUCCEEDED,
        begun_at + seconds,
        seconds=seconds,
        **given,
    )


# What is planned.


def test_a_row_is_planned_as_the_service_would() -> None:
    edit = planned(row(), ServiceConfig())
    assert (edit.id, edit.prompt) == ("car", "make the car red")
    assert edit.edit_type is EditType.APPEARANCE
    assert (edit.steps, edit.scale, edit.forwards) == (50, 4.5, 100)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"edit_type": "text"}, (75, 4.0, 150)),
        ({"num_inference_steps": 8}, (8, 4.5, 16)),
        ({"true_cfg_scale": 1.0}, (50, 1.0, 50)),  # without guidance a step is one forward
    ],
    ids=str,
)
def test_what_a_row_asks_for_counts(asked: dict[str, Any], expected: tuple[int, ...]) -> None:
    edit = planned(row(**asked), ServiceConfig())
    assert (edit.steps, edit.scale, edit.forwards) == expected


def test_the_configuration_counts() -> None:
    few = ServiceConfig(planning=PlanningConfig(num_inference_steps=4, true_cfg_scale=1.0))
    assert planned(row(), few).forwards == 4


@pytest.mark.parametrize(
    ("asked", "forwards"),
    [({}, 4), ({"quality": "best"}, 100), ({"num_inference_steps": 10}, 20)],
    ids=str,
)
def test_where_there_are_drafts_they_come_first(asked: dict[str, Any], forwards: int) -> None:
    drafts = FewStepConfig(adapter="miniature", use="drafts")
    config = ServiceConfig(model=ModelConfig(few_step=drafts))
    assert planned(row(**asked), config).forwards == forwards


def test_long_prompts_are_cut_for_showing() -> None:
    edit = planned(row("make  it\nblue " * 50), ServiceConfig())
    assert len(edit.prompt) <= 80
    assert edit.prompt.startswith("make it blue make it blue")
    assert edit.prompt.endswith("…")


def test_forwards_are_averaged() -> None:
    rows = [row(), row(num_inference_steps=10), row(true_cfg_scale=1.0)]
    assert mean_forwards(rows, ServiceConfig()) == pytest.approx((100 + 20 + 50) / 3)
    assert mean_forwards([], ServiceConfig()) == 0.0


# How long it takes.


def test_nothing_known_says_how_to_find_out() -> None:
    found = estimate(1000, 100.0, None, config(price_per_hour=2.0))
    assert (found.seconds, found.price) == (None, None)
    assert "--limit 20" in found.basis


def test_the_configured_pace_is_taken_before_any_row_has_run() -> None:
    bulk = config(seconds_per_forward=0.02, price_per_hour=3.0, editors=Actors(number=4))
    found = estimate(7200, 100.0, None, bulk)
    assert found.seconds == pytest.approx(7200 * 100 * 0.02 / 4)  # an hour
    assert found.price == pytest.approx(4 * 3.0)
    assert "seconds_per_forward" in found.basis


def test_a_few_rows_are_not_believed() -> None:
    four = ledger_of(ended(number, 0.0, 10.0) for number in range(4))
    assert estimate(10, 100.0, four, config()).seconds is None
    refused = ledger_of(
        RowRecord(n, f"id-{n}", Status.FAILED, 1e9, "image_not_found", "Gone.") for n in range(9)
    )
    assert estimate(10, 100.0, refused, config()).seconds is None


def test_rows_that_ran_one_after_the_other_tell_their_pace() -> None:
    records = ledger_of(ended(n, 10.0 * n, 10.0) for n in range(6))
    found = estimate(100, 100.0, records, config(price_per_hour=3.6))
    assert found.seconds == pytest.approx(1000.0)
    assert found.price == pytest.approx(1.0)
    assert "6 rows" in found.basis


def test_rows_that_ran_together_are_faster_than_each_seems() -> None:
    """Ten at once, one ending every second: a row a second, whatever each took."""
    records = ledger_of(ended(n, float(n), 10.0) for n in range(1, 1001))
    found = estimate(5000, 100.0, records, config(in_flight=10))
    assert found.seconds == pytest.approx(5000.0, rel=0.01)


def test_a_pause_between_two_runs_costs_nothing() -> None:
    once = [ended(n, 10.0 * n, 10.0) for n in range(6)]
    later = [ended(n, 1e6 + 10.0 * n, 10.0) for n in range(6, 12)]
    found = estimate(100, 100.0, ledger_of(once + later), config())
    assert found.seconds == pytest.approx(1000.0)


def test_the_pace_is_that_of_all_editors_together() -> None:
    """Two editors with four rows each, of 8 s: a row a second."""
    records = ledger_of(ended(n, 8.0 * (n // 8), 8.0) for n in range(80))
    found = estimate(100, 100.0, records, config(editors=Actors(number=2), in_flight=4))
    assert found.seconds == pytest.approx(100.0)


def test_fewer_steps_take_less() -> None:
    records = ledger_of(ended(n, 10.0 * n, 10.0) for n in range(6))
    assert estimate(100, 25.0, records, config()).seconds == pytest.approx(250.0)


def test_further_attempts_are_part_of_the_pace() -> None:
    """A row that took two attempts took as long; what is planned are first attempts."""
    records = ledger_of(ended(n, 20.0 * n, 20.0, attempts=2, forwards=200) for n in range(6))
    assert estimate(100, 100.0, records, config()).seconds == pytest.approx(2000.0)


@pytest.mark.parametrize("records", [None, ledger_of([])])
def test_without_rows_nothing_is_left(records: Any) -> None:
    found = estimate(0, 0.0, records, config(price_per_hour=2.0))
    assert (found.seconds, found.price) == (0.0, 0.0)


@given(
    times=st.lists(
        st.tuples(st.floats(1e9, 1e9 + 1e4), st.floats(0.0, 1e3)), min_size=5, max_size=30
    ),
    editors=st.integers(1, 4),
)
def test_an_estimate_is_never_negative_and_grows_with_the_rows(
    times: list[tuple[float, float]], editors: int
) -> None:
    records = ledger_of(ended(n, begun, took) for n, (begun, took) in enumerate(times))
    bulk = config(editors=Actors(number=editors))
    one, two = (estimate(rows, 100.0, records, bulk).seconds for rows in (1, 2))
    assert one is not None
    assert two == pytest.approx(2 * one)
    assert one >= 0
