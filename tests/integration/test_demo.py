"""`make demo` as a newcomer runs it, on a Ray of its own."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from PIL import Image

from benchmarks.serving import free_port
from tests.conftest import ROOT

DEMO = (sys.executable, "-c", "from serve_app.cli import main; main()", "demo")


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_demo_serves_edits_shows_and_stops(tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "configs" / "local.yaml").read_text())
    settings["applications"][0]["args"]["storage"] = {"root": str(tmp_path / "store")}
    config = tmp_path / "local.yaml"
    config.write_text(yaml.safe_dump(settings))
    done = demo(str(config), "--once", "--port", str(free_port()), "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + (tmp_path / "serve.log").read_text()
    for number in (1, 2, 3):
        before, after = (
            Image.open(tmp_path / f"{name}-{number}.png") for name in ("before", "after")
        )
        assert before.size == after.size == (64, 64)
        assert before.tobytes() != after.tobytes()
    assert done.stdout.count("verdict  pass_unverified") == 3
    assert {"appearance", "semantic", "text"} == set(re.findall(r"planned  (\w+):", done.stdout))
    with Image.open(tmp_path / "before-after.png") as both:
        assert both.width > 2 * 64
        assert both.height > 3 * 64


def test_a_port_in_use_is_told_plainly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = demo("--once", "--port", port, "--out", str(tmp_path))
    assert done.returncode == 2
    assert f"Port {port} is in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_demo_that_is_ended_ends_its_service(tmp_path: Path) -> None:
    command = [*DEMO, "--port", str(free_port()), "--out", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        while not (children := psutil.Process(process.pid).children()):
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert not children[0].is_running()
    assert b"Traceback" not in errors
