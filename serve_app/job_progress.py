"""How far a job is, in the terminal: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from serve_app.client import FINAL_STATES, RECONNECTING
from serve_app.server_events import ServerEvent
from serve_app.terminal import VERDICT_STYLES

STATE_STYLES = {
    "queued": "dim",
    "running": "cyan",
    "succeeded": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "skipped": "dim",
}
_MARKS = {"running": "▸", "succeeded": "✓", "failed": "✗", "cancelled": "–", "skipped": "–"}

_BAR = 24  # characters
_LINES_BESIDE = 4  # of the screen, which are not rows of steps


@dataclass(slots=True)
class StepProgress:
    """One step: its record, and how far its attempt is, of which nothing is kept."""

    title: str
    record: dict[str, Any]
    live: ServerEvent | None = None

    @property
    def state(self) -> str:
        """How far it has come, in a word."""
        return str(self.record.get("state", "queued"))


class JobProgress:
    """What the events of a job have told so far. Steps count from 1 for users."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.id = str(job["id"])
        self.state = "queued"
        self.steps = [StepProgress(title, {}) for title in step_titles(job)]
        self.trouble: str | None = None

    def take(self, event: ServerEvent) -> None:
        """Take note of ``event``."""
        self.trouble = None
        match event.name:
            case "state":
                self.state = str(event.data["state"])
            case "step":
                if step := self.step(event):
                    step.record, step.live = event.data, None
            case "waiting" | "progress":
                if step := self.step(event):
                    step.live = event
            case name if name == RECONNECTING:
                self.trouble = _trouble(event)

    def step(self, event: ServerEvent) -> StepProgress | None:
        """The step that ``event`` is about."""
        index = event.data.get("index", -1)
        return self.steps[index] if 0 <= index < len(self.steps) else None

    def rows(self, most: int) -> list[int]:
        """Indices of the steps to show where only ``most`` fit: around those that run."""
        if len(self.steps) <= most:
            return list(range(len(self.steps)))
        begun = [i for i, step in enumerate(self.steps) if step.state == "running"]
        ended = [i for i, step in enumerate(self.steps) if step.state in FINAL_STATES]
        waiting = [i for i, step in enumerate(self.steps) if step.state == "queued"]
        return sorted((begun + waiting[:1] + ended[::-1] + waiting[1:])[:most])


@contextmanager
def progress_view(console: Console, job: dict[str, Any]) -> Iterator[Callable[[ServerEvent], None]]:
    """Show a job on ``console`` by the events that the given function is called with."""
    progress = JobProgress(job)
    if not console.is_terminal:
        yield PlainLines(console, progress).take
        return
    with Live(
        console=console,
        get_renderable=lambda: table(progress, console.height - _LINES_BESIDE),
        vertical_overflow="crop",
    ):
        yield progress.take


def step_titles(job: dict[str, Any]) -> list[str]:
    """What each step does: its description, or its prompt; of variants and formats the name."""
    specification = job["specification"]
    described = specification.get("steps") or specification.get("items") or ()
    prompts = [one.get("prompt") for one in described]
    return [
        str(step.get("description") or prompt or step.get("name") or "")
        for step, prompt in zip_longest(job["steps"], prompts)
    ]


# Plain lines.


class PlainLines:
    """A line for each thing worth one: not for every denoising step."""

    def __init__(self, console: Console, progress: JobProgress) -> None:
        self._console = console
        self._progress = progress

    def take(self, event: ServerEvent) -> None:
        """Print what ``event`` tells, if it is new."""
        step = self._progress.step(event)
        before = None if step is None else step.live
        self._progress.take(event)
        line = self._line(event, step, before)
        if line is not None:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _line(
        self, event: ServerEvent, step: StepProgress | None, before: ServerEvent | None
    ) -> str | None:
        match event.name:
            case "state":
                error = event.data.get("error")
                return f"job {event.data['state']}" + (f": {_message(error)}" if error else "")
            case "step" if step is not None:
                return f"{self._named(event)} {_ended(step.record) or step.state}"
            case "waiting" | "progress" if _phase(event) != _phase(before):
                return f"{self._named(event)} {_live(event)}"
            case "webhook":
                return f"webhook {event.data.get('state')}"
            case name if name == RECONNECTING:
                return _trouble(event)
            case _:
                return None

    def _named(self, event: ServerEvent) -> str:
        index, steps = event.data.get("index", -1), self._progress.steps
        title = steps[index].title if 0 <= index < len(steps) else ""
        return f"step {index + 1}/{len(steps)}" + (f" ({title})" if title else "") + ":"


def _phase(event: ServerEvent | None) -> tuple[Any, ...] | None:
    return None if event is None else (event.name, event.data.get("attempt"))


# The live table.


def table(progress: JobProgress, most: int) -> RenderableType:
    """The job as it is now, at most ``most`` of its steps."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True)
    rows.add_column(justify="right", no_wrap=True)
    rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    rows.add_column(no_wrap=True, width=_BAR)
    rows.add_column(no_wrap=True, overflow="ellipsis")
    for index in progress.rows(max(1, most)):
        step = progress.steps[index]
        style = STATE_STYLES.get(step.state, "")
        rows.add_row(
            Text(_MARKS.get(step.state, "·"), style),
            str(index + 1),
            Text(step.title),
            _bar(step),
            _detail(step),
        )
    return Group(_headline(progress), rows)


def _headline(progress: JobProgress) -> Text:
    ended = sum(step.state in FINAL_STATES for step in progress.steps)
    line = Text.assemble(
        f"{progress.id}  ",
        (progress.state, STATE_STYLES.get(progress.state, "")),
        f"  {ended}/{len(progress.steps)} steps",
    )
    if progress.trouble is not None:
        line.append(f"\n{progress.trouble}", "yellow")
    return line


def _bar(step: StepProgress) -> RenderableType:
    if step.state == "succeeded":
        return ProgressBar(1, 1, width=_BAR)
    if step.state != "running":
        return ""
    if step.live is None or step.live.name != "progress":
        return ProgressBar(1, 0, width=_BAR)
    return ProgressBar(step.live.data["total"], step.live.data["step"], width=_BAR)


def _detail(step: StepProgress) -> Text:
    if step.state in FINAL_STATES:
        verdict = step.record.get("verdict")
        return Text(_ended(step.record) or "", VERDICT_STYLES.get(str(verdict), ""))
    if step.state == "running" and step.live is not None:
        return Text(_live(step.live), "cyan")
    return Text(step.state, STATE_STYLES.get(step.state, ""))


# Words for both.


def _live(event: ServerEvent) -> str:
    facts = event.data
    if event.name == "waiting":
        said = f"attempt {facts['attempt']} waits, {facts['position']} ahead"
    else:
        said = f"attempt {facts['attempt']}, denoising step {facts['step']}/{facts['total']}"
    eta_s = facts.get("eta_s")
    return said if eta_s is None else f"{said}, about {seconds(eta_s)} left"


def _ended(record: dict[str, Any]) -> str | None:
    """How a step ended: verdict, attempts, time, and what is wrong; ``None`` before its end."""
    if record.get("state") not in FINAL_STATES:
        return None
    said = [str(record["state"])]
    if record.get("verdict"):
        said.append(f"verdict {record['verdict']}")
    if attempts := record.get("attempts"):
        said.append("1 attempt" if attempts == 1 else f"{attempts} attempts")
    if record.get("seconds") is not None:
        said.append(seconds(record["seconds"]))
    told = ", ".join(said)
    return f"{told}: {_message(record['error'])}" if record.get("error") else told


def _message(error: dict[str, Any]) -> str:
    return str(error.get("message", error))


def _trouble(event: ServerEvent) -> str:
    return f"{event.data['reason']} Trying again in {seconds(event.data['in_s'])} …"


def seconds(value: float) -> str:
    """A time for people."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"
