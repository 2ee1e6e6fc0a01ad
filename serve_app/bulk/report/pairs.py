"""A result beside its input, small enough to be part of a page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from serve_app.bulk.manifest.places import InputRoot
from serve_app.bulk.parts import part_names, read_part
from serve_app.bulk.report.results_file import ResultsFile
from serve_app.bulk.wording import shortened
from serve_app.config import LimitsConfig
from serve_app.errors import EditServiceError
from serve_app.images.decoding import decode
from serve_app.images.encoding import OutputFormat, encode
from serve_app.storage.byte_store import ByteStore

SIDE = 320
"""Longest side of a thumbnail, pixels."""

_QUALITY = 80
_PROMPT_CHARACTERS = 240
_SHOWN = ("row", "id", "verdict", "reasons", "output_image")


@dataclass(frozen=True, slots=True)
class Pair:
    """``before`` and ``after`` are ``data:`` URIs, ``None`` where there is no picture to show."""

    row: int
    id: str
    prompt: str
    verdict: str
    reasons: Sequence[str]
    before: str | None
    after: str | None


def pairs(
    store: ByteStore,
    root: InputRoot,
    results: ResultsFile,
    indices: Sequence[int],
    limits: LimitsConfig,
) -> list[Pair]:
    """The pairs of the rows at ``indices``; a picture that can't be shown is left out.

    Raises ``RunRefused`` if the checked rows are damaged.
    """
    shown = results.rows(indices, _SHOWN)
    asked = _asked(store, [row["row"] for row in shown])
    return [
        Pair(
            row=row["row"],
            id=row["id"],
            prompt=shortened(asked[row["row"]].prompt, _PROMPT_CHARACTERS),
            verdict=row["verdict"],
            reasons=row["reasons"] or (),
            before=_picture(partial(_input, root, asked[row["row"]].place, limits), limits),
            after=_picture(partial(store.get, row["output_image"]), limits),
        )
        for row in shown
    ]


def _input(root: InputRoot, place: str | None, limits: LimitsConfig) -> bytes | None:
    return None if place is None else root.read(place, limits.image_bytes)


def _picture(read: Callable[[], bytes | None], limits: LimitsConfig) -> str | None:
    """What ``read`` gives as a thumbnail; a report is worth having without it."""
    try:
        data = read()
        return None if data is None else thumbnail(data, limits)
    except EditServiceError:
        return None


def thumbnail(data: bytes, limits: LimitsConfig) -> str:
    """An image file as a JPEG of at most ``SIDE`` pixels a side, in a ``data:`` URI.

    Raises what ``images.decoding.decode`` raises.
    """
    image = Image.fromarray(decode(data, limits, "image").pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    jpeg = encode(np.asarray(image), OutputFormat.JPEG, _QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class _Asked:
    prompt: str = ""
    place: str | None = None


def _asked(store: ByteStore, rows: Sequence[int]) -> dict[int, _Asked]:
    """What was asked in ``rows``, from the checked rows, a part of them at a time."""
    asked = dict.fromkeys(rows, _Asked())
    left = set(rows)
    for name in _likely_first(store, left):
        if not left:
            break
        part = read_part(store, name, ["row", "images", "asked"])
        here = part.filter(pc.is_in(part["row"], pa.array(sorted(left), pa.int64()))).to_pylist()
        for row in here:
            prompt = json.loads(row["asked"] or "{}").get("prompt", "")
            asked[row["row"]] = _Asked(prompt, next(iter(row["images"]), None))
            left.discard(row["row"])
    return asked


def _likely_first(store: ByteStore, rows: Iterable[int]) -> Iterator[str]:
    """Names of all parts, first those that have ``rows`` if all parts are of one size."""
    names = part_names(store)
    if not names:
        return
    size = max(1, read_part(store, names[0], ["row"]).num_rows)
    likely = {names[(row - 1) // size] for row in rows if (row - 1) // size < len(names)}
    yield from sorted(likely)
    yield from (name for name in names if name not in likely)
