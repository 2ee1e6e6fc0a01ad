"""What a machine's cores come to when much shares them, found from the phases of the calibration.

Two cores are never two to a service: Ray's own processes work beside it, caches are shared, and a
kernel does not always find the idle one. No count of CPU seconds shows this, only how long things
take: so many cores as let the simulated phases last as long as the real ones. And a machine that is
one of many on a host gains and loses a fifth of its speed within minutes: its pace.
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
        longer = [
            simulated_s / phase.took_s
            for phase, simulated_s in zip(found.phases, _simulated(found, shape), strict=True)
            if not phase.asked.alone
        ]
        cores = max(1.0, found.cores * statistics.mean(longer))  # an edit alone has one
        found = replace(found, cores=cores)
    return found


def paces(found: Calibration, shape: Shape) -> list[float]:
    """How many times as long each part took as it would at the pace of ``found``."""
    simulated = iter(_simulated(found, shape))
    return [
        sum(phase.took_s for phase in part) / sum(next(simulated) for _ in part)
        for part in found.parts
    ]


def _simulated(found: Calibration, shape: Shape) -> list[float]:
    """The seconds of each phase."""
    runs = []
    for seed in _SEEDS:
        session = Session(found, shape, seed)
        session.ask(WARMING)
        runs.append([session.ask(phase.asked) for phase in found.phases])
    return [statistics.mean(seconds) for seconds in zip(*runs, strict=True)]
