"""What a machine's cores come to when much shares them, found from the phases of the calibration.

Two cores are never two to a service: Ray's own processes work beside it, caches are shared, and a
kernel does not always find the idle one. No count of CPU seconds shows this, only how long things
take: so much as lets the simulated phases last as long as the real ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.scale.calibration import ALONE, PHASES, WARMING, Asked, Calibration
from benchmarks.scale.service import Shape
from benchmarks.scale.session import Session

_ROUNDS = 6
_SEEDS = range(4)


def fitted(found: Calibration, shape: Shape) -> Calibration:
    """``found`` with the cores there are for many tasks, and for one that is alone."""
    for _ in range(_ROUNDS):
        found = replace(found, most=found.most * _longer(found, shape, (ALONE,)))
    for _ in range(_ROUNDS):
        found = replace(found, cores=found.cores * _longer(found, shape, PHASES))
    return found


def _longer(found: Calibration, shape: Shape, phases: Sequence[Asked]) -> float:
    """How many times as long as in reality simulated phases take, their mean."""
    real = {phase.asked: phase for phase in found.phases}
    ratios = []
    for seed in _SEEDS:
        session = Session(found, shape, seed)
        session.ask(WARMING)
        for asked in phases:
            took_s = session.ask(asked, found.slowness(real[asked].pace))
            ratios.append(took_s / real[asked].took_s)
    return statistics.mean(ratios)
