"""Redis, started and probed by the very commands of its manifest."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import free_port
from tests.cluster.manifests import every_manifest

REDIS = every_manifest()["StatefulSet/qwen-edit-redis"]["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = REDIS["containers"][0]
PASSWORD = "0123456789abcdef"
START_S = 30.0


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis; only that and its folder are not those of the manifest."""
    port = free_port()
    *shell, script = CONTAINER["command"]
    assert "--dir /data " in script
    script = script.replace("--dir /data ", f"--dir {tmp_path} --port {port} --bind 127.0.0.1 ")
    process = subprocess.Popen(
        [*shell, script],
        env={**os.environ, "REDISCLI_AUTH": PASSWORD},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while not is_ready(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
        yield port
    finally:
        process.terminate()
    # Redis itself is what Kubernetes stops, not a shell around it.
    assert process.wait(timeout=30) == 0


def is_ready(port: int, password: str = PASSWORD, probe: str = "readinessProbe") -> bool:
    *shell, script = CONTAINER[probe]["exec"]["command"]
    done = subprocess.run(
        [*shell, script.replace("redis-cli ", f"redis-cli -p {port} ")],
        env={**os.environ, "REDISCLI_AUTH": password},
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def asked(port: int, *words: str) -> str:
    done = subprocess.run(
        ["redis-cli", "-p", str(port), *words],
        env={**os.environ, "REDISCLI_AUTH": PASSWORD},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def command_lines() -> Iterator[bytes]:
    """What a list of processes shows of each."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            yield file.read_bytes()


def test_it_wants_the_password_and_tells_it_nobody(port: int) -> None:
    assert is_ready(port)
    assert is_ready(port, probe="livenessProbe")
    assert not is_ready(port, password="another")
    assert not is_ready(port, password="")
    told = list(command_lines())
    assert any(b"redis-server" in line and f":{port}".encode() in line for line in told)
    assert not any(PASSWORD.encode() in line for line in told)


def test_what_it_has_acknowledged_is_on_the_disk(port: int, tmp_path: Path) -> None:
    assert asked(port, "SET", "key", "a value") == "OK"
    (written,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    assert b"a value" in written.read_bytes()
    assert asked(port, "CONFIG", "GET", "appendfsync").split() == ["appendfsync", "always"]


def test_a_slow_disk_does_not_get_it_killed() -> None:
    """The head of Ray would go with it."""
    alive, ready = CONTAINER["livenessProbe"], CONTAINER["readinessProbe"]
    assert alive["periodSeconds"] * alive["failureThreshold"] >= 300
    assert ready["periodSeconds"] * ready.get("failureThreshold", 3) < 30
