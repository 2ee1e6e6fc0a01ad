"""Bulk runs on Ray: the service's own pixels, every row once, whatever is wrong with some."""

from __future__ import annotations

import base64
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
from typing import Any

import fsspec
import httpx
import pyarrow.parquet as pq
import pytest
import yaml

from serve_app.bulk.desk import MaxErrors, Stopped
from serve_app.bulk.manifest.source import Source
from serve_app.bulk.preparing import Order
from serve_app.bulk.progress import RunProgress
from serve_app.bulk.run import Wishes, run_bulk
from serve_app.bulk.summary import Summary
from serve_app.config import ServiceConfig
from serve_app.engine.miniature.samples import SAMPLES
from serve_app.errors import EditServiceError
from tests.bulk.s3 import S3, s3  # noqa: F401 - a fixture
from tests.conftest import ROOT, Service, decoded, local_arguments

pytestmark = pytest.mark.cluster

README = (ROOT / "README.md").read_text()
BULK = ROOT / "configs" / "bulk.yaml"
SAMPLE_FILES = ROOT / "serve_app" / "samples"
BATCH = 4
COLOURS = ("yellow", "blue", "green", "purple", "orange", "red")


def config(root: Path, editors: int = 1) -> ServiceConfig:
    """The service's own settings, on what its cluster has left."""
    arguments = local_arguments(root)
    arguments["engine"]["max_batch_size"] = BATCH
    arguments["bulk"] = {
        "editors": {"number": editors, "num_cpus": 0.1, "num_gpus": 0},
        "loaders": {"num_cpus": 0.1},
        "validators": {"num_cpus": 0.1},
    }
    return ServiceConfig.model_validate(arguments)


class Folder:
    """Images, a manifest and an output folder of one test."""

    def __init__(self, path: Path) -> None:
        self.images = path / "images"
        self.images.mkdir(parents=True)
        for name in SAMPLES:
            (self.images / f"{name}.png").write_bytes((SAMPLE_FILES / f"{name}.png").read_bytes())
        self.manifest = self.images / "edits.jsonl"
        self.out = path / "out"
        self.config = config(path)

    def write(self, rows: list[dict[str, Any]]) -> None:
        self.manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def run(self, told: Callable[[RunProgress], None] = lambda _: None, **wishes: Any) -> Summary:
        order = Order(Source(str(self.manifest)), str(self.out), skip_invalid=True)
        return run_bulk(self.config, order, Wishes("qwen-edit", **wishes), told)

    def results(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.out / "results.parquet").to_pylist()
        return rows

    def ledger(self, since: int = 0) -> list[dict[str, Any]]:
        """Every line that was ever committed, by writers that began ``since`` (in ns)."""
        files = sorted((self.out / "ledger").glob("*.jsonl"))
        files = [file for file in files if int(file.name.partition("-")[0]) >= since]
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def require_each_once(self, count: int) -> None:
        """Every row has ended once: in the ledger, in the results, in pictures."""
        assert sorted(line["row"] for line in self.ledger()) == list(range(1, count + 1))
        assert [row["status"] for row in self.results()] == ["succeeded"] * count
        assert len(list((self.out / "images").rglob("*.png"))) == count


@pytest.fixture
def folder(service: Service, tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def recolourings(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"row {index}",
            "image": "balloon.png",
            "prompt": f"make the red circle {COLOURS[index % len(COLOURS)]}",
            "seed": index,
        }
        for index in range(count)
    ]


# One run of everything that can be in a manifest: a run has to start its actors each time.

LIKE_ONLINE: list[dict[str, Any]] = [
    {"image": "shop.png", "prompt": "change the sign to 'OPEN'", "seed": 5},
    {"image": "balloon.png", "prompt": "make the red circle yellow", "seed": 2**40},
    {"image": "wall.png", "prompt": "배경을 단색 하늘색으로 바꿔줘", "num_inference_steps": 6},
    {"image": "toys.png", "prompt": "remove the green square", "mask_box": [40, 40, 64, 64]},
]
SAME: list[dict[str, Any]] = [
    {"id": f"same {i}", "image": "balloon.png", "prompt": "make the red circle blue"}
    for i in range(10)
]
NIGHT = "make it night"
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "broken": ({"image": "broken.png", "prompt": NIGHT}, "unusable_image"),
    "text": ({"image": "text.png", "prompt": NIGHT}, "unsupported_media_type"),
    "gone": ({"image": "gone.png", "prompt": NIGHT}, "image_not_found"),
    "steps": ({"image": "shop.png", "prompt": "x", "num_inference_steps": 0}, "invalid_value"),
    "away": ({"image": "../edits.png", "prompt": NIGHT}, "outside_input_root"),
    "box": ({"image": "shop.png", "prompt": "x", "mask_box": [0, 0, 900, 900]}, "unusable_mask"),
    "token": ({"image": "shop.png", "prompt": "<|image_pad|>"}, "invalid_value"),
}


@pytest.fixture(scope="module")
def mixed(service: Service, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Summary]:
    """A run of good rows, of which some are alike, with bad ones among them, by two editors."""
    folder = Folder(tmp_path_factory.mktemp("mixed"))
    folder.config = config(folder.images.parent, editors=2)
    (folder.images / "broken.png").write_bytes((folder.images / "shop.png").read_bytes()[:200])
    (folder.images / "text.png").write_text("no picture")
    bad = [{"id": name, **row} for name, (row, _) in BAD.items()]
    like_online = [{"id": f"like {i}", **row} for i, row in enumerate(LIKE_ONLINE)]
    folder.write([*bad[:3], *like_online, *SAME, *bad[3:], *recolourings(12)])
    return folder, folder.run()


def test_a_row_has_the_pixels_of_the_same_request_online(
    mixed: tuple[Folder, Summary], service: Service
) -> None:
    folder, _ = mixed
    results = {row["row"]: row for row in folder.results()}
    for number, row in enumerate(LIKE_ONLINE, start=4):
        online, result = edited_online(service, row), results[number]
        in_bulk = decoded((folder.out / result["output_image"]).read_bytes())
        assert (decoded(base64.b64decode(online["b64_json"])) == in_bulk).all()
        assert (result["seed"], result["verdict"]) == (online["seed"], online["verdict"])


def edited_online(service: Service, row: dict[str, Any]) -> dict[str, Any]:
    image = (SAMPLE_FILES / row["image"]).read_bytes()
    body = {
        **row,
        "image": [f"data:image/png;base64,{base64.b64encode(image).decode()}"],
        "cache": "off",
    }
    answer = httpx.post(f"{service.url}/v1/images/edits", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    edited: dict[str, Any] = answer.json()["data"][0]
    return edited


def test_every_good_row_is_done_and_every_bad_one_told(mixed: tuple[Folder, Summary]) -> None:
    folder, summary = mixed
    good = len(LIKE_ONLINE) + len(SAME) + 12
    assert (summary.succeeded, summary.failed, summary.left) == (good, len(BAD), 0)
    results = folder.results()
    assert [row["row"] for row in results] == list(range(1, good + len(BAD) + 1))
    failed = {row["id"]: row["error_code"] for row in results if row["status"] == "failed"}
    assert failed == {name: code for name, (_, code) in BAD.items()}
    assert all(row["error_message"] for row in results if row["id"] in BAD)
    assert len({row["output_image"] for row in results} - {None}) == good


def test_identical_rows_cost_one_edit_whichever_editor_has_them(
    mixed: tuple[Folder, Summary],
) -> None:
    folder, _ = mixed
    same = [row for row in folder.results() if row["id"].startswith("same ")]
    assert [row["cache"] for row in same].count("miss") == 1
    assert len({row["output_image"] for row in same}) == len(SAME)
    assert len({(folder.out / row["output_image"]).read_bytes() for row in same}) == 1


def test_what_keeps_every_row_from_ending_is_told(folder: Folder) -> None:
    folder.write(recolourings(2))
    model = folder.config.model.model_copy(update={"checkpoint": str(folder.out / "nothing")})
    folder.config = folder.config.model_copy(update={"model": model})
    with pytest.raises(EditServiceError, match="checkpoint"):
        folder.run()
    assert folder.ledger() == []


@pytest.mark.slow
def test_stopped_by_errors_resumed_and_the_failed_tried_again(folder: Folder) -> None:
    late = [{"id": f"late {i}", "image": "late.png", "prompt": NIGHT, "seed": i} for i in range(30)]
    folder.write([*late, *recolourings(30)])
    first = folder.run(max_errors=MaxErrors(number=4))
    assert first.stopped == Stopped.TOO_MANY_ERRORS
    assert first.failed > 4
    assert first.left > 0

    second = folder.run()
    assert (second.succeeded, second.failures) == (30, {"image_not_found": 30})
    phases: list[str] = []
    assert folder.run(lambda progress: phases.append(progress.phase)) == second
    assert "starting Ray" not in phases
    assert sorted(line["row"] for line in folder.ledger()) == list(range(1, 61))

    (folder.images / "late.png").write_bytes((folder.images / "balloon.png").read_bytes())
    third = folder.run(retry_failed=True)
    assert (third.succeeded, third.failed) == (60, 0)
    assert len(folder.ledger()) == 90
    assert {row["status"] for row in folder.results()} == {"succeeded"}


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


def test_the_readmes_commands_run(tmp_path: Path, process: Start) -> None:
    """Letter by letter, from a folder in which its paths work."""
    (tmp_path / "serve_app").symlink_to(ROOT / "serve_app")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    lines = re.findall(r"^qwen-edit (bulk run serve_app/.*?) *(?:#.*)?$", README, re.MULTILINE)
    first, second = (shlex.split(line)[2:] for line in lines)
    dry = process(*first, folder=tmp_path)
    assert dry.ended() == 0, dry.output()
    assert "to be run" in dry.output()
    assert not (tmp_path / "out").exists()
    whole = process(*second, folder=tmp_path)
    assert whole.ended() == 0, whole.output()
    results = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert {row["id"] for row in results} == set(SAMPLES)
    assert (tmp_path / "out" / "report.html").is_file()


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

    folder.run()
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
