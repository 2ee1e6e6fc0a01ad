"""What a bulk run will take: the edits it plans, its time, its price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve_app.bulk.row import Row
from serve_app.bulk.wording import shortened
from serve_app.config import ServiceConfig
from serve_app.edits.attempt import AttemptPlan
from serve_app.edits.model import FewStepDrafts
from serve_app.edits.planning import decide
from serve_app.edits.recorded import recorded_request
from serve_app.edits.request import EditType

LEAST_ROWS = 5
"""Rows that must have ended before a run's own pace is believed."""

_PROMPT_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Estimate:
    """``seconds`` and ``price`` of what is left, ``None`` where that is not known.

    ``price`` is in the currency of ``bulk.price_per_hour``. ``basis`` says in a sentence where
    the time is from, or how to find it out.
    """

    seconds: float | None
    price: float | None
    basis: str


@dataclass(frozen=True, slots=True)
class PlannedEdit:
    """The first attempt at a row; ``forwards`` are passes of the transformer."""

    id: str
    prompt: str
    edit_type: EditType
    steps: int
    scale: float
    forwards: int


def planned(row: Row, config: ServiceConfig) -> PlannedEdit:
    """What will be done with ``row``, by the rules of the service and without its pixels."""
    decided = decide(recorded_request(row.asked, ()), config.planning, _drafts(config))
    first = decided.drafts or decided
    steps, scale = first.num_inference_steps, first.true_cfg_scale
    return PlannedEdit(
        id=row.id,
        prompt=shortened(decided.prompt, _PROMPT_CHARACTERS),
        edit_type=decided.edit_type,
        steps=steps,
        scale=scale,
        forwards=AttemptPlan(1, 0, decided.prompt, scale, steps).forwards,
    )


def mean_forwards(rows: Iterable[Row], config: ServiceConfig) -> float:
    """Passes of the transformer that the first attempt at a row takes; 0 without rows."""
    each = [planned(row, config).forwards for row in rows]
    return fmean(each) if each else 0.0


def estimate(
    rows: int, forwards: float, records: pa.Table | None, config: ServiceConfig
) -> Estimate:
    """How long ``rows`` rows of ``forwards`` passes each take, and what they cost.

    ``records`` is the ledger of this run (``record.SCHEMA``), if it has one. Rows that ended
    tell the time, further attempts and answers of the cache included; else
    ``bulk.seconds_per_forward`` does.
    """
    if rows <= 0:
        return Estimate(0.0, _price(0.0, config), "No row is left to run.")
    ended = None if records is None else _ended(records)
    if ended is not None and len(ended.seconds) >= LEAST_ROWS:
        per_row = _seconds_per_row(ended, forwards, config)
        basis = f"By the pace of the {len(ended.seconds):,} rows of this run that have ended."
    elif config.bulk.seconds_per_forward is not None:
        per_row = config.bulk.seconds_per_forward * forwards
        basis = (
            f"By `bulk.seconds_per_forward` and {forwards:.4g} forwards a row, without further "
            "attempts."
        )
    else:
        return Estimate(
            None,
            None,
            "Not known before some rows have run: run it with `--limit 20` and ask again.",
        )
    seconds = rows * per_row / config.bulk.editors.number
    return Estimate(seconds, _price(seconds, config), basis)


def _drafts(config: ServiceConfig) -> FewStepDrafts | None:
    drafts = config.model.drafts
    return None if drafts is None else FewStepDrafts(drafts.steps, drafts.true_cfg_scale)


def _price(seconds: float, config: ServiceConfig) -> float | None:
    bulk = config.bulk
    if bulk.price_per_hour is None:
        return None
    return seconds / 3600 * bulk.editors.number * bulk.price_per_hour


@dataclass(frozen=True, slots=True, eq=False)
class _Ended:
    """Of rows that ended: how long each took and when it ended, seconds; forwards planned."""

    seconds: NDArray[np.float64]
    ended_at: NDArray[np.float64]
    forwards: NDArray[np.float64]


def _ended(records: pa.Table) -> _Ended:
    timed = records.filter(
        pc.and_(pc.is_valid(records["seconds"]), pc.is_valid(records["ended_at"]))
    )
    guided = pc.if_else(pc.greater(timed["true_cfg_scale"], 1.0), 2.0, 1.0)
    forwards = pc.multiply(pc.cast(timed["num_inference_steps"], pa.float64()), guided)
    return _Ended(
        timed["seconds"].to_numpy(),
        timed["ended_at"].to_numpy(),
        forwards.drop_null().to_numpy(),
    )


def _seconds_per_row(ended: _Ended, forwards: float, config: ServiceConfig) -> float:
    """Seconds that a row holds one editor.

    A row's own seconds are those of a row among others. By Little's law the rows that end in
    a second are the rows at once over the mean of their seconds: at most ``bulk_in_flight``,
    and fewer where a run was short.
    """
    at_once = ended.seconds.sum() / max(_busy_s(ended), 1e-9) / config.bulk.editors.number
    at_once = min(max(at_once, 1.0 / config.bulk.editors.number), config.bulk_in_flight)
    per_row = float(ended.seconds.mean() / at_once)
    # A draft that failed is followed by a full edit, so there the plan doesn't tell the cost.
    if forwards > 0 and len(ended.forwards) and config.model.drafts is None:
        per_row *= forwards / float(ended.forwards.mean())
    return per_row


def _busy_s(ended: _Ended) -> float:
    """Seconds in which some row was being edited; those between two runs don't count."""
    begun = ended.ended_at - ended.seconds
    order = np.argsort(begun, kind="stable")
    begun, until = begun[order], np.maximum.accumulate(ended.ended_at[order])
    idle = np.maximum(0.0, begun[1:] - until[:-1]).sum()
    return float(until[-1] - begun[0] - idle)
