"""The command in a process with a Ray of its own: object stores, the README, kills."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
import yaml

from serve_app.engine.miniature.samples import SAMPLES
from tests.bulk.s3 import S3, s3  # noqa: F401 - a fixture
from tests.conftest import ROOT
from tests.integration.bulk_folder import SAME, Folder, recolourings

pytestmark = pytest.mark.cluster

README = (ROOT / "README.md").read_text()
BULK = ROOT / "configs" / "bulk.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class Process:
    """The command, in a process of its own with a Ray of its own."""

    def __init__(self, *arguments: str, folder: Path = ROOT) -> None:
        command = [str(Path(sys.executable).parent / "qwen-edit"), "bulk", "run", *arguments]
        self._began = time.time_ns()
        environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
        self._printed = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in clean_up
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=self._printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(self, folder: Folder, rows: int) -> None:
        """Return once so many rows are committed by this process and its actors."""
        while len(folder.ledger(since=self._began)) < rows:
            assert self._process.poll() is None, self.output()
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        return self._process.wait()

    def output(self) -> str:
        """What it has printed so far."""
        self._printed.seek(0)
        return self._printed.read()

    def clean_up(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._printed.close()


Start = Callable[..., Process]


@pytest.fixture
def process() -> Iterator[Start]:
    started: list[Process] = []

    def start(*arguments: str, folder: Path = ROOT) -> Process:
        started.append(Process(*arguments, folder=folder))
        return started[-1]

    yield start
    for one in started:
        one.clean_up()


@pytest.mark.slow
def test_everything_is_in_an_object_store(
    folder: Folder,
    process: Start,
    s3: S3,  # noqa: F811
) -> None:
    fs, path = fsspec.core.url_to_fs(s3.url)
    fs.pipe_file(f"{path}/photos/balloon.png", (folder.images / "balloon.png").read_bytes())
    rows = [*SAME, *recolourings(5)]
    fs.pipe_file(f"{path}/edits.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    root = ("--input-root", f"{s3.url}/photos")
    run = process(f"{s3.url}/edits.jsonl", f"{s3.url}/out", *root, "--config", str(BULK))
    assert run.ended() == 0, run.output()
    assert f"{s3.url}/out/report.html" in run.output()
    fs.invalidate_cache()
    results = pq.read_table(io.BytesIO(fs.cat_file(f"{path}/out/results.parquet"))).to_pylist()
    assert [row["id"] for row in results] == [row["id"] for row in rows]
    same = results[: len(SAME)]
    assert [row["cache"] for row in same].count("miss") == 1
    assert len({row["output_image"] for row in same}) == len(SAME)
    assert len({fs.cat_file(f"{path}/out/{row['output_image']}") for row in same}) == 1
    assert fs.exists(f"{path}/out/report.html")


def command_of_the_readme(number: int) -> list[str]:
    lines = re.findall(r"^qwen-edit (bulk run serve_app/.*?) *(?:#.*)?$", README, re.MULTILINE)
    return shlex.split(lines[number])[2:]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder in which the paths of the README work."""
    (tmp_path / "serve_app").symlink_to(ROOT / "serve_app")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    return tmp_path


def test_the_readmes_dry_run_runs(here: Path, process: Start) -> None:
    dry = process(*command_of_the_readme(0), folder=here)
    assert dry.ended() == 0, dry.output()
    assert "to be run" in dry.output()
    assert not (here / "out").exists()


@pytest.mark.slow
def test_the_readmes_whole_run_runs(here: Path, process: Start) -> None:
    whole = process(*command_of_the_readme(1), folder=here)
    assert whole.ended() == 0, whole.output()
    results = pq.read_table(here / "out" / "results.parquet").to_pylist()
    assert {row["id"] for row in results} == set(SAMPLES)
    assert (here / "out" / "report.html").is_file()


@pytest.mark.slow
def test_killed_and_resumed_every_row_is_there_once(folder: Folder, process: Start) -> None:
    """Killed with SIGKILL among its edits, then interrupted, then left to end."""
    count = 48
    folder.write(recolourings(count))
    settings = yaml.safe_load(BULK.read_text())
    settings["bulk"]["editors"]["number"] = 1  # a second one takes its time to start
    one_editor = folder.out.parent / "one_editor.yaml"
    one_editor.write_text(yaml.safe_dump(settings))
    command = (str(folder.manifest), str(folder.out), "--config", str(one_editor))
    killed = process(*command)
    killed.wait_for(folder, 10)
    killed.signal(signal.SIGKILL)
    assert killed.ended() == -signal.SIGKILL
    before = len(folder.ledger())

    interrupted = process(*command)
    interrupted.wait_for(folder, 10)
    interrupted.signal(signal.SIGTERM)
    assert interrupted.ended() == 130, interrupted.output()
    assert "To go on:" in interrupted.output()
    assert before < len(folder.ledger()) < count

    last = process(*command)
    assert last.ended() == 0, last.output()
    folder.require_each_once(count)


@pytest.mark.slow
def test_two_thousand_rows_are_killed_three_times_at_random(folder: Folder, process: Start) -> None:
    count, kills = 2000, 3
    folder.write(recolourings(count))
    command = (str(folder.manifest), str(folder.out), "--config", str(BULK))
    for _ in range(kills):
        killed = process(*command)
        killed.wait_for(folder, random.randint(1, count // (kills + 1)))
        killed.signal(signal.SIGKILL)
        assert killed.ended() == -signal.SIGKILL
    last = process(*command)
    assert last.ended() == 0, last.output()
    folder.require_each_once(count)
