"""What the checks came to in each row of the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve_app.bulk.report.distribution import Distribution, distribution
from serve_app.bulk.report.results_file import ResultsFile
from serve_app.config import QualityConfig
from serve_app.edits.request import EditType
from serve_app.quality.table import TABLE, Rule, with_limits

Counts = NDArray[np.int16]

_TYPES = tuple(EditType)


@dataclass(frozen=True, slots=True)
class CheckFigures:
    """How often a check failed and warned, and how its values are spread."""

    name: str
    failed: int
    warned: int
    advice: str
    spread: Distribution

    @property
    def label(self) -> str:
        """Its name in words."""
        return self.name.replace("_", " ")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """``failed`` and ``warned`` count checks, row by row; ``checks`` are those with values."""

    failed: Counts
    warned: Counts
    checks: Sequence[CheckFigures]


def judged(results: ResultsFile, quality: QualityConfig) -> Judged:
    """Compare every value with the limits of its check for the row's edit type.

    The values are those of the results, so failures are told apart as they were in the run.
    Raises ``ConfigurationError`` if ``quality.checks`` names a check that there is not.
    """
    kinds = _kinds(results)
    failed, warned = np.zeros(len(results), np.int16), np.zeros(len(results), np.int16)
    checks: list[CheckFigures] = []
    for rule in with_limits(TABLE, quality.checks):
        values = results.column(f"check_{rule.name}").to_numpy().astype(np.float64, copy=False)
        spread = distribution(values)
        if spread is None:
            continue
        fails = _misses(rule, values, _limits(rule, "fail")[kinds])
        warns = _misses(rule, values, _limits(rule, "warn")[kinds]) & ~fails
        failed += fails
        warned += warns
        checks.append(
            CheckFigures(rule.name, int(fails.sum()), int(warns.sum()), rule.advice, spread)
        )
    return Judged(failed, warned, checks)


def _kinds(results: ResultsFile) -> NDArray[np.int8]:
    """The edit type of each row by its number, that after the last for none."""
    encoded = results.column("edit_type").combine_chunks().dictionary_encode()
    numbers = [
        _TYPES.index(EditType(name)) if name in set(_TYPES) else len(_TYPES)
        for name in encoded.dictionary.to_pylist()
    ]
    lookup = np.array([*numbers, len(_TYPES)], dtype=np.int8)
    return np.asarray(lookup[encoded.indices.fill_null(len(numbers)).to_numpy()], dtype=np.int8)


def _limits(rule: Rule, which: str) -> NDArray[np.float64]:
    """The limit for each number of ``_kinds``; NaN, which nothing misses, for none."""
    cells = [rule.limits.get(kind) for kind in _TYPES]
    found = [None if cell is None else getattr(cell, which) for cell in cells]
    return np.array([np.nan if limit is None else limit for limit in (*found, None)])


def _misses(
    rule: Rule, values: NDArray[np.float64], limits: NDArray[np.float64]
) -> NDArray[np.bool_]:
    return values < limits if rule.direction == "at_least" else values > limits
