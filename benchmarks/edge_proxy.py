"""The edge proxy of cluster/edge as it is deployed: nginx in front of a port of this machine."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks.processes import processes_in_session
from benchmarks.report import REPOSITORY
from benchmarks.serving import HOST, free_port

CONFIGURATION = REPOSITORY / "cluster" / "edge"
_UPSTREAM = "server 127.0.0.1:8000 "
_START_S = 20.0
_LOGGED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class EdgeProxy:
    """A running nginx; ``port`` speaks TLS, ``plain_port`` sends there, ``folder`` is its own."""

    port: int
    plain_port: int
    folder: Path
    session: int

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client needs to believe the certificate, which was made for this run."""
        return ssl.create_default_context(cafile=self.folder / "tls" / "tls.crt")

    def memory(self) -> int:
        """Bytes of all processes: each page they share counts once (PSS)."""
        return sum(process.pss for process in processes_in_session(self.session))

    def log(self) -> list[dict[str, Any]]:
        """The access log so far."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def line_of(self, request_id: str) -> dict[str, Any]:
        """The line of a request that was answered; nginx writes it after the answer.

        Raises ``TimeoutError`` if there is none.
        """
        deadline = time.monotonic() + _LOGGED_WITHIN_S
        while time.monotonic() < deadline:
            for line in self.log():
                if line["request_id"] == request_id:
                    return line
            time.sleep(0.01)
        raise TimeoutError(f"no line of request {request_id}")

    def errors(self) -> str:
        """The error log so far."""
        return (self.folder / "error.log").read_text()


@contextmanager
def edge_proxy(*upstream_ports: int) -> Iterator[EdgeProxy]:
    """Run nginx with the configuration of cluster/edge; stop it after.

    Only ports differ from what is deployed: its own two, and those of Serve's proxies, of which
    each stands there twice if it is the only one.
    """
    folder = Path(tempfile.mkdtemp(prefix="edge-"))
    try:
        port, plain_port = free_port(), free_port()
        _configure(folder, port, plain_port, upstream_ports)
        with _nginx(folder) as process:
            _wait_until_alive(process, plain_port, folder)
            yield EdgeProxy(port, plain_port, folder, process.pid)
    finally:
        shutil.rmtree(folder)


def check_configuration(edge: EdgeProxy) -> str:
    """Let nginx check what it runs with, and return what it says; raises ``RuntimeError``."""
    with (edge.folder / "check.log").open("ab") as output:
        checking = _start(edge.folder, ("-t",), output, output)
    refused = checking.wait()
    said = (edge.folder / "check.log").read_text()
    if refused:
        raise RuntimeError(f"nginx refuses its configuration: {said}")
    return said


@contextmanager
def _nginx(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "access.log").open("ab") as access, (folder / "error.log").open("ab") as error:
        process = _start(folder, ("-g", "daemon off;"), access, error)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _start(
    folder: Path, arguments: tuple[str, ...], output: BinaryIO, errors: BinaryIO
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["nginx", "-e", "stderr", "-p", folder / "tmp", "-c", folder / "nginx.conf", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        user=_ordinary_user(),
    )


def _ordinary_user() -> str | None:
    """Nginx never runs as root, even where this process does; ``None`` changes nothing."""
    return "nobody" if os.geteuid() == 0 else None


def _configure(folder: Path, port: int, plain_port: int, upstream_ports: tuple[int, ...]) -> None:
    (folder / "tmp").mkdir()
    (folder / "tls").mkdir()
    for log in ("access.log", "error.log", "check.log"):
        (folder / log).touch()
    _make_certificate(folder / "tls")
    configuration = (CONFIGURATION / "nginx.conf").read_text()
    for listening, own in (("listen 8080", plain_port), ("listen 8443", port)):
        configuration = _replaced(configuration, listening, f"listen {HOST}:{own}")
    (folder / "nginx.conf").write_text(configuration)
    upstream = (CONFIGURATION / "upstream.conf").read_text()
    for upstream_port in (upstream_ports * 2)[:2]:
        upstream = _replaced(upstream, _UPSTREAM, f"server {HOST}:{upstream_port} ")
    (folder / "upstream.conf").write_text(upstream)
    if user := _ordinary_user():
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user)


def _replaced(text: str, old: str, new: str) -> str:
    """``text`` with ``new`` in place of the first ``old``; raises ``RuntimeError`` without one."""
    if old not in text:
        raise RuntimeError(f"{old!r} does not stand in the configuration.")
    return text.replace(old, new, 1)


def _make_certificate(folder: Path) -> None:
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:{HOST} "
        "-keyout tls.key -out tls.crt"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


def _wait_until_alive(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if _alive(port):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nginx did not start: {(folder / 'error.log').read_text()}")


def _alive(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.NO_CONTENT
    except OSError:
        return False
    finally:
        connection.close()
