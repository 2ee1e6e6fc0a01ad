"""Where the time of an edit goes, on the way through the served graph and in one process."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

EDITOR = "editor: place, queue, encode, denoise, decode, restore"
SPANS = (
    "HTTP and Serve's proxy",
    "ingress: form, decode, plan, answer; hop to the router",
    "cache: claim and fulfil; store",
    "hop to the editor; PNG",
    EDITOR,
    "validator, with its hop",
)
"""The way of an edit in consecutive spans, which together are the whole time."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One edit: its record, and the seconds of the whole and of three parts within it."""

    record: Mapping[str, Any]
    total: float
    ingress: float
    router: float
    editor: float

    def stage(self, name: str) -> float:
        """Seconds of a stage as the result's record has it."""
        return sum(float(attempt["seconds"][name]) for attempt in self.record["attempts"])

    def spans(self) -> tuple[float, ...]:
        """The seconds of ``SPANS``; they add up to ``total``."""
        edit, validate = float(self.record["seconds"]), self.stage("validate")
        return (
            self.total - self.ingress,
            self.ingress - self.router,
            self.router - edit,
            edit - validate - self.editor,
            self.editor,
            validate,
        )


def stages(edits: Sequence[Timed]) -> dict[str, float]:
    """Milliseconds of the stages that the records of the edits hold, medians."""
    names = ("queue", "encode", "denoise", "decode", "validate")
    return {name: statistics.median(edit.stage(name) for edit in edits) * 1e3 for name in names}


def span_table(
    console: Console,
    http: Sequence[Timed],
    in_process: Sequence[Timed],
) -> list[dict[str, Any]]:
    """Print what each span takes on both sides; return the rows."""
    table = Table(title="where an edit's time goes, medians in ms", title_justify="left")
    table.add_column("span")
    for heading in ("HTTP", "in process", "added"):
        table.add_column(heading, justify="right")
    over, own = (_medians(edits) for edits in (http, in_process))
    rows = []
    for name, served_ms, own_ms in zip(SPANS, over, own, strict=True):
        added = served_ms - own_ms
        table.add_row(name, *(f"{ms:.1f}" for ms in (served_ms, own_ms, added)))
        rows.append(
            {"span": name, "http_ms": served_ms, "in_process_ms": own_ms, "added_ms": added}
        )
    console.print(table)
    return rows


def _medians(edits: Sequence[Timed]) -> list[float]:
    """Milliseconds of each span."""
    by_span = zip(*(edit.spans() for edit in edits), strict=True)
    return [statistics.median(seconds) * 1e3 for seconds in by_span]
