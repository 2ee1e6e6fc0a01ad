"""The plain loop that a run is compared with: stock pipeline, validation, saving, by the row."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from serve_app.bulk.loading import LoadedRow
from serve_app.bulk.row import Row
from serve_app.config import ServiceConfig
from serve_app.edits.job import EditedImage
from serve_app.edits.planning import Planner
from serve_app.engine.canvas import Layout
from serve_app.engine.load import load_checkpoint
from serve_app.images.decoding import decode
from serve_app.images.encoding import encode
from serve_app.images.pixels import DecodedImage
from serve_app.quality.case import Case
from serve_app.quality.repair import mend
from serve_app.quality.validator import Validator
from serve_app.workflows.re_editing import Stop, Tried, next_attempt
from serve_app.workflows.record import Attempt, best_of, make_result
from tests.engine.stock import call_stock


@dataclass(frozen=True, slots=True)
class Pace:
    """``rows`` in ``seconds``, of which attempts are counted, too."""

    rows: int
    attempts: int
    seconds: float


class PlainLoop:
    """What one would write without this service, with the service's own checks and policy."""

    def __init__(self, config: ServiceConfig, images: Path, out: Path) -> None:
        self._config = config
        self._images = images
        self._out = out
        self._checkpoint = load_checkpoint(config.model)
        self._planner = Planner(config, self._checkpoint.description)
        self._validator = Validator.open(config.quality)

    def run(self, rows: Sequence[Mapping[str, Any]]) -> Pace:
        """Edit ``rows`` one after the other."""
        started = time.perf_counter()
        attempts = sum(self._edit(number, row) for number, row in enumerate(rows))
        return Pace(len(rows), attempts, time.perf_counter() - started)

    def _edit(self, number: int, row: Mapping[str, Any]) -> int:
        data = (self._images / row["image"]).read_bytes()
        image = decode(data, self._config.limits, "image")
        asked = {"prompt": row["prompt"], "seed": row["seed"]}
        plan = self._planner.plan(_request(asked, image))
        attempts: list[Attempt] = []
        tried: list[Tried] = []
        started = time.perf_counter()
        while not isinstance(planned := next_attempt(plan, tried), Stop):
            job = plan.job(planned)
            layout = Layout.of(job, self._checkpoint)
            with torch.no_grad():
                pixels = call_stock(self._checkpoint, layout.task(job), "np")[0]
            restored = layout.restore((pixels * 255).round().astype(np.uint8))
            case = Case(job.images[0], restored, plan.edit_type, prompt=plan.prompt, text=plan.text)
            mended = mend(self._validator, case)
            took_s = time.perf_counter() - started
            attempts.append(Attempt(planned, EditedImage(restored, True), mended, {}, took_s))
            tried.append(attempts[-1].tried)
        png = encode(best_of(attempts).pixels)
        result = make_result(plan, self._checkpoint.description, attempts, planned, png, took_s)
        (self._out / f"{number}.png").write_bytes(result.png)
        (self._out / f"{number}.json").write_text(json.dumps(result.metadata))
        return len(attempts)


def _request(asked: Mapping[str, Any], image: DecodedImage) -> Any:
    return LoadedRow(Row(1, "row", (), None, asked), (image,)).request()
