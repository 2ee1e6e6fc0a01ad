"""A machine's cores, or a GPU: whatever several tasks share evenly."""

from __future__ import annotations

import heapq
import itertools
import math

import simpy

_TOGETHER_S = 1e-9
"""Ends so close are one: rounding must not make two of them."""
_LEFT = 0.05
"""Of all cores, what those who go first leave to the others: a kernel lets nobody starve."""


class Task(simpy.Event):
    """Fires when its work is done."""

    def __init__(self, env: simpy.Environment, seconds: float, queue: Queue) -> None:
        super().__init__(env)
        self.seconds = seconds
        self.queue = queue
        self.withdrawn = False


class Queue:
    """Tasks that progress at one rate.

    So a task ends when the work that each of them was given has grown by its own: one number
    and a heap, however many there are.
    """

    def __init__(self) -> None:
        self.present = 0
        self.rate = 0.0
        """Cores that each of them has."""
        self._given = 0.0
        self._ends: list[tuple[float, int, Task]] = []
        self._order = itertools.count()

    def add(self, task: Task) -> None:
        heapq.heappush(self._ends, (self._given + task.seconds, next(self._order), task))
        self.present += 1

    def remove(self, task: Task) -> None:
        task.withdrawn = True
        self.present -= 1

    def advance(self, seconds: float) -> float:
        """Give everybody the work of so many seconds; returns what that is altogether."""
        self._given += seconds * self.rate
        return seconds * self.rate * self.present

    def next_s(self) -> float:
        """Seconds until the next one ends."""
        while self._ends and self._ends[0][2].withdrawn:
            heapq.heappop(self._ends)
        if not self._ends:
            self._given = 0.0  # nobody refers to it: it need not grow, and lose digits
            return math.inf
        return max(0.0, self._ends[0][0] - self._given) / self.rate

    def end(self) -> None:
        """The next one ends now, whatever the rounding says, and who ends with it."""
        self._given = max(self._given, self._ends[0][0])
        while self._ends and self._ends[0][0] <= self._given + _TOGETHER_S:
            task = heapq.heappop(self._ends)[2]
            if not task.withdrawn:
                self.present -= 1
                task.succeed()


class Cores:
    """``number`` cores, of which each task gets an equal share, and one at most.

    With ``math.inf`` nothing is shared. Tasks that go ``first`` share before the others do, as a
    kernel lets those run at once who have slept.
    """

    def __init__(self, env: simpy.Environment, number: float = 1.0) -> None:
        self._env = env
        self._number = number
        self._first, self._rest = Queue(), Queue()
        self._since = env.now
        self._wake = 0
        self.busy_s = 0.0
        """Core seconds spent on tasks that were done or withdrawn."""

    def run(self, seconds: float, first: bool = False) -> Task:
        """Start a task of so many seconds of one core; it fires when they are done."""
        queue = self._first if first else self._rest
        task = Task(self._env, seconds, queue)
        self._advance()
        queue.add(task)
        self._plan()
        return task

    def withdraw(self, task: Task) -> None:
        """Let go of a task, unless it is done: it never fires."""
        if task.triggered or task.withdrawn:
            return
        self._advance()
        task.queue.remove(task)
        self._plan()

    def _advance(self) -> None:
        """Give everybody the work of the time since the last change."""
        seconds = self._env.now - self._since
        self.busy_s += self._first.advance(seconds) + self._rest.advance(seconds)
        self._since = self._env.now

    def _share(self) -> None:
        """Decide what each task has until the next change."""
        first, rest = self._first, self._rest
        left = self._number
        if first.present:
            theirs = left * (1 - _LEFT) if rest.present else left
            first.rate = min(1.0, theirs / first.present)
            left -= first.present * first.rate
        if rest.present:
            rest.rate = min(1.0, left / rest.present)

    def _plan(self) -> None:
        """Wake up when the next task ends; what was planned before no longer counts."""
        self._share()
        self._wake += 1
        wake = self._wake
        soonest_s, queue = min(
            ((queue.next_s(), queue) for queue in (self._first, self._rest)),
            key=lambda each: each[0],
        )
        if soonest_s < math.inf:
            alarm = self._env.timeout(soonest_s)
            alarm.callbacks.append(lambda _: self._finish(wake, queue))

    def _finish(self, wake: int, queue: Queue) -> None:
        if wake != self._wake:
            return
        self._advance()
        queue.end()
        self._plan()
