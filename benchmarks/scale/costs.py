"""What the parts of an edit cost, as the simulation wants them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from serve_app.engine.costs import Costs

_TRUSTED = 3
"""So many samples make the engine's estimates trust a number of rows."""


class ByRows(Protocol):
    """Seconds of a step, or of an encoding, by its rows."""

    def __call__(self, rows: int) -> float: ...


@dataclass(frozen=True, slots=True)
class Affine:
    """A step that has a fixed part and one for each row: what a CPU shows."""

    step_s: float
    row_s: float

    def __call__(self, rows: int) -> float:
        return self.step_s + self.row_s * rows


@dataclass(frozen=True, slots=True)
class Curve:
    """A step as it was measured at some numbers of rows, straight lines between them."""

    seconds: Mapping[int, float]

    def __call__(self, rows: int) -> float:
        if rows in self.seconds:
            return self.seconds[rows]
        known = sorted(self.seconds)
        # Beyond the ends the nearest line goes on.
        upper = next((i for i, size in enumerate(known) if size > rows), len(known) - 1)
        few, many = known[max(0, upper - 1)], known[max(1, upper)]
        slope = (self.seconds[many] - self.seconds[few]) / (many - few)
        return self.seconds[few] + slope * (rows - few)


@dataclass(frozen=True, slots=True)
class Device:
    """What an editor's device does for an edit. Seconds of the device alone.

    ``beside`` tells whether encoders and decoder run beside the steps, as on a GPU, where all
    three share the device; otherwise they run between the steps. ``tokens`` is a row's.
    """

    step: ByRows
    encode: ByRows
    decode_s: float
    tokens: int
    beside: bool

    def learned(self, sizes: Collection[int]) -> Costs:
        """What an engine knows of this device when it has made steps of so many rows each."""
        costs = Costs()
        for _ in range(_TRUSTED):
            for rows in sizes:
                costs.steps.observe(self.tokens, rows, self.step(rows))
            costs.encoding.observe(self.tokens, 1, self.encode(1))
            costs.decoding.observe(self.tokens, 1, self.decode_s)
        return costs


@dataclass(frozen=True, slots=True)
class Front:
    """Seconds of a core that each part spends on an edit, apart from the device.

    Half of it on the way in, half on the way back. The router's ``png_s`` comes with results
    alone. ``beside_s`` is spent while the answer is already on its way. A request that an ingress
    answers from its own copies costs ``near_s`` at the ingress and ``near_proxy_s`` at the proxy.
    """

    client_s: float = 0.0
    proxy_s: float = 0.0
    ingress_s: float = 0.0
    router_s: float = 0.0
    png_s: float = 0.0
    cache_s: float = 0.0
    validator_s: float = 0.0
    beside_s: float = 0.0
    near_s: float = 0.0
    near_proxy_s: float = 0.0
