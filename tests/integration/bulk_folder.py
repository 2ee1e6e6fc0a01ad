"""Images, a manifest and an output folder: what tests of bulk runs share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from serve_app.bulk.manifest.source import Source
from serve_app.bulk.preparing import Order
from serve_app.bulk.progress import RunProgress
from serve_app.bulk.run import Wishes, run_bulk
from serve_app.bulk.summary import Summary
from serve_app.config import ServiceConfig
from serve_app.engine.miniature.samples import SAMPLES
from tests.conftest import ROOT, local_arguments

SAMPLE_FILES = ROOT / "serve_app" / "samples"
BATCH = 4
COLOURS = ("yellow", "blue", "green", "purple", "orange", "red")

SAME: list[dict[str, Any]] = [
    {"id": f"same {i}", "image": "balloon.png", "prompt": "make the red circle blue"}
    for i in range(10)
]


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
