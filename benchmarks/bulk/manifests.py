"""Manifests of the samples: rows that differ in picture, instruction and seed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.report import REPOSITORY

SAMPLES = REPOSITORY / "serve_app" / "samples"
BROKEN, TEXT = "broken.png", "text.png"
EVERY = 100
"""One row in so many is bad, in turns each way."""


def scenes() -> list[dict[str, str]]:
    """The samples: their ``file``, ``prompt`` and ``edit_type``."""
    listed: list[dict[str, str]] = json.loads((SAMPLES / "scenes.json").read_text())
    return listed


def good_rows(count: int) -> list[dict[str, Any]]:
    """``count`` rows that can be edited, each another edit."""
    some = scenes()
    return [
        {
            "id": f"row-{index}",
            "image": some[index % len(some)]["file"],
            "prompt": some[index % len(some)]["prompt"],
            "seed": index,
        }
        for index in range(count)
    ]


def with_bad_rows(count: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """``count`` rows with 1 % bad ones among them, and the codes that those must end with."""
    ways: tuple[tuple[dict[str, Any], str], ...] = (
        ({"image": BROKEN}, "unusable_image"),
        ({"image": "gone.png"}, "image_not_found"),
        ({"num_inference_steps": 0}, "invalid_value"),
        ({"image": TEXT}, "unsupported_media_type"),
        ({"image": "../elsewhere.png"}, "outside_input_root"),
    )
    rows, codes = good_rows(count), {}
    for number, index in enumerate(range(EVERY // 2, count, EVERY)):
        change, code = ways[number % len(ways)]
        rows[index] |= change
        codes[str(rows[index]["id"])] = code
    return rows, codes


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a manifest of ``rows`` into ``folder``, with the images that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    for scene in scenes():
        shutil.copy(SAMPLES / scene["file"], folder)
    whole = (SAMPLES / scenes()[0]["file"]).read_bytes()
    (folder / BROKEN).write_bytes(whole[: len(whole) // 2])
    (folder / TEXT).write_text("no picture")
    manifest = folder / "edits.jsonl"
    with manifest.open("w") as file:
        file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    return manifest
