"""The demonstration: serve, edit three samples over HTTP, show before, after and verdict."""

from __future__ import annotations

import base64
import io
import json
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import yaml
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from serve_app.errors import ConfigurationError, NotReady
from serve_app.serve_config import read
from serve_app.serve_process import serving, wait_until_ready

SAMPLES = files("serve_app") / "samples"
SHOWN_TYPES = ("appearance", "text", "semantic")

# Of the picture that shows all edits, pixels.
_SHOWN, _GAP, _CAPTION = 256, 12, 36


def run_demo(console: Console, config: Path, *, once: bool, port: int, out: Path) -> None:
    """Serve ``config`` on ``port`` and edit samples; the pictures go to ``out``.

    Raises ``ConfigurationError`` if the configuration or the port can't be used, and
    ``NotReady`` if the service doesn't start.
    """
    # As Ctrl-C does, it must stop what was started here.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _require_free(port)
    out.mkdir(parents=True, exist_ok=True)
    log = out / "serve.log"
    with _served(config, port, log) as process:
        base_url = f"http://127.0.0.1:{port}"
        with console.status(f"Starting the service (log: {log}) …"):
            wait_until_ready(process, base_url, log)
        console.print(f"Serving on [bold]{base_url}[/bold]  (docs: {base_url}/docs)")
        with console.status("Editing the samples …"):
            edits = [_edit_sample(base_url, sample) for sample in _samples()]
        _save(edits, out)
        _show(console, base_url, edits, out)
        if not once:
            console.print("Serving on. Stop with Ctrl-C.")
            with suppress(KeyboardInterrupt):  # the way to stop it
                process.wait()


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} is in use. Stop what runs there, or choose another with --port "
                "(make demo PORT=8001)."
            ) from error


@contextmanager
def _served(config: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a copy of ``config`` on ``port``."""
    settings = read(config)
    settings.setdefault("http_options", {})["port"] = port
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / config.name
        copy.write_text(yaml.safe_dump(settings))
        with serving(copy, log) as process:
            yield process


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """A sample, what was asked for, and what came back."""

    prompt: str
    before: Image.Image
    after: Image.Image
    answer: dict[str, Any]
    record: dict[str, Any]


def _edit_sample(base_url: str, sample: dict[str, str]) -> Edited:
    picture = (SAMPLES / sample["file"]).read_bytes()
    response = httpx.post(
        f"{base_url}/v1/images/edits",
        files={"image": (sample["file"], picture, "image/png")},
        data={"prompt": sample["prompt"]},
        timeout=600,
    )
    if response.is_error:
        raise NotReady(f"The edit failed: {response.json()['error']['message']}")
    answer: dict[str, Any] = response.json()["data"][0]
    return Edited(
        sample["prompt"],
        Image.open(io.BytesIO(picture)).convert("RGB"),
        Image.open(io.BytesIO(base64.b64decode(answer["b64_json"]))),
        answer,
        httpx.get(f"{base_url}/v1/results/{answer['id']}/metadata", timeout=30).json(),
    )


def _samples() -> list[dict[str, str]]:
    """The first sample of each type that is shown."""
    listed: list[dict[str, str]] = json.loads((SAMPLES / "scenes.json").read_text())
    return [next(it for it in listed if it["edit_type"] == kind) for kind in SHOWN_TYPES]


def picture_of(edits: Sequence[Edited]) -> Image.Image:
    """Before and after side by side, an edit below the other, each with prompt and verdict."""
    shown = [_row(edit) for edit in edits]
    both = Image.new("RGB", (shown[0].width, sum(row.height for row in shown)), "white")
    top = 0
    for row in shown:
        both.paste(row, (0, top))
        top += row.height
    return both


def _row(edit: Edited) -> Image.Image:
    row = Image.new("RGB", (2 * _SHOWN + 3 * _GAP, _SHOWN + _GAP + _CAPTION), "white")
    for place, picture in enumerate((edit.before, edit.after)):
        larger = picture.resize((_SHOWN, _SHOWN), Image.Resampling.LANCZOS)
        row.paste(larger, (_GAP + place * (_SHOWN + _GAP), _GAP))
    caption = f"“{edit.prompt}”: {edit.answer['verdict']}"
    ImageDraw.Draw(row).text(
        (row.width / 2, _SHOWN + _GAP + _CAPTION / 2),
        caption,
        font=ImageFont.load_default(16),
        fill=(40, 40, 48),
        anchor="mm",
    )
    return row


def _save(edits: Sequence[Edited], out: Path) -> None:
    for number, edit in enumerate(edits, 1):
        edit.before.save(out / f"before-{number}.png")
        edit.after.save(out / f"after-{number}.png")
    picture_of(edits).save(out / "before-after.png")


def _show(console: Console, base_url: str, edits: Sequence[Edited], out: Path) -> None:
    for number, edit in enumerate(edits, 1):
        answer, plan = edit.answer, edit.record["plan"]
        console.print(f"{number}. “{edit.prompt}”", style="bold", markup=False)
        console.print(f"   before   {out / f'before-{number}.png'}")
        console.print(f"   after    {out / f'after-{number}.png'}")
        console.print(
            f"   verdict  [bold]{answer['verdict']}[/bold] after {answer['attempts']} attempt(s), "
            f"{edit.record['seconds']:.1f} s"
        )
        for reason in edit.record["report"]["reasons"]:
            console.print(f"            {reason}", markup=False)
        console.print(f"   planned  {plan['edit_type']}: ", end="")
        console.print(plan["edit_type_reason"], markup=False)
        console.print(f"   record   {base_url}/v1/results/{answer['id']}/metadata")
    console.print(f"All in one picture: [bold]{out / 'before-after.png'}[/bold]")
    if edits[0].record["model"]["miniature"]:
        console.print(
            "This is the miniature: it edits drawn scenes like these, see /v1/models. Point "
            "`model.checkpoint` at Qwen-Image-Edit for photos.",
            style="yellow",
        )
