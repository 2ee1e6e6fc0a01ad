"""One row of a manifest, checked: what to edit, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """``number`` counts from 1. ``images`` and ``mask`` are places below the input root.

    ``asked`` is the record that ``edits.recorded.recorded_request`` reads.
    """

    number: int
    id: str
    images: tuple[str, ...]
    mask: str | None
    asked: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row can't be run; ``id`` is the one it has, or that was made for it."""

    number: int
    id: str
    code: str
    message: str
