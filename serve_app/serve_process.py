"""`serve run` as a child process with a Ray of its own: started, waited for, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from serve_app.errors import NotReady

START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
_POLL_S = 0.1

_SERVE = """
import signal
# A program started in the background inherits that Ctrl-C is ignored, and so would Ray.
signal.signal(signal.SIGINT, signal.default_int_handler)
from ray.serve.scripts import cli
cli()
"""


@contextmanager
def serving(
    config: Path, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``serve run config``, its output in ``log``; stop it, and the Ray it started, after.

    It always starts a Ray of its own: `serve run` on a cluster that is there would replace
    what is deployed on it, and take it down in the end. The process leads a session, so that
    Ctrl-C reaches this process first.
    """
    with log.open("wb") as output, _interruptions_noted() as noted:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, "run", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "RAY_ADDRESS": "local", **(environment or {})},
        )
    try:
        if noted:
            raise KeyboardInterrupt
        yield process
    finally:
        _stop(process)


@contextmanager
def _interruptions_noted() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM, which must not lose a process that is just being started.

    Only where they could: they are raised in the main thread.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, lambda number, _: noted.append(number)) for each in signals]
    try:
        yield noted
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler or signal.SIG_DFL)


def wait_until_ready(process: subprocess.Popen[bytes], base_url: str, log: Path) -> None:
    """Return once ``GET /ready`` answers 200; raise ``NotReady`` if it never will."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotReady(f"The service stopped while starting. Its log is {log}.")
        try:
            if httpx.get(f"{base_url}/ready", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(_POLL_S)
    raise NotReady(f"The service was not ready after {START_TIMEOUT_S:.0f} s. Its log is {log}.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for request in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(request)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
