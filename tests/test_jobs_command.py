"""`qwen-edit jobs`: files in, ids, tables, progress and exit statuses out."""

from __future__ import annotations

import base64
import io
import json
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from serve_app.cli import app
from serve_app.client import RECONNECTING
from serve_app.job_progress import progress_view
from serve_app.server_events import ServerEvent
from tests.elsewhere import Answer, Elsewhere, Stream, elsewhere, error, event, nowhere, state
from tests.test_imports import imported

JOB = "job-" + "0" * 32
AT = f"/v1/jobs/{JOB}"
MADE = "2027-01-01T00:00:00.000+00:00"
# With its transparency, which a file of the service would not keep.
MASK_URL = "data:image/png;base64," + base64.b64encode(b"mask.png").decode()


@pytest.fixture
def service() -> Iterator[Elsewhere]:
    with elsewhere() as served:
        served.on("POST", "/v1/jobs", Answer(job("queued"), 202))
        served.on("POST", "/v1/files", *(Answer({"id": f"img-{i}"}) for i in range(1, 9)))
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "mask.png"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def step(index: int, name: str = "queued", **facts: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("description", "result", "verdict", "attempts", "seed", "seconds"))
    return {"index": index, "state": name, "error": None} | blank | facts


def job(name: str, *steps: dict[str, Any], **facts: Any) -> dict[str, Any]:
    unset = ("label", "user", "started_at", "finished_at", "deadline_at", "result", "error")
    return (
        {"id": JOB, "kind": "chain", "state": name, "created_at": MADE, "forked_from": None}
        | dict.fromkeys(unset)
        | {"step_count": max(1, len(steps)), "steps": list(steps) or [step(0)]}
        | {"specification": {"steps": [{"prompt": ""}] * max(1, len(steps))}}
        | facts
    )


def run(service: Elsewhere | str, *arguments: object) -> Result:
    url = service if isinstance(service, str) else service.url
    return CliRunner().invoke(
        app, ["jobs", *map(str, arguments)], env={"QWEN_EDIT_URL": url, "COLUMNS": "100"}
    )


def handed_in(service: Elsewhere) -> Any:
    return service.requests("POST", "/v1/jobs")[0].json


# Submitting.


def test_submit_uploads_and_prints_the_id(service: Elsewhere, folder: Path) -> None:
    file = folder / "job.yaml"
    file.write_text("kind: edit\nimage: a.png\nmask: mask.png\nprompt: more [red]\nseed: 3\n")
    result = run(service, "submit", file, "--label", "mine", "--idempotency-key", "k")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{JOB}\n"
    assert handed_in(service) == {
        "kind": "edit",
        "image": "img-1",
        "mask": MASK_URL,
        "prompt": "more [red]",
        "seed": 3,
        "label": "mine",
    }
    assert service.asked[-1].headers["idempotency-key"] == "k"
    sent = [it.parts[0].content for it in service.requests("POST", "/v1/files")]
    assert sent == [b"a.png"]


def test_every_image_is_uploaded_once_and_ids_are_left(service: Elsewhere, folder: Path) -> None:
    file = folder / "job.json"
    described = {
        "kind": "edit",
        "items": [
            {"image": "a.png", "prompt": "a.png"},
            {"image": str(folder / "a.png"), "prompt": "two"},
            {"image": "img-" + "0" * 64, "prompt": "three"},
            {"image": "data:image/png;base64,AAAA", "prompt": "four"},
        ],
        "matrix": {"images": ["b.png", "a.png"], "prompts": ["b.png"]},
        "steps": [{"prompt": "five", "mask": "mask.png"}],
    }
    file.write_text(json.dumps(described, indent="\t"))
    assert run(service, "submit", file).exit_code == 0
    assert handed_in(service) == {
        "kind": "edit",
        "items": [
            {"image": "img-1", "prompt": "a.png"},
            {"image": "img-1", "prompt": "two"},
            {"image": "img-" + "0" * 64, "prompt": "three"},
            {"image": "data:image/png;base64,AAAA", "prompt": "four"},
        ],
        "matrix": {"images": ["img-2", "img-1"], "prompts": ["b.png"]},
        "steps": [{"prompt": "five", "mask": MASK_URL}],
    }


def test_a_file_may_be_called_like_an_id(service: Elsewhere, folder: Path) -> None:
    (folder / "img-001.png").write_bytes(b"camera")
    (folder / "job.yaml").write_text("kind: edit\nimage: img-001.png\nprompt: more\n")
    assert run(service, "submit", folder / "job.yaml").exit_code == 0
    assert handed_in(service)["image"] == "img-1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("kind: edit\nimage: a.png\nmask: gone.png\n", "gone.png"),
        ("kind: [edit\n", "no YAML"),
        ("- kind: edit\n", "A job is a mapping"),
        ("kind: edit\nseed: .nan\n", "no YAML or JSON"),
        (None, "can't be read"),
    ],
)
def test_a_file_that_can_not_be_used_sends_nothing(
    service: Elsewhere, folder: Path, content: str | None, said: str
) -> None:
    file = folder / "job.yaml"
    if content is not None:
        file.write_text(content)
    result = run(service, "submit", file)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert not service.asked


def test_what_is_refused_is_told(service: Elsewhere, folder: Path) -> None:
    (folder / "job.yaml").write_text("kind: edit\nimage: a.png\nsead: 1\n")
    service.on("POST", "/v1/jobs", Answer(error("There is no such field.", "sead"), 400))
    result = run(service, "submit", folder / "job.yaml", "--watch")
    assert result.exit_code == 2
    assert "no such field" in result.stderr
    assert "sead" in result.stderr


@pytest.mark.parametrize(("end", "status"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
def test_submit_and_watch_ends_as_the_job_does(
    service: Elsewhere, folder: Path, end: str, status: int
) -> None:
    (folder / "job.yaml").write_text("kind: edit\nimage: a.png\nprompt: more\n")
    service.on("GET", AT, Answer(job("running")), Answer(job(end)))
    service.on("GET", f"{AT}/events", Stream([state("running", 1), state(end, 2)]))
    result = run(service, "submit", folder / "job.yaml", "--watch")
    assert result.exit_code == status
    assert result.stdout.splitlines()[0] == JOB
    assert f"job {end}" in result.stdout


def test_json_of_a_watched_job_is_that_of_its_end(service: Elsewhere, folder: Path) -> None:
    (folder / "job.yaml").write_text("kind: edit\nimage: a.png\nprompt: more\n")
    service.on("GET", AT, Answer(job("running")), Answer(job("succeeded")))
    service.on("GET", f"{AT}/events", Stream([state("succeeded", 2)]))
    result = run(service, "submit", folder / "job.yaml", "--watch", "--json")
    assert json.loads(result.stdout)["state"] == "succeeded"
    assert "job succeeded" in result.stderr


# Watching.

EVENTS = [
    state("queued", 1),
    state("running", 2),
    event("step", step(0, "running"), 3),
    event("waiting", {"index": 0, "attempt": 1, "position": 2, "eta_s": 9.0}),
    event("waiting", {"index": 0, "attempt": 1, "position": 1, "eta_s": 5.0}),
    event("progress", {"index": 0, "attempt": 1, "step": 1, "total": 8, "eta_s": 2.0}),
    event("preview", {"index": 0, "attempt": 1, "partial_image_index": 0, "b64_json": "AAAA"}),
    event("progress", {"index": 0, "attempt": 1, "step": 2, "total": 8, "eta_s": 1.7}),
    event("progress", {"index": 0, "attempt": 2, "step": 1, "total": 8, "eta_s": None}),
    event("step", step(0, "succeeded", verdict="pass", attempts=2, seconds=2.34), 4),
    event(
        "step",
        step(1, "failed", verdict="fail", attempts=4, error={"message": "It [drifted]."}),
        5,
    ),
    state("failed", 6, {"message": "It [drifted].", "step": 1}),
]
PLAN = {"specification": {"steps": [{"prompt": "pink [/sky]"}, {"prompt": "sign"}]}}


def watched(service: Elsewhere, end: dict[str, Any], *events: Stream) -> None:
    service.on("GET", AT, Answer(job("queued", step(0), step(1), **PLAN)), Answer(end))
    service.on("GET", f"{AT}/events", *events)


def test_without_a_terminal_watch_prints_lines(service: Elsewhere) -> None:
    trouble = {"message": "It [drifted].", "step": 1}
    watched(service, job("failed", step(0), step(1), error=trouble, **PLAN), Stream(EVENTS))
    result = run(service, "watch", JOB)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "job queued",
        "job running",
        "step 1/2 (pink [/sky]): running",
        "step 1/2 (pink [/sky]): attempt 1 waits, 2 ahead, about 9.0 s left",
        "step 1/2 (pink [/sky]): attempt 1, denoising step 1/8, about 2.0 s left",
        "step 1/2 (pink [/sky]): attempt 2, denoising step 1/8",
        "step 1/2 (pink [/sky]): succeeded, verdict pass, 2 attempts, 2.3 s",
        "step 2/2 (sign): failed, verdict fail, 4 attempts: It [drifted].",
        "job failed: It [drifted].",
        "The job failed: step 2: It [drifted].",
    ]


def test_on_a_terminal_each_step_has_a_row() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120, height=30, color_system=None)
    with progress_view(console, job("queued", step(0), step(1), **PLAN)) as take:
        take(ServerEvent("1", "state", {"state": "running", "error": None}))
        take(ServerEvent("2", "step", step(0, "succeeded", verdict="pass", attempts=2, seconds=61)))
        take(ServerEvent("3", "step", step(1, "running")))
        progress = {"index": 1, "attempt": 2, "step": 3, "total": 8, "eta_s": 1.5}
        take(ServerEvent(None, "progress", progress))
    last = shown.getvalue().split(JOB)[-1]
    assert "running  1/2 steps" in last
    assert "pink [/sky]" in last
    assert "verdict pass, 2 attempts, 1 min 1 s" in last
    assert "━" in last
    assert "attempt 2, denoising step 3/8, about 1.5 s left" in last


def test_a_terminal_too_small_shows_the_steps_that_run() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120, height=9, color_system=None)
    many = job("queued", *(step(i, description=f"title {i}") for i in range(50)))
    with progress_view(console, many) as take:
        for index in range(30):
            take(ServerEvent("1", "step", step(index, "succeeded")))
        take(ServerEvent("2", "step", step(30, "running")))
        take(ServerEvent(None, RECONNECTING, {"in_s": 2.0, "reason": "It is away."}))
    last = shown.getvalue().split(JOB)[-1]
    assert "title 30" in last
    assert "title 29" in last
    assert "title 2 " not in last
    assert "It is away. Trying again in 2.0 s" in last


def test_watch_goes_on_after_a_broken_connection(
    service: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    watched(
        service,
        job("succeeded", step(0), step(1)),
        Stream(EVENTS[:2], broken=True),
        Stream([state("succeeded", 3)]),
    )
    result = run(service, "watch", JOB)
    assert result.exit_code == 0
    assert result.stdout.count("job running") == 1
    assert "Trying again" in result.stdout
    assert service.requests("GET", f"{AT}/events")[1].headers["last-event-id"] == "2"


def test_results_are_saved_at_the_end(service: Elsewhere, folder: Path) -> None:
    steps = (step(0, "succeeded", result="edit-1"), step(1, "failed", result="edit-2"), step(2))
    watched(service, job("succeeded", *steps, result="edit-1"), Stream([state("succeeded", 1)]))
    service.on("GET", "/v1/results/edit-1", Answer(b"one"))
    service.on("GET", "/v1/results/edit-2", Answer(b"two"))
    out = folder / "new" / "results"
    result = run(service, "watch", JOB, "-o", out)
    assert result.exit_code == 0, result.output
    saved = {path.name: path.read_bytes() for path in out.iterdir()}
    assert saved == {"step-1.png": b"one", "step-2.png": b"two", "result.png": b"one"}
    assert str(out / "result.png") in result.stdout


def test_an_archive_is_unpacked_and_stays_in_its_folder(service: Elsewhere, folder: Path) -> None:
    variant = step(0, "succeeded", result="edit-1") | {"name": "calm"}
    outputs = {"archive": f"{AT}/archive"}
    specification = {"variants": {"calm": {"prompt": "x"}}}
    end = job("succeeded", variant, kind="variants", outputs=outputs, specification=specification)
    watched(service, end, Stream([state("succeeded", 1)]))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("web/48x48/calm.png", b"calm")
        archive.writestr("../outside.png", b"outside")
    service.on("GET", f"{AT}/archive", Answer(packed.getvalue()))
    result = run(service, "watch", JOB, "-o", folder / "out")
    assert result.exit_code == 0, result.output
    assert "calm" in result.stdout
    assert (folder / "out" / "web" / "48x48" / "calm.png").read_bytes() == b"calm"
    assert not (folder / "outside.png").exists()


def test_of_a_job_of_edits_each_step_is_saved(service: Elsewhere, folder: Path) -> None:
    steps = (step(0, "succeeded", result="edit-1"), step(1, "succeeded", result="edit-1"))
    end = job("succeeded", *steps, kind="edit", result="edit-1")
    watched(service, end, Stream([state("succeeded", 1)]))
    service.on("GET", "/v1/results/edit-1", Answer(b"one"))
    assert run(service, "watch", JOB, "-o", folder / "out").exit_code == 0
    assert sorted(it.name for it in (folder / "out").iterdir()) == ["step-1.png", "step-2.png"]


def test_a_folder_that_can_not_be_made_is_told_first(service: Elsewhere, folder: Path) -> None:
    result = run(service, "watch", JOB, "-o", folder / "a.png" / "out")
    assert result.exit_code == 2
    assert "can't be made" in result.stderr
    assert not service.asked


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(service: Elsewhere) -> None:
    main = threading.main_thread().ident
    assert main is not None
    service.on("GET", AT, Answer(job("running")))
    interrupted: list[str | Callable[[], object]] = [
        state("running", 1),
        lambda: signal.pthread_kill(main, signal.SIGINT),
    ]
    service.on("GET", f"{AT}/events", Stream([*interrupted, service.over.wait]))
    result = run(service, "watch", JOB)
    assert result.exit_code == 130
    assert f"qwen-edit jobs watch {JOB} --url {service.url}" in result.stderr
    assert f"qwen-edit jobs cancel {JOB} --url {service.url}" in result.stderr
    assert {it.method for it in service.asked} == {"GET"}


# Listing and showing.


def page(*names: str, cursor: str | None = None) -> Answer:
    data = [job("failed", label=name) | {"id": f"job-{name}"} for name in names]
    return Answer({"data": data, "has_more": cursor is not None, "next_cursor": cursor})


def test_the_list_is_a_table(service: Elsewhere) -> None:
    service.on("GET", "/v1/jobs", page("[bold]", "b", cursor="c"))
    filters = ("--state", "failed", "--kind", "chain", "--user", "me", "--limit", "2")
    result = run(service, "list", *filters)
    assert result.exit_code == 0
    assert "[bold]" in result.stdout
    assert "job-b" in result.stdout
    assert "--all" in result.stderr
    asked = {"state": "failed", "kind": "chain", "user": "me", "limit": "2"}
    assert service.asked[0].query == asked


def test_all_are_listed_page_by_page(service: Elsewhere) -> None:
    service.on("GET", "/v1/jobs", page("a", "b", cursor="next"), page("c"))
    result = run(service, "list", "--all", "--label", "x", "--json")
    listed = json.loads(result.stdout)
    assert [it["id"] for it in listed["data"]] == ["job-a", "job-b", "job-c"]
    assert listed["has_more"] is False
    assert [it.query.get("cursor") for it in service.asked] == [None, "next"]
    assert {it.query["label"] for it in service.asked} == {"x"}


def test_a_limit_may_be_above_that_of_a_page(service: Elsewhere) -> None:
    names = [str(number) for number in range(120)]
    more = page(*names[100:], cursor="more")
    service.on("GET", "/v1/jobs", page(*names[:100], cursor="next"), more)
    result = run(service, "list", "--limit", "120", "--json")
    assert len(json.loads(result.stdout)["data"]) == 120
    assert json.loads(result.stdout)["has_more"] is True
    assert [it.query["limit"] for it in service.asked] == ["100", "20"]


@pytest.mark.parametrize(
    "specification",
    [
        {"items": [{"image": "i", "prompt": "one"}, {"image": "j", "prompt": "two"}]},
        {"steps": [{"prompt": "one"}, {"prompt": "two"}]},
    ],
)
def test_steps_are_told_by_their_prompts(service: Elsewhere, specification: dict[str, Any]) -> None:
    shown = job("queued", step(0), step(1), specification=specification)
    service.on("GET", AT, Answer(shown))
    result = run(service, "show", JOB)
    assert result.exit_code == 0, result.output
    assert "one" in result.stdout
    assert "two" in result.stdout


def test_no_jobs_are_said(service: Elsewhere) -> None:
    service.on("GET", "/v1/jobs", page())
    assert "No such jobs" in run(service, "list").stderr


def test_a_job_is_shown_with_its_steps(service: Elsewhere) -> None:
    steps = (
        step(0, "succeeded", result="edit-1", verdict="pass", attempts=1, seed=77, seconds=2.0),
        step(1, "failed", description="the [sign]", error={"message": "[/b] wrong"}),
    )
    trouble = {"message": "[/b] wrong", "step": 1}
    service.on("GET", AT, Answer(job("failed", *steps, label="[i]", error=trouble, **PLAN)))
    result = run(service, "show", JOB)
    assert result.exit_code == 0, result.output
    for shown in (JOB, "[i]", "edit-1", "pass", "77", "2.0 s", "the [sign]", "pink [/sky]"):
        assert shown in result.stdout
    assert "failed: step 2: [/b] wrong" in result.stdout


def test_a_shown_job_is_json_for_scripts(service: Elsewhere) -> None:
    service.on("GET", AT, Answer(job("failed", label="红")))
    assert json.loads(run(service, "show", JOB, "--json").stdout) == job("failed", label="红")


# Steering.


def test_jobs_are_steered(service: Elsewhere) -> None:
    service.on("POST", f"{AT}/cancel", Answer(job("cancelled")))
    service.on("POST", f"{AT}/retry", Answer(job("queued")))
    service.on("DELETE", AT, Answer(status=204))
    for command, said in (("cancel", "cancelled"), ("retry", "queued"), ("delete", "erased")):
        result = run(service, command, JOB)
        assert result.exit_code == 0
        assert said in result.stdout


def test_what_can_not_be_done_is_told(service: Elsewhere) -> None:
    service.on("POST", f"{AT}/cancel", Answer(error("The job has ended already."), 409))
    result = run(service, "cancel", JOB)
    assert result.exit_code == 2
    assert "has ended already" in result.stderr


@pytest.mark.parametrize(
    "content", ["- {prompt: b, mask: mask.png}", "steps: [{prompt: b, mask: mask.png}]"]
)
def test_a_fork_runs_other_steps_from_there_on(
    service: Elsewhere, folder: Path, content: str
) -> None:
    """Users count steps from 1, as they are shown; the service counts from 0."""
    (folder / "steps.yaml").write_text(content)
    service.on("GET", AT, Answer(job("failed", step(0), step(1))))
    service.on("POST", f"{AT}/fork", Answer(job("queued") | {"id": "job-2"}, 202))
    result = run(service, "fork", JOB, "--from-step", 2, folder / "steps.yaml")
    assert result.exit_code == 0, result.output
    assert result.stdout == "job-2\n"
    assert service.asked[-1].json == {"from_step": 1, "steps": [{"prompt": "b", "mask": MASK_URL}]}


def test_a_fork_may_run_the_same_steps(service: Elsewhere) -> None:
    service.on("GET", AT, Answer(job("failed", step(0), step(1))))
    service.on("POST", f"{AT}/fork", Answer(job("queued"), 202))
    assert run(service, "fork", JOB, "--from-step", 1).exit_code == 0
    assert service.asked[-1].json == {"from_step": 0}


def test_a_fork_from_nowhere_is_refused(service: Elsewhere, folder: Path) -> None:
    service.on("GET", AT, Answer(job("failed", step(0), step(1))))
    result = run(service, "fork", JOB, "--from-step", 3)
    assert result.exit_code == 2
    assert "no step 3" in result.stderr
    (folder / "steps.yaml").write_text("prompt: b")
    result = run(service, "fork", JOB, "--from-step", 2, folder / "steps.yaml")
    assert result.exit_code == 2
    assert "list of steps" in result.stderr
    assert not service.requests("POST", f"{AT}/fork")


@pytest.mark.parametrize("arguments", [("list",), ("watch", JOB), ("cancel", JOB), ("delete", JOB)])
def test_without_a_service_it_says_so_at_once(arguments: tuple[str, ...]) -> None:
    url = nowhere()
    result = run(url, *arguments)
    assert result.exit_code == 2
    assert url in result.stderr
    assert "--url" in result.stderr


def test_help_shows_a_job_and_costs_little() -> None:
    output = CliRunner().invoke(app, ["jobs", "submit", "--help"]).output
    for word in ("kind: chain", "matrix:", "- a.png", "--watch", "--idempotency-key"):
        assert word in output
    assert imported("import serve_app.cli").isdisjoint({"httpx", "yaml", "ray"})
