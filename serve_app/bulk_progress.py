"""How far a bulk run is, in the terminal: a live bar, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from serve_app.bulk.progress import RunProgress
from serve_app.bulk.wording import duration
from serve_app.terminal import PLAIN, VERDICT_STYLES

_EVERY_S = 30.0
_STEPS = 10
"""Lines that a run has at least, by its share, however fast it is."""


@contextmanager
def bulk_progress(
    console: Console, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[RunProgress], None]]:
    """Show a run on ``console`` by what the given function is called with.

    ``clock`` tells seconds, for lines that come now and then.
    """
    if not console.is_terminal:
        yield PlainLines(console, clock).take
        return
    shown = _Shown()
    with Live(console=console, get_renderable=shown.renderable, vertical_overflow="crop"):
        yield shown.take


class _Shown:
    """What the terminal shows: the run as it was told last."""

    def __init__(self) -> None:
        self._progress: RunProgress | None = None

    def take(self, progress: RunProgress) -> None:
        self._progress = progress

    def renderable(self) -> RenderableType:
        return Text() if self._progress is None else view(self._progress)


# Plain lines.


class PlainLines:
    """A line for each phase and each tenth of the run, and one now and then."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._told: RunProgress | None = None
        self._told_at = 0.0

    def take(self, progress: RunProgress) -> None:
        """Print ``progress`` if it is worth a line."""
        now = self._clock()
        if self._worth_a_line(progress, now):
            self._told, self._told_at = progress, now
            self._console.print(line(progress), **PLAIN)

    def _worth_a_line(self, progress: RunProgress, now: float) -> bool:
        told = self._told
        if told is None or (progress.phase, progress.stopping) != (told.phase, told.stopping):
            return True
        return _step(progress) > _step(told) or now - self._told_at >= _EVERY_S


def _step(progress: RunProgress) -> int:
    return _STEPS * progress.ended // progress.total if progress.total else _STEPS


def line(progress: RunProgress) -> str:
    """``progress`` in one line."""
    said = [f"{progress.phase}: {_count(progress)}", *_pace(progress), *_left(progress)]
    if progress.failed:
        said.append(f"{progress.failed:,} failed")
    said += [f"{verdict} {count:,}" for verdict, count in _verdicts(progress)]
    return ", ".join(said) + (" (stopping)" if progress.stopping else "")


# The live view.


def view(progress: RunProgress) -> RenderableType:
    """``progress`` in two lines: the bar with its pace, and what came out."""
    bar = Table.grid(padding=(0, 2), expand=True)
    bar.add_column(no_wrap=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True, justify="right")
    bar.add_row(
        Text(progress.phase, "yellow" if progress.stopping else "cyan"),
        ProgressBar(max(1, progress.total), progress.ended if progress.total else 1),
        Text(", ".join((_count(progress), *_pace(progress), *_left(progress)))),
    )
    return Group(bar, _outcome(progress))


def _outcome(progress: RunProgress) -> Text:
    parts: list[tuple[str, str]] = []
    if progress.stopping:
        parts.append(("stopping", "yellow"))
    if progress.in_flight:
        parts.append((f"{progress.in_flight:,} in flight", "dim"))
    if progress.failed:
        parts.append((f"{progress.failed:,} failed", "bold red"))
    for verdict, count in _verdicts(progress):
        parts.append((f"{verdict} {count:,}", VERDICT_STYLES.get(verdict, "")))
    text = Text(no_wrap=True, overflow="ellipsis")
    for index, part in enumerate(parts):
        text.append("  " if index else "").append(*part)
    return text


# Words for both.


def _count(progress: RunProgress) -> str:
    return f"{progress.ended:,}/{progress.total:,} rows ({int(100 * progress.share)} %)"


def _pace(progress: RunProgress) -> Iterator[str]:
    """Rows a second, or seconds a row where that is the larger number."""
    if progress.rate:
        slow = progress.rate < 1
        yield f"{duration(1 / progress.rate)}/row" if slow else f"{progress.rate:,.1f} rows/s"


def _left(progress: RunProgress) -> Iterator[str]:
    if progress.eta_s:
        yield f"about {duration(progress.eta_s)} left"


def _verdicts(progress: RunProgress) -> list[tuple[str, int]]:
    """Verdicts that there are, from the best to the worst."""
    order = list(VERDICT_STYLES)
    there = [(name, count) for name, count in progress.verdicts.items() if count]
    return sorted(there, key=lambda one: order.index(one[0]) if one[0] in order else len(order))
