"""`qwen-edit ab analyze`: files in, a table, a picture and JSON out."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from serve_app.cli import app
from tests.elsewhere import Answer, elsewhere, error, nowhere
from tests.test_imports import imported

JOB = "job-" + "0" * 32
TEST = """
control: blue
metric: clicks
variants:
  blue: {impressions: 10000, clicks: 500, users: 9000}
  green: {impressions: 10050, clicks: 601, users: 9040}
"""
TABLE = "variant,impressions,clicks\nblue,10000,500\ngreen,10050,601\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test.yaml").write_text(TEST)
    (tmp_path / "counts.csv").write_text(TABLE)
    return tmp_path


def run(file: Path, *arguments: object, url: str = nowhere()) -> Result:
    return CliRunner().invoke(
        app,
        ["ab", "analyze", str(file), *map(str, arguments)],
        env={"QWEN_EDIT_URL": url, "COLUMNS": "80"},
    )


def answered(file: Path, *arguments: object) -> Any:
    result = run(file, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_file_is_analysed_without_a_service(folder: Path) -> None:
    result = run(folder / "test.yaml")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "blue 500 of 9,000 5.56% 5.10% to 6.05% 0.1% 1.09% control" in lines
    assert "winner" in lines
    assert any(line.startswith("Choose green over blue: it is better") for line in lines)
    assert f"Picture: {folder / 'test.analysis.png'}" in result.stdout
    with Image.open(folder / "test.analysis.png") as picture:
        assert picture.format == "PNG"
    assert run(folder / "test.yaml").exit_code == 0, "its own picture is made anew"


def test_a_table_is_read_with_what_it_does_not_say(folder: Path) -> None:
    answer = answered(
        folder / "counts.csv", "--control", "green", "--metric", "clicks", "--no-picture"
    )
    assert (answer["control"], answer["metric"], answer["unit"]) == (
        *("green", "clicks", "impressions"),
    )
    assert answer["variants"]["blue"] == {"impressions": 10_000, "clicks": 500}
    assert not list(folder.glob("*.png"))


def test_options_come_before_the_file(folder: Path) -> None:
    answer = answered(folder / "test.yaml", "--control", "green", "--minimum-effect", 0.05)
    assert answer["control"] == "green"
    assert answer["minimum_effect"] == 0.05
    assert answer["verdict"] == "insufficient_data"


def test_json_names_the_picture(folder: Path) -> None:
    picture = folder / "other.png"
    assert answered(folder / "test.yaml", "--picture", picture)["picture"] == str(picture)
    assert picture.exists()


def test_with_a_job_the_service_analyses_and_keeps_it(folder: Path) -> None:
    local = answered(folder / "test.yaml", "--no-picture")
    drawn = {"b64_json": base64.b64encode(b"a picture").decode()}
    with elsewhere() as service:
        service.on("POST", "/v1/ab-tests/analyze", Answer(local | {"picture": drawn}))
        result = run(folder / "test.yaml", "--job", JOB, url=service.url)
    assert result.exit_code == 0, result.output
    assert "winner" in result.stdout
    (asked,) = service.asked
    assert (asked.json["job"], asked.json["picture"]) == (JOB, True)
    assert asked.json["variants"]["green"]["clicks"] == 601
    assert (folder / "test.analysis.png").read_bytes() == b"a picture"


def test_a_job_that_is_refused_is_told(folder: Path) -> None:
    with elsewhere() as service:
        refusal = Answer(error("There is no job with this id.", "job"), 404)
        service.on("POST", "/v1/ab-tests/analyze", refusal)
        result = run(folder / "test.yaml", "--job", JOB, url=service.url)
    assert result.exit_code == 2
    assert "There is no job with this id." in result.stderr
    assert not list(folder.glob("*.png"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEST.replace("601", "-1"), "`clicks` must be a whole number"),
        (TEST.replace("601", ".nan"), "(`variants.green.clicks`)"),
        (TEST.replace("green", "blue"), "given twice. (`blue`)"),
        (TEST.replace("metric", "metrik"), "There is no such field. (`metrik`)"),
        (TEST.replace("control: blue", "control: red"), "`control` must be the name"),
        ("- 1", "must be a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_bad_files_are_told_plainly(folder: Path, text: str, said: str) -> None:
    file = folder / "bad.yaml"
    file.write_text(text)
    result = run(file)
    assert result.exit_code == 2
    assert said in result.stderr
    assert str(file) in result.stderr
    assert not list(folder.glob("*.png"))


def test_a_table_needs_a_control(folder: Path) -> None:
    result = run(folder / "counts.csv", "--metric", "clicks")
    assert result.exit_code == 2
    assert "`control` is required" in result.stderr


def test_the_counts_are_never_overwritten(folder: Path) -> None:
    result = run(folder / "test.yaml", "--picture", folder / "test.yaml")
    assert result.exit_code == 2
    assert (folder / "test.yaml").read_text() == TEST


@pytest.mark.parametrize("arguments", [(), ("--picture", "hero.png")])
def test_other_pictures_are_never_overwritten(folder: Path, arguments: tuple[str, ...]) -> None:
    target = folder / (arguments[-1] if arguments else "test.analysis.png")
    Image.new("RGB", (64, 64)).save(target)
    Image.new("RGB", (64, 64)).save(folder / "test.png")
    before = {file: file.read_bytes() for file in folder.glob("*.png")}
    given = ("--picture", target) if arguments else ()
    result = run(folder / "test.yaml", *given)
    assert result.exit_code == 2
    assert "is no picture of an analysis" in result.stderr
    assert {file: file.read_bytes() for file in folder.glob("*.png")} == before


@pytest.mark.parametrize("name", ["no/such.png", "", "n" * 300])
def test_a_picture_that_cannot_be_written_is_told_before_the_service_keeps_anything(
    folder: Path, name: str
) -> None:
    with elsewhere() as service:
        service.on("POST", "/v1/ab-tests/analyze", Answer({}))
        arguments = ("--job", JOB, "--picture", folder / name)
        result = run(folder / "test.yaml", *arguments, url=service.url)
    assert result.exit_code == 2
    assert "can't be written" in result.stderr
    assert not service.asked
    assert not list(folder.glob("*.png"))


def test_help_needs_no_statistics() -> None:
    assert imported("import serve_app.cli").isdisjoint({"scipy", "pandas", "statsmodels"})
