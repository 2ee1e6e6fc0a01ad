"""The figures of a report: how many rows came to what, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serve_app.bulk.record import Status
from serve_app.bulk.report.distribution import Distribution, distribution
from serve_app.bulk.report.results_file import ResultsFile
from serve_app.quality.report import Verdict

_FROM_THE_CACHE = ("hit", "joined")
_EXAMPLES = 3
_LAST_FAILED = 50


@dataclass(frozen=True, slots=True)
class FailureReason:
    """``count`` rows failed with ``code``; an example's message, and the ids of a few."""

    code: str
    count: int
    message: str
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of rows, and of those that succeeded the verdicts.

    ``last_failed`` has the latest first, each with row, id, error_code, error_message and
    ended_at; rows that were refused before the run ended before all others.
    """

    ended: int
    succeeded: int
    failed: int
    cached: int
    verdicts: Mapping[str, int]
    failures: Sequence[FailureReason]
    last_failed: Sequence[Mapping[str, Any]]
    models: Sequence[str]
    began_at: datetime | None
    ended_at: datetime | None
    seconds: Distribution | None
    attempts: Distribution | None


def figures(results: ResultsFile) -> Figures:
    """Count what is in ``results``."""
    status = results.column("status")
    verdict = results.column("verdict")
    seconds = results.column("seconds")
    ended_at = results.column("ended_at")
    failed = _failed(results, status, ended_at)
    return Figures(
        ended=len(results),
        succeeded=_count(pc.equal(status, str(Status.SUCCEEDED))),
        failed=failed.num_rows,
        cached=_count(pc.is_in(results.column("cache"), pa.array(_FROM_THE_CACHE))),
        verdicts={str(one): _count(pc.equal(verdict, str(one))) for one in Verdict},
        failures=_failures(failed),
        last_failed=_last(failed),
        models=_models(results),
        began_at=_first_began(seconds, ended_at),
        ended_at=pc.max(ended_at).as_py(),
        seconds=distribution(_numbers(seconds)),
        attempts=distribution(_numbers(results.column("attempts"))),
    )


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(column.drop_null().to_numpy(), dtype=np.float64)


def _failed(results: ResultsFile, status: pa.ChunkedArray, ended_at: pa.ChunkedArray) -> pa.Table:
    names = ("row", "id", "error_code", "error_message")
    table = pa.table({name: results.column(name) for name in names} | {"ended_at": ended_at})
    return table.filter(pc.equal(status, str(Status.FAILED)))


def _failures(failed: pa.Table) -> list[FailureReason]:
    codes = pc.fill_null(failed["error_code"], "unknown")
    reasons = []
    for one in pc.value_counts(codes).to_pylist():
        code = one["values"]
        few = failed.filter(pc.equal(codes, code)).slice(0, _EXAMPLES)
        reasons.append(
            FailureReason(
                code, one["counts"], few["error_message"][0].as_py() or "", few["id"].to_pylist()
            )
        )
    return sorted(reasons, key=lambda reason: (-reason.count, reason.code))


def _last(failed: pa.Table) -> list[dict[str, Any]]:
    moment = pc.fill_null(failed["ended_at"].cast(pa.int64()), -1)
    keys = pa.table({"moment": moment, "row": failed["row"]})
    order = pc.sort_indices(keys, sort_keys=[("moment", "descending"), ("row", "descending")])
    return list(failed.take(order[:_LAST_FAILED]).to_pylist())


def _models(results: ResultsFile) -> list[str]:
    table = (
        pa.table({name: results.column(name) for name in ("model", "model_revision")})
        .group_by(["model", "model_revision"])
        .aggregate([])
    )
    named = [row for row in table.to_pylist() if row["model"] is not None]
    return sorted(
        f"{row['model']} ({row['model_revision']})" if row["model_revision"] else row["model"]
        for row in named
    )


def _first_began(seconds: pa.ChunkedArray, ended_at: pa.ChunkedArray) -> datetime | None:
    """When the first row began, which is not always the one that ended first."""
    ended_ms = ended_at.cast(pa.int64())
    began_ms = pc.min(pc.subtract(ended_ms, pc.multiply(pc.fill_null(seconds, 0.0), 1000.0)))
    if began_ms.as_py() is None:
        return None
    moment: datetime = pa.scalar(int(began_ms.as_py()), pa.timestamp("ms", "UTC")).as_py()
    return moment
