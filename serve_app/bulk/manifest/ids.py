"""Ids of rows: given, or made from what the row asks for."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from serve_app.api.edit_parameters import single_line
from serve_app.bulk.manifest.reading import MAX_ID
from serve_app.errors import DuplicateId, InvalidRequest

_DIGITS = 16
_SEPARATORS = re.compile("[\u2028\u2029]")


class Ids:
    """All ids of a manifest so far."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def take(self, row_id: str, number: int) -> None:
        """Give ``row_id`` to the row ``number``; raises ``DuplicateId`` if another has it."""
        first = self._rows.setdefault(row_id, number)
        if first != number:
            raise DuplicateId(f"`id` must differ from that of row {first}.", "id")

    def make(self, content: str, number: int) -> str:
        """An id for the row ``number`` that asks for ``content``; equal ones are numbered."""
        made = f"row-{hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]}"
        if made not in self._rows:
            self._rows[made] = number
            return made
        count = self._last.get(made, 1) + 1
        while f"{made}-{count}" in self._rows:
            count += 1
        self._last[made] = count
        self._rows[f"{made}-{count}"] = number
        return f"{made}-{count}"


def parse_id(value: Any) -> str:
    """Read an id: text of one line, or a whole number.

    Raises ``InvalidRequest``.
    """
    if type(value) is int:
        value = str(value) if abs(value) < 10**MAX_ID else None
    if not isinstance(value, str):
        raise InvalidRequest("`id` must be text or a whole number.", "id")
    if len(value) <= MAX_ID and value.isascii() and value.isprintable() and value.strip() == value:
        if value:
            return value
        raise InvalidRequest("`id` must not be empty.", "id")
    try:
        row_id = single_line(value, MAX_ID)
        if _SEPARATORS.search(row_id):
            raise ValueError("must be a single line")
    except ValueError as error:
        raise InvalidRequest(f"`id` {error}.", "id") from None
    return row_id
