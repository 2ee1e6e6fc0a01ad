"""Replicas of a deployment: each does one thing at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Sequence
from typing import Any

import simpy

from benchmarks.scale.cores import Cores

Process = Generator[simpy.Event, Any, Any]


class Replica:
    """One process. What it does is done one after the other, on a core."""

    def __init__(self, env: simpy.Environment, number: int, cores: Cores) -> None:
        self.number = number
        self._turn = simpy.Resource(env)
        self._cores = cores
        self.worked_s = 0.0

    @property
    def load(self) -> int:
        """How much waits or is done here now."""
        return self._turn.count + len(self._turn.queue)

    def work(self, seconds: float) -> Process:
        """Wait for its turn, then use a core for so many seconds."""
        if seconds:
            with self._turn.request() as turn:
                yield turn
                yield self._cores.run(seconds)
                self.worked_s += seconds


class Part:
    """The replicas of one deployment."""

    def __init__(self, replicas: Sequence[Replica], draw: random.Random) -> None:
        self.replicas = replicas
        self._draw = draw

    @classmethod
    def of(
        cls, env: simpy.Environment, number: int, cores: Callable[[], Cores], draw: random.Random
    ) -> Part:
        """So many replicas, each on what ``cores`` returns."""
        return cls([Replica(env, each, cores()) for each in range(number)], draw)

    def any(self) -> Replica:
        """The one of two, chosen at random, that has less to do: Serve's own way."""
        if len(self.replicas) == 1:
            return self.replicas[0]
        return min(self._draw.sample(self.replicas, 2), key=lambda replica: replica.load)

    def owner(self, key: int) -> Replica:
        """The one that ``key`` belongs to."""
        return self.replicas[key % len(self.replicas)]

    @property
    def worked_s(self) -> float:
        """Core seconds of all replicas."""
        return sum(replica.worked_s for replica in self.replicas)
