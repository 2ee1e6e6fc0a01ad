"""The processes of one session and the memory they hold, read from Linux's ``/proc``."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROC = Path("/proc")
_REPLICA = "ray::ServeReplica:"


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its title, whose part it is, and its memory in bytes.

    ``rss`` counts every page it maps, ``pss`` each page divided by the number of processes
    that map it. ``part`` is the deployment it serves, or ``None`` for Ray's own.
    """

    pid: int
    title: str
    part: str | None
    rss: int
    pss: int


def pids_in_session(session: int) -> list[int]:
    """Every process of a session: all that its leader started, and what that started.

    Ray's processes change their group and their parent, but stay in the session.
    """
    return [pid for pid, (_, sid) in _table().items() if sid == session]


def replicas(session: int, deployment: str) -> list[int]:
    """The processes of a session that are replicas of ``deployment``."""
    table = _table()
    members = [pid for pid, (_, sid) in table.items() if sid == session]
    return [pid for pid in members if _is_replica(pid, deployment)]


def replicas_below(application: str, deployment: str, parent: int | None = None) -> list[int]:
    """The replicas of ``deployment`` among all that this process started, or of one ``parent``."""
    title = f"{_REPLICA}{application}:{deployment}"
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it ended meanwhile
            command = process.cmdline()
            here = parent is None or process.ppid() == parent
            if here and command and command[0].startswith(title):
                found.append(process.pid)
    return found


def processes_in_session(session: int) -> list[Process]:
    """The session's processes with their memory, the largest first."""
    table = _table()
    members = [pid for pid, (_, sid) in table.items() if sid == session]
    found = [process for pid in members if (process := _read(pid, table)) is not None]
    return sorted(found, key=lambda process: -process.pss)


def kill(pids: Sequence[int]) -> None:
    """Kill what is still there."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _table() -> dict[int, tuple[int, int]]:
    """Parent and session of every process."""
    return dict(_rows())


def _rows() -> Iterator[tuple[int, tuple[int, int]]]:
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue  # it ended meanwhile
        # After the name in brackets, which may hold anything: state, parent, group, session.
        state, parent, _, session = stat.rpartition(")")[2].split()[:4]
        if state != "Z":
            yield int(folder.name), (int(parent), int(session))


def _read(pid: int, table: dict[int, tuple[int, int]]) -> Process | None:
    try:
        memory = (_PROC / str(pid) / "smaps_rollup").read_text()
        title = _title(pid)
        part = _part(pid, table)
    except OSError:
        return None
    sizes = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (line.partition(":") for line in memory.splitlines())
        if name in ("Rss", "Pss")
    }
    return Process(pid, title, part, sizes["Rss"], sizes["Pss"])


def _part(pid: int, table: dict[int, tuple[int, int]]) -> str | None:
    """The deployment that this process, or the one that started it, is a replica of."""
    while pid in table:
        title = _title(pid)
        if title.startswith(_REPLICA):
            return title.split(":")[-1].split(".")[0].strip()
        pid = table[pid][0]
    return None


def _is_replica(pid: int, deployment: str) -> bool:
    try:
        title = _title(pid)
    except OSError:
        return False  # it ended meanwhile
    return title.startswith(_REPLICA) and title.split(":")[-1].startswith(deployment)


def _title(pid: int) -> str:
    """The command line, programs and files without their folders."""
    words = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")
    return re.sub(r"/\S*/", "", words.decode(errors="replace")).strip()
