"""`qwen-edit edit`: an image and an instruction in, an image and a verdict out."""

from __future__ import annotations

import base64
import io
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from serve_app.cli import app
from serve_app.client import Client
from serve_app.edit_command import Edit, run_edit
from tests.elsewhere import Answer, Elsewhere, Stream, elsewhere, error, event, nowhere

EDITS = "/v1/images/edits"


@pytest.fixture
def service() -> Iterator[Elsewhere]:
    with elsewhere() as served:
        served.on("POST", EDITS, finished())
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in.png", "other.png", "mask.png"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def finished(verdict: str = "pass", *before: str) -> Stream:
    facts = {"id": "edit-1", "seed": 7, "verdict": verdict, "attempts": 2, "cache": "miss"}
    image = base64.b64encode(b"edited").decode("ascii")
    return Stream([*before, event("image_edit.completed", {"b64_json": image} | facts)])


def run(service: Elsewhere | str, folder: Path, *arguments: str) -> Result:
    url = service if isinstance(service, str) else service.url
    given = [str(folder / it) if it.endswith((".png", ".jpg", ".txt")) else it for it in arguments]
    return CliRunner().invoke(app, ["edit", *given, "--url", url], env={"COLUMNS": "100"})


def test_the_image_is_written_and_the_verdict_told(service: Elsewhere, folder: Path) -> None:
    result = run(service, folder, "in.png", "make it night", "-o", "out.png")
    assert result.exit_code == 0, result.output
    assert (folder / "out.png").read_bytes() == b"edited"
    for shown in ("pass", "2 attempts", "seed 7", "cache miss", "edit-1", str(folder / "out.png")):
        assert shown in result.stdout
    assert sorted(it.name for it in folder.iterdir()) == [
        "in.png",
        "mask.png",
        "other.png",
        "out.png",
    ]


def test_everything_asked_for_is_sent(service: Elsewhere, folder: Path) -> None:
    options = {
        "--edit-type": "text",
        "--seed": "random",
        "--steps": "8",
        "--cfg-scale": "2.5",
        "--size": "native",
        "--quality": "best",
        "--max-attempts": "3",
        "--expected-text": "[OPEN]",
        "--image": "other.png",
        "--mask": "mask.png",
        "-o": "out.jpg",
    }
    given = [word for option in options.items() for word in option]
    result = run(service, folder, "in.png", "the sign", *given)
    assert result.exit_code == 0, result.output
    parts = service.asked[0].parts
    files = [(it.name, it.content) for it in parts if it.file_name is not None]
    assert files == [("image", b"in.png"), ("image", b"other.png"), ("mask", b"mask.png")]
    assert {it.name: it.content.decode() for it in parts if it.file_name is None} == {
        "prompt": "the sign",
        "edit_type": "text",
        "seed": "random",
        "num_inference_steps": "8",
        "true_cfg_scale": "2.5",
        "size": "native",
        "quality": "best",
        "max_attempts": "3",
        "expected_text": "[OPEN]",
        "output_format": "jpeg",
        "stream": "true",
    }


@pytest.mark.parametrize(("verdict", "status"), [("pass", 0), ("pass_unverified", 0), ("fail", 1)])
def test_the_verdict_is_the_exit_status(
    service: Elsewhere, folder: Path, verdict: str, status: int
) -> None:
    service.on("POST", EDITS, finished(verdict))
    result = run(service, folder, "in.png", "more", "-o", "out.png")
    assert result.exit_code == status
    assert verdict in result.stdout
    assert (folder / "out.png").read_bytes() == b"edited"


def test_json_is_for_scripts(service: Elsewhere, folder: Path) -> None:
    facts = json.loads(run(service, folder, "in.png", "more", "-o", "out.png", "--json").stdout)
    assert facts.pop("seconds") >= 0
    assert facts == {
        "id": "edit-1",
        "seed": 7,
        "verdict": "pass",
        "attempts": 2,
        "cache": "miss",
        "image": str(folder / "out.png"),
    }


def test_on_a_terminal_each_attempt_has_a_bar(
    service: Elsewhere, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr("serve_app.edit_command.notes", console)
    told = (
        ": attempt 1 queued, 2 ahead\n\n",
        ": attempt 1 step 8/8\n\n",
        ": attempt 2 step 3/8, done in about 2.1 s\n\n",
    )
    service.on("POST", EDITS, finished("pass", *told))
    with Client(service.url) as client:
        edit = Edit((folder / "in.png",), folder / "out.png", {"prompt": "more"})
        run_edit(client, edit, as_json=True)
    last = shown.getvalue()
    assert "attempt 1, step 8/8" in last
    assert "attempt 2, step 3/8, about 2.1 s left" in last
    assert "━" in last


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("in.png", "is an input"),
        ("mask.png", "is an input"),
        ("gone/out.png", "Nothing can be written"),
        ("in.png/out.png", "Nothing can be written"),
        ("folder.png", "can't be replaced"),
        ("out.txt", ".webp"),
    ],
)
def test_where_the_image_can_not_go_nothing_is_edited(
    service: Elsewhere, folder: Path, output: str, said: str
) -> None:
    (folder / "folder.png").mkdir()
    result = run(service, folder, "in.png", "more", "--mask", "mask.png", "-o", output)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not service.asked
    assert (folder / "in.png").read_bytes() == b"in.png"


def test_an_image_that_was_there_stays_until_there_is_another(
    service: Elsewhere, folder: Path
) -> None:
    (folder / "out.png").write_bytes(b"before")
    service.on("POST", EDITS, Answer(error("`seed` must be a whole number.", "seed"), 400))
    result = run(service, folder, "in.png", "more", "-o", "out.png", "--seed", "x")
    assert result.exit_code == 2
    assert "`seed` must be" in result.stderr
    assert (folder / "out.png").read_bytes() == b"before"
    service.on("POST", EDITS, finished())
    assert run(service, folder, "in.png", "more", "-o", "out.png").exit_code == 0
    assert (folder / "out.png").read_bytes() == b"edited"


def test_an_image_that_can_not_be_kept_after_all_is_named(
    service: Elsewhere, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The folder was there when it began, and is gone when the image comes."""
    target = tmp_path_factory.mktemp("target")
    complete = finished().pieces
    service.on("POST", EDITS, Stream([": attempt 1 step 1/8\n\n", target.rmdir, *complete]))
    result = run(service, folder, "in.png", "more", "-o", str(target / "out.png"))
    assert result.exit_code == 2
    assert f"{service.url}/v1/results/edit-1" in result.stderr


@pytest.mark.parametrize(
    "answer",
    [
        Stream([": waiting\n\n", event("error", error("No image came.", None, "server_error"))]),
        Stream([": waiting\n\n"], broken=True),
        Stream([event("image_edit.completed", {"b64_json": ""})]),
        Answer(error("The queue is full.", None, "rate_limit_error"), 429),
    ],
)
def test_without_an_image_the_status_is_2(
    service: Elsewhere, folder: Path, answer: Answer | Stream
) -> None:
    service.on("POST", EDITS, answer)
    result = run(service, folder, "in.png", "more", "-o", "out.png")
    assert result.exit_code == 2
    assert result.stderr.strip()
    assert not (folder / "out.png").exists()


def test_an_input_that_is_missing_is_named(service: Elsewhere, folder: Path) -> None:
    result = run(service, folder, "gone.png", "more", "-o", "out.png")
    assert result.exit_code == 2
    assert "gone.png" in result.stderr
    assert not service.asked


def test_without_a_service_it_says_so(folder: Path) -> None:
    url = nowhere()
    result = run(url, folder, "in.png", "more", "-o", "out.png")
    assert result.exit_code == 2
    assert url in result.stderr


def test_ctrl_c_stops_it(service: Elsewhere, folder: Path) -> None:
    main = threading.main_thread().ident
    assert main is not None
    interrupt: list[str | Callable[[], object]] = [
        ": waiting\n\n",
        lambda: signal.pthread_kill(main, signal.SIGINT),
    ]
    service.on("POST", EDITS, Stream([*interrupt, service.over.wait]))
    result = run(service, folder, "in.png", "more", "-o", "out.png")
    assert result.exit_code == 130
    assert "Stopped" in result.stderr


def test_help_helps() -> None:
    output = CliRunner().invoke(app, ["edit", "--help"]).output
    for word in ("qwen-edit edit shop.png", "--expected-text", "--mask", "--quality", "Exits with"):
        assert word in output
