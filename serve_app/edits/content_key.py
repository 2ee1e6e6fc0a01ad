"""Content addresses: what makes two edits the same edit, and the seeds derived from it."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from typing import Any

_FORMAT = 2
"""Raise it when the same inputs would give other pixels or another record."""

_SEED_BITS = 32


def normalise_prompt(prompt: str) -> str:
    """NFC, with every run of blanks made one space: what is keyed is also what is run."""
    return " ".join(unicodedata.normalize("NFC", prompt).split())


def content_key(facts: Mapping[str, Any]) -> str:
    """SHA-256, as 64 hex digits, over every fact that changes the result (JSON values)."""
    canonical = json.dumps(
        {"format": _FORMAT, **facts}, sort_keys=True, ensure_ascii=True, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def derived_seed(key: str, variation: int) -> int:
    """The seed of a request that names none: equal requests get equal seeds, 0..2**32-1."""
    return _seed(f"{key}:variation:{variation}")


def attempt_seed(first: int, attempt: int) -> int:
    """The seed of the ``attempt``-th try (from 1), fixed by the first one's."""
    return first if attempt == 1 else _seed(f"{first}:attempt:{attempt}")


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: _SEED_BITS // 8])
