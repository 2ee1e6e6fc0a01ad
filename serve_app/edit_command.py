"""`qwen-edit edit`: one edit by any service, with its progress, verdict and image."""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from serve_app.client import Client
from serve_app.errors import InvalidRequest
from serve_app.job_progress import seconds
from serve_app.server_connection import ServerRefused
from serve_app.server_events import ServerEvent
from serve_app.terminal import INTERRUPTED, PLAIN, VERDICT_STYLES, console, notes, print_json

_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


@dataclass(frozen=True, slots=True)
class Edit:
    """What to edit, how, and where the image goes; ``fields`` as the service names them."""

    images: tuple[Path, ...]
    output: Path
    fields: dict[str, str | int | float | None]
    mask: Path | None = None

    @property
    def output_format(self) -> str:
        """By the suffix; raises ``InvalidRequest`` for one that stands for no format."""
        try:
            return _FORMATS[self.output.suffix.lower()]
        except KeyError:
            raise InvalidRequest(
                f"{self.output}: The image can be a {', '.join(_FORMATS)}: end its name so.",
                "output",
            ) from None

    def require_writable(self) -> None:
        """Raise ``InvalidRequest`` if the image could not be written, or would replace an input.

        Before the edit, which may take minutes: so that no image is made that can't be kept.
        """
        output = self.output.resolve()
        inputs = (*self.images, self.mask)
        if output in [file.resolve() for file in inputs if file is not None]:
            raise InvalidRequest(f"{self.output} is an input: give the result another name.")
        if output.exists() and not (output.is_file() and os.access(output, os.W_OK)):
            raise InvalidRequest(f"{self.output} is there already and can't be replaced.")
        try:
            with tempfile.TemporaryFile(dir=output.parent):
                pass
        except OSError as error:
            raise InvalidRequest(
                f"{self.output}: Nothing can be written there: {error.strerror}."
            ) from error


def run_edit(client: Client, edit: Edit, *, as_json: bool) -> None:
    """Edit, write the image, and tell the verdict; ``typer.Exit`` with 1 if it is a fail."""
    fields = edit.fields | {"output_format": edit.output_format}
    edit.require_writable()
    begun = time.monotonic()
    completed: ServerEvent | None = None
    with _stopped_plainly(), _progress(notes) as take:
        for event in client.edit(edit.images, fields, edit.mask):
            take(event)
            completed = event
    facts = _facts(client, completed)
    _write(client, edit.output, facts)
    del facts["b64_json"]
    facts |= {"image": str(edit.output), "seconds": round(time.monotonic() - begun, 2)}
    if as_json:
        print_json(facts)
    else:
        _print(client, facts)
    if facts["verdict"] == "fail":
        raise typer.Exit(1)


def _facts(client: Client, completed: ServerEvent | None) -> dict[str, Any]:
    """What the service tells of a finished edit, with the image."""
    named = ("b64_json", "id", "seed", "verdict", "attempts", "cache")
    data = {} if completed is None else completed.data
    if not all(name in data for name in named):
        raise ServerRefused(f"{client.base_url} did not tell what an edit does: see the URL.")
    return {name: data[name] for name in named}


def _write(client: Client, output: Path, facts: dict[str, Any]) -> None:
    """Write the image beside ``output`` and put it in its place, so that it is whole or not."""
    target = output.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(base64.b64decode(facts["b64_json"], validate=True))
        part.replace(target)
    except (OSError, binascii.Error) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise InvalidRequest(
            f"{output}: The image can't be written ({error}). The service keeps it: "
            f"{client.base_url}/v1/results/{facts['id']}"
        ) from error


def _print(client: Client, facts: dict[str, Any]) -> None:
    attempts = "1 attempt" if facts["attempts"] == 1 else f"{facts['attempts']} attempts"
    console.print(
        Text.assemble(
            (facts["verdict"], VERDICT_STYLES.get(facts["verdict"], "")),
            f"  {attempts}, {seconds(facts['seconds'])}, seed {facts['seed']}, "
            f"cache {facts['cache']}",
        ),
        soft_wrap=True,
    )
    console.print(f"image   {facts['image']}", **PLAIN)
    console.print(f"id      {facts['id']}", **PLAIN)
    console.print(f"record  {client.base_url}/v1/results/{facts['id']}/metadata", **PLAIN)


# While it runs.


@contextmanager
def _progress(where: Console) -> Iterator[Callable[[ServerEvent], None]]:
    """A bar of denoising steps for each attempt; nothing where there is no terminal."""
    if not where.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=where) as bars:
        attempts = {1: bars.add_task("attempt 1 …", total=None)}

        def take(event: ServerEvent) -> None:
            if event.name not in ("waiting", "progress"):
                return
            facts = event.data
            attempt = facts["attempt"]
            if attempt not in attempts:
                attempts[attempt] = bars.add_task("", total=None)
            said = f"attempt {attempt}, "
            if event.name == "waiting":
                said += f"{facts['position']} ahead"
            else:
                said += f"step {facts['step']}/{facts['total']}"
                bars.update(attempts[attempt], completed=facts["step"], total=facts["total"])
            if facts["eta_s"] is not None:
                said += f", about {seconds(facts['eta_s'])} left"
            bars.update(attempts[attempt], description=said)

        yield take


@contextmanager
def _stopped_plainly() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        notes.print("\nStopped: the service gives the edit up.", **PLAIN)
        raise typer.Exit(INTERRUPTED) from None
