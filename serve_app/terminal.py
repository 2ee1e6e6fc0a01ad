"""What all commands share: where they print, how errors end them, which service they ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from serve_app.errors import EditServiceError

DEFAULT_URL = "http://127.0.0.1:8000"

console = Console()
notes = Console(stderr=True)
"""For what is not the result of a command, so that scripts can read the rest."""

VERDICT_STYLES = {"pass": "bold green", "pass_unverified": "bold yellow", "fail": "bold red"}

Url = Annotated[
    str,
    typer.Option("--url", envvar="QWEN_EDIT_URL", help="Address of the service.", metavar="URL"),
]
Watch = Annotated[bool, typer.Option("--watch/--no-watch", help="Show how far it is, to its end.")]
Label = Annotated[str | None, typer.Option(help="A name to find the job by.")]
IdempotencyKey = Annotated[
    str | None, typer.Option(help="Handed in twice with one key, it is one job.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
"""How users' text is printed, which may look like markup, and paths, which are to be copied."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def print_json(body: Any) -> None:
    """Print ``body`` for scripts: no colours, whatever the terminal is said to be."""
    typer.echo(json.dumps(body, ensure_ascii=False, indent=2))


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn our own errors into one line on stderr and exit status 2."""
    try:
        yield
    except EditServiceError as error:
        notes.print(error.message, style="red", **PLAIN)
        raise typer.Exit(2) from error
