"""`qwen-edit validate`: two files in, a table, a picture and an exit status out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from serve_app.cli import app
from serve_app.edits.request import EditType
from serve_app.quality.report import Check, CheckStatus, Report, Verdict
from serve_app.validate_command import print_report
from tests.conftest import encoded, photo
from tests.test_imports import HEAVY, imported


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
    strict = {"quality": {"read_text": False, "checks": {"over_edit": {"appearance": {"fail": 0}}}}}
    for name, content in (
        ("strict.yaml", {"applications": [{"args": strict}]}),
        ("unknown.yaml", {"applications": [{"args": {"qualty": {}}}]}),
        ("empty.yaml", {"applications": []}),
    ):
        (tmp_path / name).write_text(yaml.safe_dump(content))
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


def test_what_each_check_measures_is_told(files: Path) -> None:
    _, output = run(files, "before.png", "good.jpg", "--edit-type", "appearance", "--no-picture")
    assert "in percent of the diagonal" in output
    assert "no judge is configured" in output


def test_words_that_look_like_markup_are_words() -> None:
    """Whatever is on a sign is printed as it is: brackets are no styles, and none is unclosed."""
    shown = io.StringIO()
    evidence = {"read": "[/red] [bold]"}
    checks = (Check("target_text", CheckStatus.FAIL, 0.5, 0.05, "at_most", evidence),)
    report = Report(Verdict.FAIL, 1.0, ("Say [what] it says.",), checks)
    print_report(Console(file=shown, width=120), report, EditType.TEXT)
    assert "read: [/red] [bold]" in shown.getvalue()
    assert "Say [what] it says." in shown.getvalue()


def test_limits_and_checks_are_those_of_the_configuration(files: Path) -> None:
    arguments = ("before.png", "good.jpg", "--edit-type", "appearance", "--no-picture")
    assert run(files, *arguments)[0] == 0
    code, output = run(files, *arguments, "--config", "strict.yaml")
    assert code == 1
    assert "Far more changed" in output


@pytest.mark.parametrize(
    ("config", "said"), [("unknown.yaml", "qualty"), ("empty.yaml", "no application")]
)
def test_a_configuration_that_can_not_be_used_is_told(files: Path, config: str, said: str) -> None:
    code, output = run(files, "before.png", "good.jpg", "--no-picture", "--config", config)
    assert code == 2
    assert said in output


@pytest.mark.parametrize("victim", ["before.png", "good.jpg"])
def test_what_is_judged_is_never_overwritten(files: Path, victim: str) -> None:
    before = (files / victim).read_bytes()
    code, output = run(files, "before.png", "good.jpg", "--picture", victim)
    assert code == 2
    assert "another name" in output
    assert (files / victim).read_bytes() == before


def test_it_runs_without_ray_and_torch() -> None:
    assert imported("import serve_app.validate_command").isdisjoint(HEAVY)


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
        (("before.png", "gone.png"), "gone.png: The file can't be read"),
        (("before.png", "words.png"), "words.png: The image is not a PNG"),
        (("before.png", "good.jpg", "--mask", "mask.png"), "mask.png: The mask has 64x64"),
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
    for word in ("--mask", "--expected-text", "--picture", "--json", "--config", "annotated"):
        assert word in output
