"""The cores that many tasks share, found from how long they took."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale.calibration import PHASES, WARMING, Calibration, Phase, loops_of
from benchmarks.scale.costs import Affine, Device, Front
from benchmarks.scale.service import Shape
from benchmarks.scale.session import Session
from benchmarks.scale.sharing import fitted, paces

SHAPE = Shape(editors=2)
FOUND = Calibration(
    front=Front(proxy_s=0.01, ingress_s=0.02, router_s=0.05, cache_s=0.02, validator_s=0.02),
    device=Device(Affine(0.02, 0.03), Affine(0.1, 0.0), 0.08, 64, beside=False),
    cores=1.7,
    restart_s=30.0,
    restart_cpu_s=20.0,
    parts=[],
)


def parts_at(*paces: float) -> list[list[Phase]]:
    """What the calibration would see of this machine."""
    session = Session(FOUND, SHAPE, seed=100)
    session.ask(WARMING)
    parts = []
    for number, pace in enumerate(paces):
        session.slow_down(pace)
        asked = loops_of(number)
        parts.append([Phase(each, 0, 0, {}, 0.0, session.ask(each), 0.0) for each in asked])
    return parts


def test_the_cores_that_phases_were_made_with_are_found_again() -> None:
    parts = parts_at(*[1.0] * len(PHASES))
    found = fitted(replace(FOUND, parts=parts, cores=2.5), SHAPE)
    assert found.cores == pytest.approx(1.7, rel=0.06)


def test_the_pace_of_each_part_is_found_again() -> None:
    made = [1.2, 0.8, 1.0]
    assert paces(replace(FOUND, parts=parts_at(*made)), SHAPE) == pytest.approx(made, rel=0.1)
