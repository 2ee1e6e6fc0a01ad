"""Which results a report shows as pictures: the worst and the best, always the same ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from serve_app.bulk.report.judged import Judged
from serve_app.bulk.report.results_file import ResultsFile
from serve_app.quality.report import Verdict

MOST_PAIRS = 6


@dataclass(frozen=True, slots=True)
class Choice:
    """Indices of rows; no row is among both."""

    worst: tuple[int, ...]
    best: tuple[int, ...]


def choose(results: ResultsFile, judged: Judged) -> Choice:
    """Choose up to ``MOST_PAIRS`` rows of each kind, earlier rows before equal ones.

    The worst are the failed ones, by failed checks, and then those with warnings. The best
    pass, verified before unverified, with the fewest warnings.
    """
    verdict = results.column("verdict")
    there = pc.is_valid(results.column("output_image")).to_numpy()
    is_fail, passes, unverified = (
        there & pc.fill_null(pc.equal(verdict, str(one)), False).to_numpy()
        for one in (Verdict.FAIL, Verdict.PASS, Verdict.PASS_UNVERIFIED)
    )
    bad = np.flatnonzero(is_fail | (there & (judged.warned > 0)))
    worst = _first(bad, ~is_fail[bad], -judged.failed[bad], -judged.warned[bad])
    good = np.setdiff1d(np.flatnonzero(passes | unverified), worst)
    return Choice(worst, _first(good, ~passes[good], judged.warned[good]))


def _first(candidates: NDArray[np.int64], *keys: NDArray[np.generic]) -> tuple[int, ...]:
    """The first ``candidates``, sorted by ``keys`` (the first weighs most), then by index."""
    order = np.lexsort((candidates, *reversed(keys)))[:MOST_PAIRS]
    return tuple(int(index) for index in candidates[order])
