"""`qwen-edit bulk run`: what it says before, after and instead of a run, and its exit status."""

from __future__ import annotations

import io
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from serve_app.bulk.desk import MaxErrors
from serve_app.bulk.manifest.check import Faults
from serve_app.bulk.preparing import Order
from serve_app.bulk.row import Fault
from serve_app.bulk.summary import Summary
from serve_app.bulk_command import max_errors_of
from serve_app.bulk_screen import show_faults, show_summary
from serve_app.cli import app
from serve_app.config import ServiceConfig
from serve_app.errors import InvalidRequest, NotReady
from tests.conftest import ROOT
from tests.storage.virtual_time import files_below
from tests.test_imports import HEAVY, imported

GOOD = {"id": "a", "image": "a.png", "prompt": "make it blue"}
BAD = {"id": "b[/red]", "image": "a.png"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: manifests, good and bad, images, prompts and settings."""
    monkeypatch.chdir(tmp_path)
    manifests = {"good": [GOOD, {**GOOD, "id": "c"}], "bad": [GOOD, BAD, {**BAD, "id": "d"}]}
    for name, rows in manifests.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"x")
    (tmp_path / "prompts.txt").write_text("\ufeffmake it blue\r\n\n  make it red \n", "utf-8")
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes(b"\xff\xfe\xe9")
    settings = yaml.safe_load((ROOT / "configs" / "bulk.yaml").read_text())
    settings["bulk"]["price_per_hour"] = 3.6
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "bulk.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["bulk", "run", *arguments], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_help_tells_formats_and_exit_codes() -> None:
    code, output = run("--help")
    assert code == 0
    text = " ".join(output.split())
    for word in (".parquet", ".jsonl", ".csv", "folder", "s3://", "--skip-invalid", "N|P%"):
        assert word in text
    assert (
        "0 if all rows succeeded, 1 if some failed or are left, 2 if nothing could be run" in text
    )
    assert "3 if --max-errors stopped it, 4 if storage, validators or Ray went away, 130" in text


def test_the_command_line_starts_without_what_is_heavy() -> None:
    assert imported("import serve_app.bulk_command").isdisjoint((*HEAVY, "pyarrow", "pandas"))


# Dry runs


def test_a_dry_run_tells_counts_a_sample_and_an_estimate(folder: Path) -> None:
    before = files_below(folder)
    code, output = run("good.jsonl", "out", "--dry-run")
    assert code == 0, output
    told = dict(line.rsplit(maxsplit=1) for line in output.splitlines()[:3])
    assert told == {"rows": "2", "images not there": "1", "to be run": "2"}
    # 2 rows of 8 steps without guidance, 25 ms each, on two editors.
    assert "about 200 ms" in output
    assert "about 0.00" in output
    assert "bulk.seconds_per_forward" in output
    assert "make it blue" in output
    assert "appearance" in output
    assert files_below(folder) == before
    assert not (folder / "out").exists()


def test_a_dry_run_tells_all_that_is_wrong(folder: Path) -> None:
    _, output = run("bad.jsonl", "out", "--dry-run")
    assert "can't be run" in output
    assert "row 2 (b[/red]): `prompt` is required." in output
    assert "row 3 (d)" in output
    assert not (folder / "out").exists()


def test_a_dry_run_of_a_folder_with_prompts(folder: Path) -> None:
    code, output = run(
        "photos", "out", "--prompt", "make it green", "--prompts", "prompts.txt", "--dry-run"
    )
    assert code == 0, output
    assert output.splitlines()[0].split() == ["rows", "3"]
    for prompt in ("make it green", "make it blue", "make it red"):
        assert prompt in output


# What can't be run


def test_bad_rows_are_told_by_their_numbers(folder: Path) -> None:
    code, output = run("bad.jsonl", "out")
    assert code == 2
    assert "row 2 (b[/red]): `prompt` is required." in output
    assert "row 3 (d)" in output
    assert "2 rows can't be run" in output
    assert "--skip-invalid" in output
    assert not (folder / "out" / "run.json").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.csv", "out"], "is not there"),
        (["photos", "out"], "at least one prompt"),
        (["good.jsonl", "out", "--prompt", "x"], "for a folder of images alone"),
        (["photos", "photos/out", "--prompt", "x"], "beside it"),
        (["photos", "out", "--prompts", "blank.txt"], "blank.txt has no prompts"),
        (["photos", "out", "--prompts", "latin.txt"], "latin.txt can't be read"),
        (["photos", "out", "--prompts", "nowhere.txt"], "nowhere.txt can't be read"),
        (["good.jsonl", "out", "--config", "nowhere.yaml"], "nowhere.yaml is not there"),
        (["good.jsonl", "out", "--config", "good.jsonl"], "good.jsonl"),
        (["good.jsonl", "nowhere://out"], "The output folder must be a path"),
        (["good.jsonl", "out", "--max-errors", "some"], "--max-errors must be"),
        (["good.jsonl", "out", "--limit", "0"], "--limit"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(folder: Path, arguments: list[str], told: str) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert told in " ".join(output.split())
    assert "Traceback" not in output
    assert not (folder / "out" / "run.json").exists()


# Runs


SUMMARY = Summary(10, 10, 0, 0, {"pass": 10}, {}, 1.0)


class Runs:
    """``run_bulk`` as the command calls it, without Ray: it tells what was wished for."""

    def __init__(self) -> None:
        self.summary = SUMMARY
        self.calls: list[tuple[ServiceConfig, Order, Any]] = []

    def __call__(
        self, config: ServiceConfig, order: Order, wishes: Any, told: Callable[[Any], None]
    ) -> Summary:
        self.calls.append((config, order, wishes))
        return self.summary


@pytest.fixture
def runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr("serve_app.bulk.run.run_bulk", runs)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return runs


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        (SUMMARY, 0),
        (Summary(10, 9, 1, 0, {}, {"edit_failed": 1}, 1.0), 1),
        (Summary(10, 9, 1, 1, {}, {"invalid": 1}, 1.0), 1),
        (Summary(10, 9, 0, 0, {}, {}, 1.0), 1),
        (Summary(10, 9, 0, 0, {}, {}, 1.0, "interrupted"), 130),
        (Summary(10, 5, 5, 0, {}, {"edit_failed": 5}, 1.0, "too_many_errors"), 3),
    ],
)
def test_the_exit_status_tells_how_it_ended(runs: Runs, summary: Summary, code: int) -> None:
    runs.summary = summary
    assert run("good.jsonl", "out")[0] == code


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        (Summary(10, 9, 1, 0, {}, {"edit_failed": 1}, 1.0), 0),
        (Summary(10, 8, 1, 0, {}, {"edit_failed": 1}, 1.0), 1),
        (Summary(10, 9, 1, 0, {}, {"edit_failed": 1}, 1.0, "interrupted"), 130),
        (Summary(10, 5, 5, 0, {}, {"edit_failed": 5}, 1.0, "too_many_errors"), 3),
    ],
)
def test_failed_rows_may_be_no_failure_but_rows_that_are_left_are(
    runs: Runs, summary: Summary, code: int
) -> None:
    runs.summary = summary
    assert run("good.jsonl", "out", "--failed-rows-ok")[0] == code


def test_what_is_given_is_what_is_run(runs: Runs) -> None:
    code, output = run(
        "good.jsonl",
        "out",
        *("--input-root", "photos", "--skip-invalid", "--retry-failed"),
        *("--max-errors", "5%", "--limit", "7", "--address", "auto"),
    )
    assert code == 0, output
    ((config, order, wishes),) = runs.calls
    assert config.bulk.price_per_hour == 3.6
    assert (order.source.place, order.out) == ("good.jsonl", "out")
    assert (order.input_root, order.skip_invalid) == ("photos", True)
    assert wishes.max_errors == MaxErrors(share=0.05)
    assert (wishes.retry_failed, wishes.limit, wishes.address) == (True, 7, "auto")


def test_by_default_ray_is_started_here_and_nothing_is_limited(runs: Runs) -> None:
    run("good.jsonl", "out")
    ((_, order, wishes),) = runs.calls
    assert (order.input_root, order.skip_invalid) == (None, False)
    assert (wishes.max_errors, wishes.limit, wishes.address) == (MaxErrors(), None, None)
    assert not wishes.retry_failed


def test_a_run_that_storage_ends_is_told(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Summary:
        raise NotReady("Storage is full, so nothing was stored.")

    monkeypatch.setattr("serve_app.bulk.run.run_bulk", full)
    code, output = run("good.jsonl", "out")
    assert code == 4
    assert "Storage is full" in output
    assert "To go on:" in output


ONCE = [["--limit", "5"], ["--limit=5"], ["--retry-failed"], []]


@pytest.mark.parametrize("once", ONCE, ids=lambda it: " ".join(it) or "nothing")
@pytest.mark.parametrize("place", [0, 1, 2, 4])
def test_the_command_to_go_on_wishes_nothing_for_this_once(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, once: list[str], place: int
) -> None:
    """Names with blanks and quotes are those of the shell."""
    given = ["my edits.jsonl", "it's out", "--max-errors", "5%"]
    arguments = [*given[:place], *once, *given[place:]]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/qwen-edit", "bulk", "run", *arguments])
    runs.summary = Summary(10, 9, 0, 0, {}, {}, 1.0)
    _, output = run(*arguments)
    ((_, _, wishes),) = runs.calls
    assert shlex.split(wishes.command) == ["qwen-edit", "bulk", "run", *given]
    assert wishes.command in output


@given(count=st.integers(0, 999_999_999))
def test_a_number_of_errors(count: int) -> None:
    assert max_errors_of(str(count)) == MaxErrors(number=count)


@given(hundredths=st.integers(0, 10_000))
def test_a_share_of_errors(hundredths: int) -> None:
    read = max_errors_of(f"{hundredths // 100}.{hundredths % 100:02}%")
    assert read.number is None
    assert read.share == pytest.approx(hundredths / 10_000)


@given(text=st.text(alphabet="0123456789.%-+e _\n٣", max_size=8) | st.text(max_size=8))
def test_other_limits_of_errors_are_refused_or_read(text: str) -> None:
    try:
        read = max_errors_of(text)
    except InvalidRequest:
        return
    assert (read.number is None) == text.endswith("%")
    if read.share is not None:
        assert 0 <= read.share <= 1


@pytest.mark.parametrize("text", ["", "%", "-1", "101%", "100.5%", "1.5", "5 %", "1e3", "²", "5\n"])
def test_what_is_no_limit_of_errors(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        max_errors_of(text)
    assert refused.value.param == "max_errors"


def test_without_a_limit_there_is_none() -> None:
    assert max_errors_of(None) == MaxErrors()


# On the screen


def shown(show: Callable[..., None], *what: Any) -> str:
    file = io.StringIO()
    show(Console(file=file, width=80), *what)
    return file.getvalue()


def test_a_summary_tells_where_results_are_and_how_it_goes_on() -> None:
    summary = Summary(
        rows=2000,
        succeeded=1200,
        failed=30,
        invalid=10,
        verdicts={"pass": 1100, "fail": 100},
        failures={"edit_failed": 20, "invalid": 10},
        last_ended_at=1.0,
    )
    output = shown(show_summary, summary, "s3://shop/out/", "qwen-edit bulk run x 'my out'")
    lines = [line.split() for line in output.splitlines()]
    for line in (
        ["succeeded", "1,200"],
        ["pass", "1,100"],
        ["fail", "100"],
        ["failed", "30"],
        ["edit_failed", "20"],
        ["invalid", "10"],
        ["not", "run", "yet", "770"],
        ["s3://shop/out/report.html"],
        ["s3://shop/out/results.parquet"],
    ):
        assert line in lines
    assert "To go on:\n  qwen-edit bulk run x 'my out'\n" in output
    assert "  qwen-edit bulk run x 'my out' --retry-failed\n" in output


def test_a_run_that_is_done_needs_no_advice() -> None:
    output = shown(show_summary, SUMMARY, "out", "qwen-edit …")
    assert "qwen-edit" not in output
    assert "failed" not in output


def test_refused_rows_are_not_to_be_tried_again() -> None:
    summary = Summary(10, 9, 1, 1, {}, {"invalid": 1}, 1.0)
    assert "--retry-failed" not in shown(show_summary, summary, "out", "qwen-edit …")


def test_of_many_faults_the_first_are_shown() -> None:
    first = tuple(Fault(n, f"[bold]{n}", "missing_field", "`prompt` …") for n in range(1, 21))
    faults = Faults(1250, {"missing_field": 1200, "duplicate_id": 50}, first)
    lines = shown(show_faults, faults).splitlines()
    assert lines[0] == "row 1 ([bold]1): `prompt` …"
    assert len(lines) == 21
    assert lines[-1] == "and 1,230 more; in all 1,200 missing_field, 50 duplicate_id"
