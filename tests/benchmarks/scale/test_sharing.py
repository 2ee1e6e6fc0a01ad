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
    cores=1.7,
    restart_s=30.0,
    restart_cpu_s=20.0,
    phases=[],
)


def test_the_cores_that_phases_were_made_with_are_found_again() -> None:
    session = Session(FOUND, SHAPE, seed=100)
    session.ask(WARMING)
    phases = [Phase(asked, 0, 0, {}, 0.0, session.ask(asked), 0.0) for asked in (ALONE, *PHASES)]
    found = fitted(replace(FOUND, phases=phases, cores=2.5), SHAPE)
    assert found.cores == pytest.approx(1.7, rel=0.06)
