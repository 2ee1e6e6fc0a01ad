"""A run in a process of its own: started, watched, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.processes import Process, kill, pids_in_session, processes_in_session
from benchmarks.report import REPOSITORY


class Running:
    """``benchmarks.bulk.command`` on one manifest; it leads a session of its own."""

    def __init__(self, manifest: Path, out: Path, limit: int | None = None) -> None:
        arguments = [str(manifest), str(out), *([] if limit is None else [str(limit)])]
        self.started = time.time()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bulk.command", *arguments],
            cwd=REPOSITORY,
            env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self.progress: dict[str, Any] = {"succeeded": 0, "failed": 0, "in_flight": 0}
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            if line.startswith("{"):
                self.progress = json.loads(line)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def ended_rows(self) -> int:
        """Rows that ended in this process, by what it said last."""
        return int(self.progress["succeeded"] + self.progress["failed"])

    def wait(self) -> float:
        """Seconds that the whole command took; raises ``RuntimeError`` if it failed."""
        code = self._process.wait()
        self._reading.join()
        if code:
            raise RuntimeError(f"the run ended with {code}")
        return time.time() - self.started

    def kill(self) -> int:
        """Kill its first process as `kill -9` does; the rows that were at editors then."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._reading.join()
        return int(self.progress["in_flight"])

    def memory(self) -> dict[str, Process]:
        """Its own process and its actors by name and number, with their memory."""
        found: dict[str, Process] = {}
        for process in sorted(processes_in_session(self._process.pid), key=lambda one: one.pid):
            name = _name(process.title)
            if process.pid == self._process.pid:
                name = "driver"
            if name is not None:
                number = 1 + sum(other.startswith(name) for other in found)
                found[f"{name} {number}"] = process
        return found

    def clean_up(self) -> None:
        """Leave nothing of it."""
        kill(pids_in_session(self._process.pid))


def _name(title: str) -> str | None:
    """What one of our actors is; ``None`` for Ray's own processes."""
    for sign, name in (
        ("LoadRows", "loader"),
        ("EditRows", "editor"),
        ("DeskActor", "desk"),
        ("ValidatorActor", "validator"),
        ("ray::Cache", "cache"),
        ("ReadRows", "source"),
        ("multiprocessing.spawn", "decoder"),
    ):
        if sign in title:
            return name
    return None


def ledger(out: Path) -> list[dict[str, Any]]:
    """Every line that was committed in ``out``."""
    return list(_lines(out))


def _lines(out: Path) -> Iterator[dict[str, Any]]:
    for file in sorted((out / "ledger").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            yield json.loads(line)
