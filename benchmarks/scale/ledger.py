"""What each part of a running service has cost: seconds of CPU, whoever else used the machine.

Waiting costs nothing here, and neither does a busy neighbour, as it would by the clock.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import suppress
from typing import Self

import psutil

_REPLICA = re.compile(r"ray::ServeReplica:[^:]+:(\w+)")
_ACTORS = (("ray::ProxyActor", "proxy"), ("ray::ServeController", "controller"))
_RAY = ("raylet", "gcs_server")


class Spent:
    """CPU seconds by part within a ``with`` block, of all processes below this one.

    Parts are the deployments in lower case, ``proxy``, ``controller``, ``raylet``, ``gcs_server``
    and ``other``; what a replica has started counts as its own. A process that ends within the
    block is not counted.
    """

    def __enter__(self) -> Self:
        self._before = _by_process()
        self._others_before = _whole_machine_s() - _own_s()
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        self.by_part: Counter[str] = Counter()
        for pid, (part, seconds) in _by_process().items():
            self.by_part[part] += seconds - self._before.get(pid, (part, 0.0))[1]
        ours_s = self.by_part.total()
        others_s = _whole_machine_s() - _own_s() - self._others_before - ours_s
        self.neighbours = max(0.0, others_s / self.seconds)
        """Cores that were used by what is not below this process."""


def _by_process() -> dict[int, tuple[str, float]]:
    """Part and CPU seconds of every process below this one."""
    found: dict[int, tuple[str, float]] = {}
    for process in psutil.Process().children(recursive=True):  # parents come first
        with suppress(psutil.Error):  # it may have ended meanwhile
            parent = found.get(process.ppid(), ("other", 0.0))[0]
            times = process.cpu_times()
            found[process.pid] = _part(process, parent), times.user + times.system
    return found


def _own_s() -> float:
    """Of this process and of the children that it has waited for, such as the load's."""
    times = psutil.Process().cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _whole_machine_s() -> float:
    times = psutil.cpu_times()
    return times.user + times.nice + times.system + times.irq + times.softirq


def _part(process: psutil.Process, parent: str) -> str:
    command = process.cmdline()
    title = command[0] if command else ""
    if found := _REPLICA.match(title):
        return found[1].lower()
    for prefix, part in _ACTORS:
        if title.startswith(prefix):
            return part
    name = process.name()
    if name in _RAY:
        return name
    # Replicas are started by a raylet, and others by replicas.
    return "other" if parent in _RAY else parent
