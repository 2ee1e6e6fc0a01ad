"""Costs from counts: those that the counts were made of come out again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale.accounting import Stages, front_of
from benchmarks.scale.calibration import ALONE, PHASES, Asked, Phase

STAGES = Stages(encode_s=0.12, step_s=0.05, decode_s=0.08)
BUSY = 0.9
"""CPU seconds of a second that an edit alone takes."""


def phase(asked: Asked, row_s: float, together: int) -> Phase:
    """What would be counted if each step had so many rows."""
    rows = sum(asked.steps) * asked.edits // len(asked.steps)
    steps = rows // together
    editor_s = (
        asked.edits * (STAGES.encode_s + STAGES.decode_s)
        + steps * STAGES.step_s
        + (rows - steps) * row_s
    )
    cpu_s = {
        "editor": BUSY * editor_s, "router": 0.06 * asked.edits, "proxy": 0.02 * asked.edits,
        "ingress": 0.01 * asked.edits, "cache": 0.005 * asked.edits, "jobs": 0.03 * asked.edits,
        "raylet": -0.01 * asked.edits,
    }  # fmt: skip
    return Phase(asked, steps, rows, cpu_s, 0.005 * asked.edits, 0.0, 0.0)


@given(st.floats(0.001, 0.05))
def test_the_seconds_of_a_further_row_are_found_again(row_s: float) -> None:
    phases = [
        phase(asked, row_s, together)
        for asked, together in zip(PHASES, (2, 3, 4, 2, 5), strict=True)
    ]
    device = STAGES.device([phase(ALONE, row_s, 1), *phases, phase(ALONE, row_s, 1)])
    assert device.step(1) == pytest.approx(0.05)
    assert device.step(4) == pytest.approx(0.05 + 3 * row_s, rel=0.01)
    assert (device.encode(1), device.decode_s) == (0.12, 0.08)


def test_records_tell_the_stages_of_an_edit_that_is_alone() -> None:
    records = [
        {
            "attempts": [{"seconds": {"encode": encode_s, "denoise": denoise_s, "decode": 0.08}}],
            "plan": {"num_inference_steps": steps},
        }
        for encode_s, denoise_s, steps in ((0.11, 0.22, 4), (0.13, 0.78, 16))
    ]
    stages = Stages.of(records)
    assert stages.encode_s == pytest.approx(0.12)
    assert stages.step_s == pytest.approx(1.0 / 20)
    assert stages.edit_s(10) == pytest.approx(0.12 + 0.5 + 0.08)


def test_the_parts_on_its_way_share_what_an_edit_takes_beside_the_editor() -> None:
    front = front_of([phase(asked, 0.02, 2) for asked in PHASES], elsewhere_s=0.2)
    assert (front.router_s, front.proxy_s, front.ingress_s, front.cache_s, front.client_s) == (
        pytest.approx((0.12, 0.04, 0.02, 0.01, 0.01))
    )
    assert front.validator_s == 0.0
    assert front.beside_s == pytest.approx(0.02)  # what one part put off another may have done
