"""Finished edits as OpenAI's clients expect them, with our facts beside."""

from __future__ import annotations

import asyncio
import base64
import struct
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from serve_app.api.event_stream import comment, event
from serve_app.api.fields import EditFields
from serve_app.edits.request import Quality
from serve_app.edits.result import (
    Completed,
    EditEvent,
    EditOutcome,
    PartialImage,
    Progress,
    Waiting,
)
from serve_app.images.encoding import transcode

# Required by OpenAI's types. Tokens are not what this service counts.
_NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}

# What OpenAI's types call them.
_QUALITIES = {Quality.DRAFT: "low", Quality.STANDARD: "medium", Quality.BEST: "high"}


def edit_headers(outcome: EditOutcome) -> dict[str, str]:
    """The facts of an edit, as headers."""
    return {f"x-edit-{name}": str(value) for name, value in _facts(outcome).items()}


async def edits_body(
    outcomes: Sequence[EditOutcome], fields: EditFields, base_url: str
) -> dict[str, Any]:
    """The body of a finished request."""
    first = outcomes[0].result
    return {
        "created": int(time.time()),
        "data": [await _item(outcome, fields, base_url) for outcome in outcomes],
        "output_format": fields.output_format.value,
        "size": f"{first.width}x{first.height}",
    }


async def edit_events(
    events: AsyncGenerator[EditEvent, None], fields: EditFields
) -> AsyncGenerator[bytes, None]:
    """The events of a streamed request, encoded.

    Progress travels as comments: OpenAI's clients know two kinds of event and no more.
    """
    async with aclosing(events):
        async for one in events:
            match one:
                case Waiting():
                    ahead = f"attempt {one.attempt} queued, {one.position} ahead"
                    yield comment(ahead + _estimate(one.eta_s))
                case Progress():
                    step = f"attempt {one.attempt} step {one.step}/{one.total}"
                    yield comment(step + _estimate(one.eta_s))
                case PartialImage():
                    yield await _partial_image(one, fields)
                case Completed():
                    yield await _completed(one.outcome, fields)


def _estimate(eta_s: float | None) -> str:
    """The end of a comment; tenths of a second only where they matter."""
    if eta_s is None:
        return ""
    return f", done in about {round(eta_s, 1 if eta_s < 9.95 else None):g} s"


async def _item(outcome: EditOutcome, fields: EditFields, base_url: str) -> dict[str, Any]:
    if fields.response_format == "url":
        image = {"url": f"{base_url.rstrip('/')}/v1/results/{outcome.result.id}"}
    else:
        image = {"b64_json": await _b64(outcome.result.png, fields)}
    return image | _facts(outcome)


async def _partial_image(partial: PartialImage, fields: EditFields) -> bytes:
    name = "image_edit.partial_image"
    data = await _streamed_image(name, partial.png, fields)
    return event(name, data | {"partial_image_index": partial.index})


async def _completed(outcome: EditOutcome, fields: EditFields) -> bytes:
    name = "image_edit.completed"
    data = await _streamed_image(name, outcome.result.png, fields)
    return event(name, data | {"usage": _NO_USAGE} | _facts(outcome))


async def _streamed_image(name: str, png: bytes, fields: EditFields) -> dict[str, Any]:
    width, height = _png_size(png)
    return {
        "type": name,
        "b64_json": await _b64(png, fields),
        "created_at": int(time.time()),
        "size": f"{width}x{height}",
        "quality": "auto" if fields.quality is None else _QUALITIES[fields.quality],
        "background": "opaque",
        "output_format": fields.output_format.value,
    }


def _facts(outcome: EditOutcome) -> dict[str, Any]:
    result = outcome.result
    return {
        "id": result.id,
        "seed": result.seed,
        "verdict": result.verdict,
        "attempts": result.attempts,
        "cache": outcome.cache.value,
    }


async def _b64(png: bytes, fields: EditFields) -> str:
    return await asyncio.to_thread(_encoded, png, fields)


def _encoded(png: bytes, fields: EditFields) -> str:
    data = transcode(png, fields.output_format, fields.output_compression)
    return base64.b64encode(data).decode("ascii")


def _png_size(png: bytes) -> tuple[int, int]:
    """Width and height, from where the first chunk of every PNG has them."""
    width, height = struct.unpack_from(">II", png, 16)
    return width, height
