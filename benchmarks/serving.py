"""The service as a user starts it: `serve run <config>` on a free port, and its end."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.processes import kill, pids_in_session
from serve_app.config import ServiceConfig
from serve_app.errors import NotReady
from serve_app.serve_config import check, read
from serve_app.serve_process import serving, wait_until_ready

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Served:
    """A running service that answers; ``session`` names all of its processes."""

    port: int
    session: int
    ready_s: float
    config: ServiceConfig
    serve_logs: Path


@contextmanager
def served(
    config: Path, args: Mapping[str, Mapping[str, Any]], storage: Path | None = None
) -> Iterator[Served]:
    """Serve a copy of ``config``, its ``args`` changed section by section; stop it after.

    Port and Ray's folder are this run's own, and so is the storage, if none is given.
    ``serve run`` leads a session of its own and every process of its Ray stays in that
    session, so that what it started is known exactly: nothing else on the machine is touched,
    and nothing of it is left.
    """
    # Short, for Ray puts sockets there and their paths may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="qeb-", dir="/tmp") as name:
        folder = Path(name)
        port = free_port()
        copy = _write_copy(config, args, storage or folder / "storage", folder, port)
        settings = check(copy)[0]
        log = folder / "serve.log"
        started = time.monotonic()
        session: int | None = None
        try:
            with serving(copy, log, {"RAY_TMPDIR": name}) as process:
                session = process.pid
                wait_until_ready(process, f"http://{HOST}:{port}", log)
                ready_s = time.monotonic() - started
                logs = folder / "ray" / "session_latest" / "logs" / "serve"
                yield Served(port, session, ready_s, settings, logs)
        except NotReady as error:
            raise RuntimeError(f"{error} Its end:\n{_tail(log)}") from error
        finally:
            if session is not None:
                _end_session(session)


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
    config: Path,
    args: Mapping[str, Mapping[str, Any]],
    storage: Path,
    folder: Path,
    port: int,
) -> Path:
    content = read(config)
    content.setdefault("http_options", {}).update(host=HOST, port=port)
    changed = {**args, "storage": {"root": str(storage)}}
    own = content["applications"][0].setdefault("args", {})
    for section, values in changed.items():
        own[section] = {**own.get(section, {}), **values}
    copy = folder / config.name
    copy.write_text(yaml.safe_dump(content))
    return copy


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])


def _end_session(session: int) -> None:
    """See to it that nothing of the session is left, before the next one is measured."""
    deadline = time.monotonic() + 10
    while (left := pids_in_session(session)) and time.monotonic() < deadline:
        time.sleep(0.2)
    kill(left)
