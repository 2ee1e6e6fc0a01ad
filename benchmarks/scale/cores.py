"""A machine's cores, or a GPU: whatever several tasks share evenly."""

from __future__ import annotations

import heapq
import itertools
import math

import simpy

_TOGETHER_S = 1e-9
"""Ends so close are one: rounding must not make two of them."""


class Task(simpy.Event):
    """Fires when its work is done."""

    def __init__(self, env: simpy.Environment, seconds: float) -> None:
        super().__init__(env)
        self.seconds = seconds
        self.withdrawn = False


class Cores:
    """Cores that tasks share evenly: one alone has one, many together have ``number`` of them.

    Each is on one of them at random, as a kernel's haste leaves it: while one core has two, another
    may have none. So ``n`` tasks use ``number * (1 - (1 - 1 / number) ** n)`` cores. With
    ``math.inf`` nothing is shared; raises ``ValueError`` for less than one.

    All present tasks progress at one rate, so a task ends when the work that each of them was
    given has grown by its own: one number and a heap, however many there are.
    """

    def __init__(self, env: simpy.Environment, number: float = 1.0) -> None:
        if number < 1:
            raise ValueError(f"{number} cores are less than what a task alone has")
        self._env = env
        self._number = number
        self._pace = 1.0
        self._given = 0.0
        self._since = env.now
        self._ends: list[tuple[float, int, Task]] = []
        self._present = 0
        self._order = itertools.count()
        self._wake = 0
        self.busy_s = 0.0
        """Core seconds spent on tasks that were done or withdrawn."""

    def run(self, seconds: float) -> Task:
        """Start a task of so many seconds of one core; it fires when they are done."""
        task = Task(self._env, seconds)
        self._advance()
        heapq.heappush(self._ends, (self._given + seconds, next(self._order), task))
        self._present += 1
        self._plan()
        return task

    def withdraw(self, task: Task) -> None:
        """Let go of a task, unless it is done: it never fires."""
        if task.triggered or task.withdrawn:
            return
        self._advance()
        task.withdrawn = True
        self._present -= 1
        self._plan()

    def join(self) -> None:
        """One more has a share from now on, until somebody leaves."""
        self._advance()
        self._present += 1
        self._plan()

    def leave(self) -> None:
        """One of those that joined goes."""
        self._advance()
        self._present -= 1
        self._plan()

    def slow_down(self, pace: float) -> None:
        """From now on everything takes ``pace`` times as long as it would; 1 is as usual."""
        self._advance()
        self._pace = pace
        self._plan()

    def _rate(self) -> float:
        if not self._present:
            return 0.0
        if math.isinf(self._number):
            return 1.0 / self._pace
        used = self._number * (1 - (1 - 1 / self._number) ** self._present)
        return used / self._present / self._pace

    def _advance(self) -> None:
        """Give everybody the work of the time since the last change."""
        given = (self._env.now - self._since) * self._rate()
        self._given += given
        self.busy_s += given * self._present
        self._since = self._env.now

    def _plan(self) -> None:
        """Wake up when the next task ends; what was planned before no longer counts."""
        while self._ends and self._ends[0][2].withdrawn:
            heapq.heappop(self._ends)
        self._wake += 1
        if not self._ends:
            self._given = 0.0  # nobody refers to it: it need not grow, and lose digits
            return
        wake = self._wake
        left = max(0.0, self._ends[0][0] - self._given)
        alarm = self._env.timeout(left / self._rate())
        alarm.callbacks.append(lambda _: self._finish(wake))

    def _finish(self, wake: int) -> None:
        if wake != self._wake:
            return
        self._advance()
        # The first one ends now, whatever the rounding says, and who ends with it.
        self._given = max(self._given, self._ends[0][0])
        while self._ends and self._ends[0][0] <= self._given + _TOGETHER_S:
            task = heapq.heappop(self._ends)[2]
            if not task.withdrawn:
                self._present -= 1
                task.succeed()
        self._plan()
