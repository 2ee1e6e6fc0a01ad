"""The formats that a brief names: platforms and sizes, as targets of a brand set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from serve_app.workflows.assistant.format_words import (
    BETWEEN,
    BLOG,
    EN_PLATFORM,
    HEADER,
    INSTAGRAM,
    KO_PLATFORM,
    POST,
    STORY,
    THUMBNAIL,
    TWITTER,
    ZH_PLATFORM,
)
from serve_app.workflows.assistant.passage import Passage
from serve_app.workflows.assistant.proposal import Brief, Notes

_NAMED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("instagram_story", rf"{INSTAGRAM}{BETWEEN}{STORY}|\bstory format|스토리용"),
        ("instagram_post", rf"{INSTAGRAM}{BETWEEN}{POST}"),
        ("twitter_card", TWITTER),
        ("blog_header", rf"{BLOG}{BETWEEN}{HEADER}|\bheader image\b"),
        ("blog_thumbnail", rf"{BLOG}{BETWEEN}{THUMBNAIL}|{THUMBNAIL}"),
    )
)
"""Patterns of the built-in targets, by their names."""

_PLATFORMS = (
    (re.compile(INSTAGRAM, re.IGNORECASE), ("instagram_story", "instagram_post")),
    (re.compile(BLOG, re.IGNORECASE), ("blog_header", "blog_thumbnail")),
)
"""A platform without a format stands for all of its formats."""

_STRANGE = re.compile(
    rf"(?:\bfor|\bon|,|\band) (?:a |our |the )?({EN_PLATFORM})\b|({ZH_PLATFORM})"
    rf"|({KO_PLATFORM})",
    re.IGNORECASE,
)
"""Platforms that no built-in target is made for."""

_SIZE = re.compile(r"(?<![\d#])(\d{1,5}) ?(?:x|×|\*) ?(\d{1,5})(?!\d)", re.IGNORECASE)

_LEAST, _MOST = 16, 10_000
"""Sides of a target, pixels, as jobs of kind ``brand_set`` take them."""


def targets_of(brief: Brief, passage: Passage, notes: Notes) -> list[Any]:
    """The targets of a set: those given, or those that ``passage`` names, or all configured."""
    if brief.targets:
        notes.reasons.append("The targets are those that the request gives.")
        return list(brief.targets)
    named: list[Any] = list(_configured(brief.formats, passage))
    for width, height in _sizes(passage):
        sides = (width, height)
        if min(sides) >= _LEAST and max(sides) <= _MOST and width * height <= brief.pixels:
            named.append({"name": f"{width}x{height}", "width": width, "height": height})
        else:
            notes.questions.append(
                f"The brief names the size {width}x{height}, which no target can have: sides have "
                f"{_LEAST} to {_MOST} pixels, and all of it {brief.pixels:,}. Which size is meant?"
            )
    strange = sorted({name for found in _STRANGE.findall(passage.masked) for name in found if name})
    if strange:
        notes.questions.append(
            f"There is no built-in target for {', '.join(strange)}: add it to `targets` with a "
            "`name`, a `width` and a `height`."
        )
    if named:
        notes.reasons.append(f"The brief names {len(named)} of the formats: these are the targets.")
        return named
    notes.reasons.append("The brief names no format that is configured: all of them are targets.")
    return list(brief.formats)


def _configured(formats: Sequence[str], passage: Passage) -> list[str]:
    """Names of configured targets that ``passage`` mentions, in the order they are configured."""
    text = passage.masked
    found = {name for name, pattern in _NAMED if pattern.search(text)}
    for pattern, names in _PLATFORMS:
        if pattern.search(text) and found.isdisjoint(names):
            found.update(names)
    spelled = text.casefold()
    return [name for name in formats if name in found or name.casefold() in spelled]


def _sizes(passage: Passage) -> list[tuple[int, int]]:
    """Sizes that are written as WIDTHxHEIGHT, each once, at most 20."""
    sizes = [(int(width), int(height)) for width, height in _SIZE.findall(passage.masked)]
    return list(dict.fromkeys(sizes))[:20]
