"""From the record of what was asked back to the request: the inverse of ``EditRequest.to_json``.

Jobs keep such records instead of requests, which hold pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serve_app.edits.request import (
    DEFAULT_PRIORITY,
    CachePolicy,
    EditRequest,
    EditType,
    ExactSize,
    LoraUse,
    OutputSize,
    Quality,
)
from serve_app.images.masks import EditMask
from serve_app.images.pixels import DecodedImage


def recorded_request(
    asked: Mapping[str, Any], images: Sequence[DecodedImage], mask: EditMask | None = None
) -> EditRequest:
    """The request that ``asked`` is the record of, with the pixels of what it names by ids.

    Beside the names of ``EditRequest.to_json`` it may have ``priority``, ``deadline_s`` and
    ``user``. What is left out has its default.
    """
    edit_type = asked.get("edit_type", "auto")
    lora = asked.get("lora")
    quality = asked.get("quality")
    return EditRequest(
        images=tuple(images),
        prompt=asked["prompt"],
        edit_type="auto" if edit_type == "auto" else EditType(edit_type),
        negative_prompt=asked.get("negative_prompt"),
        true_cfg_scale=asked.get("true_cfg_scale"),
        num_inference_steps=asked.get("num_inference_steps"),
        seed=asked.get("seed"),
        size=_size(asked.get("size", "auto")),
        max_attempts=asked.get("max_attempts"),
        cache=CachePolicy(asked.get("cache", CachePolicy.USE)),
        variation=asked.get("variation", 0),
        mask=mask,
        lora=None if lora is None else LoraUse(lora["name"], lora["scale"]),
        priority=asked.get("priority", DEFAULT_PRIORITY),
        deadline_s=asked.get("deadline_s"),
        user=asked.get("user"),
        quality=None if quality is None else Quality(quality),
        expected_text=asked.get("expected_text"),
        old_text=asked.get("old_text"),
    )


def _size(size: str) -> OutputSize:
    match size:
        case "auto":
            return "auto"
        case "native":
            return "native"
    width, _, height = size.partition("x")
    return ExactSize(int(width), int(height))
