"""The sample scenes: those in the package are what the module draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serve_app.edits.classification import classify
from serve_app.engine.miniature.drawing import draw
from serve_app.engine.miniature.samples import SAMPLES, SIDE, write_samples
from serve_app.engine.miniature.scenes import Pair, changed_region
from tests.conftest import ROOT

SHIPPED = ROOT / "serve_app" / "samples"


def test_the_shipped_files_are_those_that_are_drawn(tmp_path: Path) -> None:
    write_samples(tmp_path)
    for listed in ("scenes.json", "edits.csv"):
        assert (tmp_path / listed).read_text() == (SHIPPED / listed).read_text()
    for entry in json.loads((SHIPPED / "scenes.json").read_text()):
        drawn, shipped = (Image.open(folder / entry["file"]) for folder in (tmp_path, SHIPPED))
        assert np.abs(np.asarray(drawn, int) - np.asarray(shipped, int)).max() <= 1


def test_there_are_a_dozen_of_all_types() -> None:
    assert len(SAMPLES) == 12
    assert {str(pair.edit_type) for pair in SAMPLES.values()} == {
        "appearance",
        "semantic",
        "text",
        "hybrid",
    }
    assert {pair.language for pair in SAMPLES.values()} == {"en", "zh", "ko"}


@pytest.mark.parametrize("pair", SAMPLES.values(), ids=SAMPLES.keys())
def test_what_is_asked_for_changes_the_picture_and_is_planned_as_listed(pair: Pair) -> None:
    assert changed_region(draw(pair.source, SIDE), draw(pair.target, SIDE)).any()
    assert classify(pair.instruction).edit_type == pair.edit_type
