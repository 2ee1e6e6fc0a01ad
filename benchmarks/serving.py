"""The service as a user starts it: `serve run <config>` on a free port, and its end."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.processes import kill, pids_in_session
from serve_app.config import ServiceConfig
from serve_app.serve_config import check, read

HOST = "127.0.0.1"

_SERVE = """
import signal
# A program started in the background inherits that Ctrl-C is ignored, and so would Ray.
signal.signal(signal.SIGINT, signal.default_int_handler)
from ray.serve.scripts import cli
cli()
"""
_START_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 60.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Served:
    """A running service that answers; ``session`` names all of its processes."""

    port: int
    session: int
    ready_s: float
    config: ServiceConfig
    serve_logs: Path


@contextmanager
def served(config: Path, args: Mapping[str, Mapping[str, Any]]) -> Iterator[Served]:
    """Serve a copy of ``config``, its ``args`` changed section by section; stop it after.

    Port, storage and Ray's folder are this run's own. ``serve run`` leads a session of its
    own and every process of its Ray stays in that session, so that what it started is
    known exactly: nothing else on the machine is touched, and nothing of it is left.
    """
    # Short, for Ray puts sockets there and their paths may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="qeb-", dir="/tmp") as name:
        folder = Path(name)
        port = free_port()
        copy = _write_copy(config, args, folder, port)
        settings = check(copy)[0]
        with (folder / "serve.log").open("wb") as log:
            started = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, "run", str(copy)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "RAY_ADDRESS": "local", "RAY_TMPDIR": name},
            )
            try:
                _wait_until_ready(process, port, folder / "serve.log")
                ready_s = time.monotonic() - started
                logs = folder / "ray" / "session_latest" / "logs" / "serve"
                yield Served(port, process.pid, ready_s, settings, logs)
            finally:
                _stop(process)


def editor_threads(config: ServiceConfig) -> int:
    """How many threads the editor's replica computes with on a CPU.

    Unless it is configured, Ray leaves a replica as many as it has whole CPUs, at least one.
    """
    return config.engine.threads or max(1, int(config.deployments.editor.num_cpus))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _write_copy(
    config: Path, args: Mapping[str, Mapping[str, Any]], folder: Path, port: int
) -> Path:
    content = read(config)
    content.setdefault("http_options", {}).update(host=HOST, port=port)
    changed = {**args, "storage": {"root": str(folder / "storage")}}
    own = content["applications"][0].setdefault("args", {})
    for section, values in changed.items():
        own[section] = {**own.get(section, {}), **values}
    copy = folder / config.name
    copy.write_text(yaml.safe_dump(content))
    return copy


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if _ready(port):
            return
        time.sleep(_POLL_S)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
    raise RuntimeError(f"The service did not become ready. The end of its log:\n{tail}")


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False  # not listening yet
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask `serve run` to end as Ctrl-C does, then see to it that its whole session is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):  # then it is killed below, with the rest
        process.wait(_STOP_TIMEOUT_S)
    deadline = time.monotonic() + 10
    while (left := pids_in_session(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    kill(left)
    process.wait()
