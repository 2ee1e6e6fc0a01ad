"""The cores that many tasks share, found from how long they took."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale.calibration import ALONE, PHASES, WARMING, Calibration, Phase
from benchmarks.scale.costs import Affine, Device, Front
from benchmarks.scale.service import Shape
from benchmarks.scale.session import Session
from benchmarks.scale.sharing import fitted

SHAPE = Shape(editors=2)
FOUND = Calibration(
    front=Front(proxy_s=0.01, ingress_s=0.02, router_s=0.05, cache_s=0.02, validator_s=0.02),
    device=Device(Affine(0.02, 0.03), Affine(0.1, 0.0), 0.08, 64, beside=False),
    cores=1.4,
    most=0.85,
    restart_s=30.0,
    restart_cpu_s=20.0,
    phases=[],
    pace=1.0,
)


def test_the_cores_that_phases_were_made_with_are_found_again() -> None:
    """At the pace of each: one of them was made while the machine was slower."""
    session, phases = Session(FOUND, SHAPE, seed=100), []
    session.ask(WARMING)
    for asked in (ALONE, *PHASES):
        pace = 1.2 if asked is PHASES[1] else 1.0
        took_s = session.ask(asked, pace)
        phases.append(Phase(asked, 0, 0, {}, 0.0, took_s, pace, 0.0))
    unknown = replace(FOUND, phases=phases, cores=2.0, most=1.0)
    found = fitted(unknown, SHAPE)
    assert found.most == pytest.approx(0.85, rel=0.02)
    assert found.cores == pytest.approx(1.4, rel=0.06)
