"""What the parts of an edit cost, from what was counted while many of them were made.

Seconds are those of an edit that has the machine to itself. Its records tell what the editor takes
of them; the rest is shared out between the other parts by their CPU seconds, and what a further row
adds to a step is found from the editors' CPU seconds while many edits are there.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from benchmarks.scale.calibration import Phase
from benchmarks.scale.costs import Affine, Device, Front

_TOKENS = 64
"""Of a row; all edits have as many, so that only equality counts."""

_ON_ITS_WAY = ("proxy", "ingress", "router", "cache", "validator")
_BESIDE = ("jobs", "monitor", "controller", "raylet", "gcs_server", "other")
"""What works for an edit while the edit does not wait for it."""


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds of an editor for an edit that is alone."""

    encode_s: float
    step_s: float
    decode_s: float

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Self:
        """From the edits' records."""
        spent = [record["attempts"][0]["seconds"] for record in records]
        steps = sum(map(steps_of, records))
        encode_s, decode_s = (
            statistics.mean(seconds[stage] for seconds in spent) for stage in ("encode", "decode")
        )
        return cls(encode_s, sum(seconds["denoise"] for seconds in spent) / steps, decode_s)

    def edit_s(self, steps: float) -> float:
        """Of all stages."""
        return self.encode_s + steps * self.step_s + self.decode_s

    def device(self, phases: Sequence[Phase]) -> Device:
        """The device; what a further row takes is told by each phase alike, but those alone."""
        alone = [phase for phase in phases if phase.asked.alone]
        wall_s = sum(
            phase.asked.edits * self.edit_s(phase.rows / phase.asked.edits) for phase in alone
        )
        per_cpu_s = wall_s / sum(phase.cpu_s["editor"] for phase in alone)
        further, spent_on_them = [], []
        for phase in phases:
            if not phase.asked.alone:
                spent_s = per_cpu_s * phase.cpu_s["editor"]
                known_s = phase.asked.edits * self.edit_s(phase.steps / phase.asked.edits)
                further.append((phase.rows - phase.steps) / spent_s)
                spent_on_them.append((spent_s - known_s) / spent_s)
        row_s = max(0.0, float(np.dot(further, spent_on_them) / np.dot(further, further)))
        return Device(
            Affine(self.step_s - row_s, row_s),
            Affine(self.encode_s, 0.0),
            self.decode_s,
            _TOKENS,
            beside=False,
        )


def front_of(phases: Sequence[Phase], elsewhere_s: float) -> Front:
    """What the parts cost an edit under load; on its way all of them take ``elsewhere_s``."""
    edits = sum(phase.asked.edits for phase in phases)

    def of(*parts: str) -> float:
        spent_s = sum(phase.cpu_s.get(part, 0.0) for phase in phases for part in parts)
        return max(0.0, spent_s / edits)

    on_its_way = {f"{part}_s": of(part) for part in _ON_ITS_WAY}
    on_its_way["client_s"] = sum(phase.client_s for phase in phases) / edits
    longer = elsewhere_s / sum(on_its_way.values())
    front = Front(**{name: longer * seconds for name, seconds in on_its_way.items()})
    return replace(
        front,
        beside_s=of(*_BESIDE),
        near_s=front.ingress_s / 2,
        near_proxy_s=front.proxy_s,
    )


def steps_of(record: Mapping[str, Any]) -> int:
    """Of the edit that a record is of."""
    steps: int = record["plan"]["num_inference_steps"]
    return steps
