"""The command line: `qwen-edit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from serve_app.errors import EditServiceError

console = Console()
app = typer.Typer(
    name="qwen-edit",
    help="Batched, validated image editing with Qwen-Image-Edit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def _commands() -> None:
    """Keep the commands named, even while there are few."""


@app.command()
def demo(
    config: Annotated[Path, typer.Argument(help="A Serve configuration.", dir_okay=False)] = Path(
        "configs/local.yaml"
    ),
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the edits instead of serving on.")
    ] = False,
    port: Annotated[int, typer.Option(help="HTTP port.", min=1, max=65535)] = 8000,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the log.")] = Path("demo"),
) -> None:
    """Start the service, edit three samples over HTTP, and show what came out."""
    from serve_app.demo import run_demo

    with _told_plainly():
        run_demo(console, config, once=once, port=port, out=out)


@app.command("check-config")
def check_config(
    files: Annotated[
        list[Path], typer.Argument(help="Serve configurations to check.", dir_okay=False)
    ],
) -> None:
    """Check configurations: unknown keys, wrong values, Serve's part and ours."""
    from serve_app.serve_config import check

    failed = False
    for file in files:
        try:
            check(file)
        except (EditServiceError, ValidationError, OSError) as error:
            failed = True
            console.print(f"[red]✗[/red] {file}")
            console.print(str(error), style="red", markup=False)
        else:
            console.print(f"[green]✓[/green] {file}")
    if failed:
        raise typer.Exit(1)


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Turn our own errors into one line and exit status 1."""
    try:
        yield
    except EditServiceError as error:
        console.print(error.message, style="red", markup=False)
        raise typer.Exit(1) from error


def main() -> None:
    """Run the command line."""
    app()
