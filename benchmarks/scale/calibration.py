"""What the simulation of one machine goes by, and the closed loops that it is found from."""

from __future__ import annotations

from dataclasses import dataclass

import simpy

from benchmarks.scale.cores import Cores
from benchmarks.scale.costs import Device, Front


@dataclass(frozen=True, slots=True)
class Asked:
    """A closed loop: ``edits`` of these ``steps`` in turn, from ``clients`` that wait."""

    clients: int
    steps: tuple[int, ...]
    edits: int

    @property
    def alone(self) -> bool:
        """Whether no edit has another beside it."""
        return self.clients == 1


WARMING = Asked(8, (4, 16), 40)
ALONE = Asked(1, (4, 16), 6)
PHASES = (
    Asked(4, (4,), 30),
    Asked(8, (4, 16), 40),
    Asked(16, (4,), 60),
    Asked(16, (16,), 36),
    Asked(12, (8,), 36),
)


def loops_of(number: int) -> tuple[Asked, Asked]:
    """What is asked in a part of the calibration: edits one by one, then many at a time."""
    return ALONE, PHASES[number % len(PHASES)]


@dataclass(frozen=True, slots=True)
class Phase:
    """What was asked, what it came to in the editors, and what it cost by part, CPU seconds.

    ``took_s`` is from the first request to the last answer, ``neighbours`` the cores that others
    used meanwhile.
    """

    asked: Asked
    steps: int
    rows: int
    cpu_s: dict[str, float]
    client_s: float
    took_s: float
    neighbours: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the simulation of this machine goes by.

    ``restart_s`` pass from an editor's death to its first edit, with ``restart_cpu_s`` core
    seconds.
    """

    front: Front
    device: Device
    cores: float
    restart_s: float
    restart_cpu_s: float
    parts: list[list[Phase]]

    @property
    def phases(self) -> list[Phase]:
        """Those of all parts."""
        return [phase for part in self.parts for phase in part]

    def machine(self, env: simpy.Environment) -> Cores:
        """The cores that everything shares."""
        return Cores(env, self.cores)
