"""`qwen-edit validate`: two files in, a table, a picture and an exit status out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from serve_app.cli import app
from tests.conftest import encoded, photo


@pytest.fixture
def files(tmp_path: Path) -> Path:
    before = photo("astronaut", (256, 256))
    good = before.copy()
    good[60:110, 70:130] = (30, 160, 60)
    (tmp_path / "before.png").write_bytes(encoded(before))
    (tmp_path / "good.jpg").write_bytes(encoded(good, "JPEG"))
    (tmp_path / "flat.png").write_bytes(encoded(np.full_like(before, 128)))
    (tmp_path / "mask.png").write_bytes(encoded(np.full((64, 64, 3), 255, np.uint8)))
    (tmp_path / "words.png").write_text("not an image")
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    paths = [str(folder / it) if "." in it and "=" not in it else it for it in arguments]
    result = CliRunner().invoke(app, ["validate", *paths], env={"COLUMNS": "160"})
    return result.exit_code, result.output


def test_a_good_edit_is_told_with_its_picture(files: Path) -> None:
    code, output = run(
        files, "before.png", "good.jpg", "--prompt", "add a green box", "--picture", "judged.png"
    )
    assert code == 0, output
    assert "pass_unverified as appearance edit" in output
    assert "over_edit" in output
    with Image.open(files / "judged.png") as drawn:
        assert drawn.format == "PNG"


def test_a_failure_is_the_exit_status(files: Path) -> None:
    code, output = run(files, "before.png", "flat.png", "--no-picture")
    assert code == 1
    assert "almost one flat colour" in output
    assert not (files / "validated.png").exists()


def test_json_is_the_report(files: Path) -> None:
    code, output = run(
        files, "before.png", "good.jpg", "--json", "--no-picture", "--edit-type", "hybrid"
    )
    report = json.loads(output)
    assert code == 0
    assert report["edit_type"] == "hybrid"
    assert {"verdict", "coverage", "reasons", "checks"} < report.keys()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("before.png", "gone.png"), "can't be read"),
        (("before.png", "words.png"), "PNG"),
        (("before.png", "good.jpg", "--mask", "mask.png"), "64x64"),
    ],
)
def test_files_that_can_not_be_used_are_one_line(
    files: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, output = run(files, *arguments, "--no-picture")
    assert code == 2
    assert said in output
    assert "Traceback" not in output


def test_help_helps() -> None:
    output = CliRunner().invoke(app, ["validate", "--help"]).output
    for word in ("--mask", "--expected-text", "--picture", "--json", "annotated"):
        assert word in output
