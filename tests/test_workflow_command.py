"""`qwen-edit workflow`: files and settings in, jobs and saved workflows out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from serve_app.cli import app
from tests.conftest import ROOT
from tests.elsewhere import Answer, Elsewhere, Stream, elsewhere, error, state
from tests.test_jobs_command import AT, JOB, job

SAVED = "/v1/workflows/sign"
RUN = f"{SAVED}/run"

WORKFLOW: dict[str, Any] = {
    "name": "sign",
    "description": "The sign, then the light.",
    "parameters": {
        "image": {"type": "image", "default": "shop.png"},
        "headline": {"type": "string"},
        "wide": {"type": "boolean", "default": False},
        "share": {"type": "number", "default": 0.5},
        "seed": {"type": "integer", "default": 3},
        "box": {"type": "box", "default": [0, 0, 64, 48]},
        "color": {"type": "color", "default": "#FF0000"},
        "cut": {"type": "image", "default": "cut.png"},
    },
    "job": {
        "image": "${image}",
        "mask": "${cut}",
        "prompt": "'${headline}' in ${color}",
        "own": ["${wide}", "${share}", "${seed}", "${box}"],
    },
}
ANSWER = WORKFLOW | {"version": 2, "created_at": "2027-01-01T00:00:00.000+00:00"}
PICTURES = ("shop.png", "cut.png", "mine.png", "own.png")


def data_url(name: str) -> str:
    return "data:image/png;base64," + base64.b64encode(name.encode()).decode()


@pytest.fixture
def service() -> Iterator[Elsewhere]:
    with elsewhere() as served:
        served.on("POST", "/v1/jobs", Answer(job("queued"), 202))
        served.on("POST", "/v1/files", *(Answer({"id": f"img-{i}"}) for i in range(1, 9)))
        served.on("POST", RUN, Answer(job("queued"), 202))
        served.on("GET", SAVED, Answer(ANSWER))
        served.on("PUT", SAVED, Answer(ANSWER, 201))
        yield served


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workflow with its pictures beside it; the working directory has others."""
    own, working = tmp_path / "own", tmp_path / "working"
    for folder, names in ((own, PICTURES[:2]), (working, PICTURES[2:])):
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(name.encode())
    monkeypatch.chdir(working)
    written = own / "sign.yaml"
    written.write_text(yaml.safe_dump(WORKFLOW, sort_keys=False))
    return written


def call(service: Elsewhere, *arguments: object) -> Result:
    return CliRunner().invoke(
        app,
        ["workflow", *map(str, arguments)],
        env={"QWEN_EDIT_URL": service.url, "COLUMNS": "100"},
    )


def sent(service: Elsewhere, path: str = "/v1/jobs", method: str = "POST") -> Any:
    (asked,) = service.requests(method, path)
    return asked.json


def uploaded(service: Elsewhere) -> list[bytes]:
    return [it.parts[0].content for it in service.requests("POST", "/v1/files")]


# Running a file.


def test_a_file_is_filled_in_and_handed_in(service: Elsewhere, file: Path) -> None:
    result = call(
        service, "run", file, "--set", "headline=OPEN", "--label", "l", "--idempotency-key", "k"
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{JOB}\n"
    assert sent(service) == {
        "image": "img-1",
        "mask": data_url("cut.png"),
        "prompt": "'OPEN' in #FF0000",
        "own": [False, 0.5, 3, [0, 0, 64, 48]],
        "label": "l",
    }
    assert uploaded(service) == [b"shop.png"]
    assert service.asked[-1].headers["idempotency-key"] == "k"


def test_settings_have_the_types_of_their_parameters(service: Elsewhere, file: Path) -> None:
    settings = {
        "image": "mine.png",
        "cut": "own.png",
        "headline": "a=b ${seed} [x]",
        "wide": "true",
        "share": "2",
        "seed": "7",
        "box": "1, 2,30,40",
        "color": "#00ff00",
    }
    given = [part for it in settings.items() for part in ("--set", "=".join(it))]
    result = call(service, "run", file, *given)
    assert result.exit_code == 0, result.output
    assert sent(service) == {
        "image": "img-1",
        "mask": data_url("own.png"),
        "prompt": "'a=b ${seed} [x]' in #00ff00",
        "own": [True, 2, 7, [1, 2, 30, 40]],
    }
    assert uploaded(service) == [b"mine.png"]


def test_a_box_may_be_in_brackets_and_an_image_be_an_id(service: Elsewhere, file: Path) -> None:
    image = f"img-{'0' * 64}"
    settings = ("headline=", f"image={image}", "box=[1,2,30,40]", f"cut={data_url('x')}")
    given = [part for it in settings for part in ("--set", it)]
    assert call(service, "run", file, *given).exit_code == 0
    assert (sent(service)["image"], sent(service)["own"][3]) == (image, [1, 2, 30, 40])
    assert not uploaded(service)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("headline", "Write it as name=value"),
        ("colour=red", "no such parameter; it has: image, headline"),
        ("seed=x", "`seed` must be a whole number"),
        ("seed=1.5", "`seed` must be a whole number"),
        ("seed=", "`seed` must be a whole number"),
        ("share=much", "`share` must be a number"),
        ("share=NaN", "`share` must be a number"),
        ("wide=perhaps", "`wide` must be true or false"),
        ("box=1,2,3", "`box` must be four whole numbers"),
        ("box=1,2,3,x", "`box` must be four whole numbers"),
        ("color=red", "`color` must be a colour"),
        ("image=gone.png", "There is no such image"),
        ("image=@mine.png", "There is no such image"),
        ("headline=again", "`headline` is set twice"),
    ],
)
def test_settings_that_can_not_be_used(
    service: Elsewhere, file: Path, setting: str, said: str
) -> None:
    for what in (file, "sign"):
        result = call(service, "run", what, "--set", "headline=OPEN", "--set", setting)
        assert result.exit_code == 2
        assert said in result.stderr, result.stderr
    assert not [asked for asked in service.asked if asked.method != "GET"]


def test_what_is_missing_is_told_before_anything_is_sent(service: Elsewhere, file: Path) -> None:
    for what in (file, "sign"):
        result = call(service, "run", what, "--set", "image=mine.png")
        assert result.exit_code == 2
        assert "`headline` is required: add --set headline=…" in result.stderr
    assert not uploaded(service)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": 1}, "`colour`"),
        ({"name": "-"}, "`name`"),
        ({"job": {"prompt": "${nobody}"}}, "`job.prompt`"),
        ({"parameters": {}}, "`job.image`"),
        ({"parameters": {"image": {"type": "picture"}}}, "`parameters.image.type`"),
    ],
)
def test_a_file_that_is_no_workflow_is_told_with_the_field(
    service: Elsewhere, file: Path, changes: dict[str, Any], said: str
) -> None:
    file.write_text(yaml.safe_dump(WORKFLOW | changes))
    for arguments in (("run", file), ("save", file), ("check", file)):
        result = call(service, *arguments)
        assert result.exit_code == 2
        assert said in result.stderr
        assert str(file) in result.stderr
    assert not service.asked


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@pytest.mark.parametrize("key", ["seed", "headline", "parameters"])
def test_a_key_that_comes_twice_is_refused(
    service: Elsewhere, file: Path, suffix: str, key: str
) -> None:
    """Both readers would drop the first of them, and the rest would be called sound."""
    file = file.with_suffix(suffix)
    text = json.dumps(WORKFLOW)  # which is YAML, too
    file.write_text(text.replace(f'"{key}": {{', f'"{key}": {{"type": "box"}}, "{key}": {{', 1))
    for arguments in (("run", file), ("save", file), ("check", file)):
        result = call(service, *arguments)
        assert result.exit_code == 2
        assert f"`{key}` is given twice" in result.stderr
    assert not service.asked


def test_files_that_are_not_there(service: Elsewhere, file: Path) -> None:
    for what in ("gone.yaml", "folder/gone", str(file.parent)):
        result = call(service, "run", what)
        assert result.exit_code == 2
        assert "There is no such file" in result.stderr
    assert not service.asked
    result = call(service, "run", file, "--set", "headline=x", "--version", 1)
    assert result.exit_code == 2
    assert "--version is for saved workflows" in result.stderr


@pytest.mark.parametrize(("end", "status"), [("succeeded", 0), ("failed", 1)])
def test_watching_ends_as_the_job_does(
    service: Elsewhere, file: Path, end: str, status: int
) -> None:
    service.on("GET", AT, Answer(job("running")), Answer(job(end)))
    service.on("GET", f"{AT}/events", Stream([state("running", 1), state(end, 2)]))
    result = call(service, "run", file, "--set", "headline=x", "--watch", "--json")
    assert result.exit_code == status
    assert json.loads(result.stdout)["state"] == end


# Running what is saved.


def test_a_saved_workflow_is_run_with_uploaded_images(service: Elsewhere, file: Path) -> None:
    settings = ("headline=OPEN", "image=mine.png", "cut=own.png", "seed=7")
    given = [part for it in settings for part in ("--set", it)]
    result = call(service, "run", "sign", *given, "--label", "l", "--idempotency-key", "k")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{JOB}\n"
    values = {"headline": "OPEN", "image": "img-1", "cut": data_url("own.png"), "seed": 7}
    assert sent(service, RUN) == {"parameters": values, "version": 2, "label": "l"}
    assert uploaded(service) == [b"mine.png"]
    assert service.asked[-1].headers["idempotency-key"] == "k"


def test_an_older_version_is_asked_for(service: Elsewhere, file: Path) -> None:
    service.on("GET", SAVED, Answer(ANSWER | {"version": 1}))
    assert call(service, "run", "sign", "--set", "headline=x", "--version", 1).exit_code == 0
    assert service.requests("GET", SAVED)[0].query == {"version": "1"}
    assert sent(service, RUN)["version"] == 1


def test_what_is_refused_is_told(service: Elsewhere, file: Path) -> None:
    service.on("POST", RUN, Answer(error("There is no such field.", "job.steps.0.sead"), 400))
    result = call(service, "run", "sign", "--set", "headline=x")
    assert result.exit_code == 2
    assert "There is no such field. (`job.steps.0.sead`)" in result.stderr
    result = call(service, "run", "other", "--set", "headline=x")
    assert result.exit_code == 2
    assert "nothing at this address" in result.stderr


# Keeping.


def test_save_puts_the_file(service: Elsewhere, file: Path) -> None:
    result = call(service, "save", file)
    assert result.exit_code == 0, result.output
    assert result.stdout == "sign version 2\n"
    assert sent(service, SAVED, "PUT") == {
        name: value for name, value in WORKFLOW.items() if name != "name"
    }


def test_save_under_another_name(service: Elsewhere, file: Path) -> None:
    nameless = {name: value for name, value in WORKFLOW.items() if name != "name"}
    file.write_text(yaml.safe_dump(nameless))
    result = call(service, "save", file)
    assert result.exit_code == 2
    assert "has no `name`" in result.stderr
    result = call(service, "save", file, "--name", "sign", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == ANSWER


def test_list_show_and_delete(service: Elsewhere, file: Path) -> None:
    overview = {"name": "sign", "version": 2, "versions": [1, 2], "description": "A [sign]."}
    service.on("GET", "/v1/workflows", Answer({"object": "list", "data": [overview]}))
    service.on("DELETE", SAVED, Answer(status=204))
    listed = call(service, "list").stdout
    assert "sign" in listed
    assert "A [sign]." in listed
    assert json.loads(call(service, "list", "--json").stdout)["data"] == [overview]
    shown = call(service, "show", "sign")
    assert yaml.safe_load(shown.stdout) == WORKFLOW
    assert "version 2" in shown.stderr
    assert json.loads(call(service, "show", "sign", "--json").stdout) == ANSWER
    assert call(service, "delete", "sign").stdout == "sign is erased.\n"
    assert service.requests("DELETE", SAVED)


def test_what_is_shown_can_be_saved_again(service: Elsewhere, file: Path) -> None:
    file.write_text(call(service, "show", "sign").stdout)
    assert call(service, "save", file).exit_code == 0
    assert sent(service, SAVED, "PUT") == {
        name: value for name, value in WORKFLOW.items() if name != "name"
    }


# Checking.


@pytest.mark.parametrize(
    "example", sorted((ROOT / "configs" / "workflows").glob("*.yaml")), ids=lambda it: it.stem
)
def test_the_examples_can_be_checked_without_a_service(service: Elsewhere, example: Path) -> None:
    result = call(service, "check", example)
    assert result.exit_code == 0, result.output
    assert "is sound" in result.stdout
    assert not service.asked


EDIT = {"kind": "edit", "image": "shop.png", "prompt": "x", "mask": "cut.png"}


def test_a_check_looks_at_the_job_and_its_images(service: Elsewhere, file: Path) -> None:
    for job_, said in (
        (EDIT, None),
        (EDIT | {"image": "gone.png"}, "gone.png: There is no such image"),
        (EDIT | {"seed": "one"}, "(`job.seed`)"),
        (EDIT | {"sead": 1}, "(`job.sead`)"),
        ({"kind": "edit"}, "(`job.image`)"),
    ):
        file.write_text(yaml.safe_dump({"job": job_}))
        result = call(service, "check", file)
        assert result.exit_code == (0 if said is None else 2), result.output
        assert said is None or said in result.stderr
    assert not service.asked
