"""The demonstration: serve, edit one photo over HTTP, show before, after and verdict."""

from __future__ import annotations

import base64
import io
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import yaml
from PIL import Image
from rich.console import Console

from serve_app.errors import ConfigurationError, NotReady
from serve_app.serve_config import read
from serve_app.serve_process import serving, wait_until_ready

PROMPT = "make it a Ghibli scene"


def run_demo(console: Console, config: Path, *, once: bool, port: int, out: Path) -> None:
    """Serve ``config`` on ``port`` and edit the sample; the pictures go to ``out``.

    Raises ``ConfigurationError`` if the configuration or the port can't be used, and
    ``NotReady`` if the service doesn't start.
    """
    _require_free(port)
    out.mkdir(parents=True, exist_ok=True)
    log = out / "serve.log"
    with _served(config, port, log) as process:
        base_url = f"http://127.0.0.1:{port}"
        with console.status(f"Starting the service (log: {log}) …"):
            wait_until_ready(process, base_url, log)
        console.print(f"Serving on [bold]{base_url}[/bold]  (docs: {base_url}/docs)")
        with console.status(f"Editing the sample: “{PROMPT}” …"):
            edit = _edit_sample(base_url, out)
        _show(console, base_url, edit, out)
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


def _edit_sample(base_url: str, out: Path) -> dict[str, Any]:
    sample = (files("serve_app") / "samples" / "astronaut.jpg").read_bytes()
    response = httpx.post(
        f"{base_url}/v1/images/edits",
        files={"image": ("astronaut.jpg", sample, "image/jpeg")},
        data={"prompt": PROMPT},
        timeout=600,
    )
    if response.is_error:
        raise NotReady(f"The edit failed: {response.json()['error']['message']}")
    edit: dict[str, Any] = response.json()["data"][0]
    before = Image.open(io.BytesIO(sample)).convert("RGB")
    after = Image.open(io.BytesIO(base64.b64decode(edit["b64_json"])))
    both = Image.new("RGB", (before.width + after.width, max(before.height, after.height)))
    both.paste(before, (0, 0))
    both.paste(after, (before.width, 0))
    for name, picture in (("before", before), ("after", after), ("before-after", both)):
        picture.save(out / f"{name}.png")
    return edit


def _show(console: Console, base_url: str, edit: dict[str, Any], out: Path) -> None:
    record = httpx.get(f"{base_url}/v1/results/{edit['id']}/metadata", timeout=30).json()
    console.print(f"before    {out / 'before.png'}")
    console.print(f"after     {out / 'after.png'}")
    console.print(f"together  {out / 'before-after.png'}")
    console.print(f"verdict   [bold]{edit['verdict']}[/bold] after {edit['attempts']} attempt(s)")
    for reason in record["report"]["reasons"]:
        console.print(f"          {reason}", markup=False)
    console.print(f"planned   {record['plan']['edit_type']}: ", end="")
    console.print(record["plan"]["edit_type_reason"], markup=False)
    console.print(f"record    {base_url}/v1/results/{edit['id']}/metadata")
    if record["model"]["miniature"]:
        console.print(
            "This is the miniature with random weights: every part of the real path ran, but "
            "what it paints is noise. Point `model.checkpoint` at Qwen-Image-Edit for real edits.",
            style="yellow",
        )
