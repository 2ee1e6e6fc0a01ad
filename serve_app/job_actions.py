"""What `qwen-edit jobs` does, once its options are read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from serve_app.client import Client
from serve_app.errors import InvalidRequest
from serve_app.job_files import (
    make_folder,
    read_specification,
    read_steps,
    save_results,
    with_uploads,
)
from serve_app.job_progress import STATE_STYLES, progress_view, seconds, step_titles
from serve_app.terminal import (
    DEFAULT_URL,
    INTERRUPTED,
    PLAIN,
    VERDICT_STYLES,
    console,
    notes,
    print_json,
)

_PIPED_WIDTH = 160
_PAGE = 100
"""The most jobs that a service tells in one answer."""


def submit(
    client: Client,
    file: Path,
    *,
    label: str | None,
    idempotency_key: str | None,
    as_json: bool,
    watched: bool,
    output: Path | None,
) -> None:
    """Upload what ``file`` names, hand the job in, and go on as ``handed_in``.

    Raises ``InvalidRequest`` for a file that can't be used.
    """
    specification = read_specification(file)
    if label is not None:
        specification["label"] = label
    if output is not None:
        make_folder(output)
    ready = with_uploads(specification, file.parent, client.upload)
    job = client.submit(ready, idempotency_key)
    handed_in(client, job, as_json=as_json, watched=watched, output=output)


def handed_in(
    client: Client, job: dict[str, Any], *, as_json: bool, watched: bool, output: Path | None
) -> None:
    """Print the id of a job that was just accepted, or its JSON, and watch it if ``watched``.

    The JSON of one that is watched is that of its end. Raises ``typer.Exit`` with the status of a
    watched job that did not succeed.
    """
    if not as_json:
        _print_id(job)
    if not watched:
        if as_json:
            print_json(job)
        else:
            notes.print(f"Watch it: {_command(client, 'watch', job['id'])}", **PLAIN)
        return
    ended = _followed(client, job["id"], notes if as_json else console, output)
    if as_json:
        print_json(ended)
    _exit_as(ended)


def watch(client: Client, job_id: str, output: Path | None) -> None:
    """Show a job to its end, and save its results; ``typer.Exit`` if it did not succeed."""
    if output is not None:
        make_folder(output)
    _exit_as(_followed(client, job_id, console, output))


def show(client: Client, job_id: str, *, as_json: bool) -> None:
    """Print a job and its steps."""
    job = client.job(job_id)
    if as_json:
        print_json(job)
        return
    facts = Table.grid(padding=(0, 2))
    state = Text(job["state"], STATE_STYLES.get(job["state"], ""))
    if job.get("error"):
        state.append(f": {_told(job['error'])}", "red")
    facts.add_row("id", Text(job["id"]))
    facts.add_row("state", state)
    facts.add_row("kind", Text(job["kind"]))
    for name in ("label", "user", "forked_from", "result"):
        if job.get(name) is not None:
            facts.add_row(name.replace("_", " "), Text(job[name]))
    for name in ("created_at", "started_at", "finished_at", "deadline_at"):
        if job.get(name) is not None:
            facts.add_row(name.removesuffix("_at"), _moment(job[name]))
    console.print(facts)
    _print_steps(job)


def show_list(
    client: Client,
    filters: Mapping[str, str | None],
    *,
    most: int | None,
    as_json: bool,
) -> None:
    """Print the jobs that ``filters`` let through, the newest first: ``most`` of them, or all."""
    page = _listed(client, filters, most)
    if as_json:
        print_json(page)
        return
    if not page["data"]:
        notes.print("No such jobs.")
        return
    # A table narrower than its ids would be of no use to anybody who pipes it.
    shown = console if console.is_terminal else Console(file=console.file, width=_PIPED_WIDTH)
    shown.print(_overviews(page["data"]))
    if page["has_more"]:
        notes.print("There are more: --limit N, or --all.")


def _overviews(jobs: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each job; whose they are only where that is said of any."""
    users = any(job["user"] for job in jobs)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("id", "kind", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("label", "user") if users else ("label",):
        table.add_column(name, overflow="fold")
    for name in ("steps", "age"):
        table.add_column(name, no_wrap=True, justify="right")
    for job in jobs:
        named = [job["label"], job["user"]] if users else [job["label"]]
        table.add_row(
            job["id"],
            job["kind"],
            Text(job["state"], STATE_STYLES.get(job["state"], "")),
            *(Text(name or "") for name in named),
            str(job["step_count"]),
            _age(job["created_at"]),
        )
    return table


def fork(client: Client, job_id: str, from_step: int, file: Path | None, *, as_json: bool) -> None:
    """Hand in a copy of a job that runs from ``from_step`` (from 1) on, and print its id."""
    body: dict[str, Any] = {"from_step": from_step - 1}
    steps = None if file is None else read_steps(file)
    count = len(client.job(job_id)["steps"])
    if from_step > count:
        raise InvalidRequest(f"There is no step {from_step}: {job_id} has {count}.", "from_step")
    if file is not None:
        body["steps"] = with_uploads(steps, file.parent, client.upload)
    forked = client.fork(job_id, body)
    if as_json:
        print_json(forked)
        return
    _print_id(forked)
    notes.print(f"Watch it: {_command(client, 'watch', forked['id'])}", **PLAIN)


# Watching.


def _followed(client: Client, job_id: str, shown: Console, output: Path | None) -> dict[str, Any]:
    """Show a job to its end, save its results, and return it as it ended."""
    with _left_running(client, job_id):
        begun = client.job(job_id)
        with progress_view(shown, begun) as take:
            for event in client.events(job_id):
                take(event)
    job = client.job(job_id)
    for step in job["steps"] if shown.is_terminal else ():
        if step["error"]:  # longer than a row of the live table
            shown.print(f"Step {step['index'] + 1}: {step['error']['message']}", **PLAIN)
    if job["error"]:
        shown.print(f"The job {job['state']}: {_told(job['error'])}", style="red", **PLAIN)
    saved = [] if output is None else save_results(client, job, output)
    for path in saved:
        shown.print(f"Saved {path}", **PLAIN)
    return job


@contextmanager
def _left_running(client: Client, job_id: str) -> Iterator[None]:
    """On Ctrl-C say that the job goes on, and how to come back to it."""
    try:
        yield
    except KeyboardInterrupt:
        notes.print(f"\n{job_id} goes on without being watched.", **PLAIN)
        notes.print(f"  watch it again: {_command(client, 'watch', job_id)}", **PLAIN)
        notes.print(f"  stop it:        {_command(client, 'cancel', job_id)}", **PLAIN)
        raise typer.Exit(INTERRUPTED) from None


def _exit_as(job: dict[str, Any]) -> None:
    if job["state"] != "succeeded":
        raise typer.Exit(1)


# Printing. What users wrote may look like markup, and ids are not to be wrapped.


def _print_id(job: dict[str, Any]) -> None:
    console.print(job["id"], **PLAIN)


def _command(client: Client, name: str, job_id: str) -> str:
    command = f"qwen-edit jobs {name} {job_id}"
    if client.base_url == DEFAULT_URL:
        return command
    return f"{command} --url {shlex.quote(client.base_url)}"


def _print_steps(job: dict[str, Any]) -> None:
    """A line for each step, and below it what is too long for a column."""
    for step, title in zip(job["steps"], step_titles(job), strict=True):
        state, verdict = step["state"], step["verdict"] or ""
        line = Text(f"{step['index'] + 1:>4}  ")
        line.append(f"{state:<9}", STATE_STYLES.get(state, ""))
        line.append(f"  {verdict:<15}", VERDICT_STYLES.get(verdict, ""))
        line.append(f"  {title}")
        console.print(line, soft_wrap=True)
        facts = [step["result"]]
        facts += [f"{name} {step[name]}" for name in ("attempts", "seed") if step[name] is not None]
        facts += [] if step["seconds"] is None else [seconds(step["seconds"])]
        if any(facts):
            console.print(Text("      " + ", ".join(filter(None, facts)), "dim"), soft_wrap=True)
        if step["error"]:
            console.print(Text(f"      {step['error']['message']}", "red"), soft_wrap=True)


def _told(error: dict[str, Any]) -> str:
    where = f"step {error['step'] + 1}: " if "step" in error else ""
    return f"{where}{error.get('message', error)}"


def _age(at: str) -> str:
    """How long ago ``at`` was, in the largest unit of which there is one."""
    seconds_ago = max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds_ago >= length:
            return f"{seconds_ago // length:.0f} {unit}"
    return f"{seconds_ago:.0f} s"


def _moment(text: str) -> str:
    """A moment of the service, in the time of whoever reads it."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _listed(client: Client, filters: Mapping[str, str | None], most: int | None) -> dict[str, Any]:
    """Up to ``most`` jobs, or all, as one page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        limit = _PAGE if most is None else min(_PAGE, most - len(found))
        page = client.jobs(**filters, limit=limit, cursor=cursor)
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None or len(found) == most:
            return page | {"data": found}
