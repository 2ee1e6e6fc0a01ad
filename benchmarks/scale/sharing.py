"""What a machine's cores come to when much shares them, found from the phases of the calibration.

Two cores are never two to a service: Ray's own processes work beside it, caches are shared, and a
kernel does not always find the idle one. No count of CPU seconds shows this, only how long things
take: so many cores as let the simulated phases last as long as the real ones.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

from benchmarks.scale.calibration import WARMING, Calibration
from benchmarks.scale.service import Shape
from benchmarks.scale.session import Session

_ROUNDS = 6
_SEEDS = range(4)


def fitted(found: Calibration, shape: Shape) -> Calibration:
    """``found`` with the cores there are for many tasks."""
    for _ in range(_ROUNDS):
        cores = max(1.0, found.cores * _longer(found, shape))  # an edit alone has one
        found = replace(found, cores=cores)
    return found


def _longer(found: Calibration, shape: Shape) -> float:
    """How many times as long as in reality the simulated phases take, their mean."""
    ratios = []
    for seed in _SEEDS:
        session = Session(found, shape, seed)
        session.ask(WARMING)
        for phase in found.phases:
            if not phase.asked.alone:
                ratios.append(session.ask(phase.asked) / phase.took_s)
    return statistics.mean(ratios)
