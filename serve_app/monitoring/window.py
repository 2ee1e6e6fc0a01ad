"""The last hour, in slots of a minute that are forgotten one by one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from serve_app.monitoring.activity import Activity

WINDOW_S = 3600.0
"""How far back the window reaches at most, seconds: the last slot is still being filled."""

SLOTS = 60

_SLOT_S = WINDOW_S / SLOTS

MOST_SERIES = 512
"""Figures that are followed at most: five of the machine, three of each GPU."""


@dataclass(slots=True)
class Spread:
    """The last, the average and the largest of the values that a figure had."""

    current: float
    total: float
    count: int
    maximum: float

    @classmethod
    def of(cls, value: float) -> Spread:
        """The spread of one value."""
        return cls(value, value, 1, value)

    @property
    def average(self) -> float:
        """The mean of all values."""
        return self.total / self.count

    def add(self, later: Spread) -> None:
        """Take in the values that came after these."""
        self.current = later.current
        self.total += later.total
        self.count += later.count
        self.maximum = max(self.maximum, later.maximum)


@dataclass(slots=True)
class _Slot:
    number: int
    activity: Activity = field(default_factory=Activity)
    figures: dict[str, Spread] = field(default_factory=dict)

    def sample(self, name: str, value: Spread) -> None:
        known = self.figures.get(name)
        if known is not None:
            known.add(value)
        elif len(self.figures) < MOST_SERIES:
            self.figures[name] = Spread(value.current, value.total, value.count, value.maximum)


class Window:
    """What was done and sampled in the last hour; ``clock`` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._slots: deque[_Slot] = deque(maxlen=SLOTS)

    @property
    def filled_s(self) -> float:
        """How much time the window really covers now, seconds: up to ``WINDOW_S``."""
        now = self._clock()
        oldest = (self._number(now) - SLOTS + 1) * _SLOT_S
        return now - self._started - max(0.0, oldest)

    def add(self, activity: Activity) -> None:
        """Count ``activity`` as of now."""
        self._slot().activity.add(activity)

    def sample(self, figures: Mapping[str, float]) -> None:
        """Take the values that figures have now, by their names."""
        slot = self._slot()
        for name, value in figures.items():
            slot.sample(name, Spread.of(value))

    def activity(self) -> Activity:
        """All that was done in the window."""
        total = Activity()
        for slot in self._kept():
            total.add(slot.activity)
        return total

    def figures(self) -> dict[str, Spread]:
        """How every figure went in the window, by its name."""
        whole = _Slot(0)
        for slot in self._kept():
            for name, spread in slot.figures.items():
                whole.sample(name, spread)
        return whole.figures

    def _slot(self) -> _Slot:
        number = self._number(self._clock())
        if not self._slots or self._slots[-1].number < number:
            self._slots.append(_Slot(number))
        return self._slots[-1]

    def _kept(self) -> list[_Slot]:
        first = self._number(self._clock()) - SLOTS + 1
        return [slot for slot in self._slots if slot.number >= first]

    def _number(self, now: float) -> int:
        return math.floor((now - self._started) / _SLOT_S)
