"""Manifests in JSON lines: one object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any, BinaryIO, NoReturn

import pyarrow as pa

from serve_app.bulk.manifest.json_columns import JsonColumns, arrow_table
from serve_app.bulk.manifest.reading import (
    CHUNK_ROWS,
    KNOWN,
    Chunk,
    Reading,
    check_columns,
    grouped,
    whole_text,
)
from serve_app.bulk.manifest.text_file import as_text, decoding
from serve_app.errors import InvalidRequest, UnusableManifest

MAX_LINE = 4 * 2**20
"""Characters of a line."""

MAX_DEPTH = 100
"""Arrays and objects within each other, the line's own object among them."""

_BLANKS = " \t\r\n"  # JSON's own

# Half of a character that takes two escapes. Two halves that belong together are whole.
_HALVES = re.compile(r"\\u[dD][89a-fA-F]")

# Whole texts, so that brackets in them don't count.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[][{}]', re.DOTALL)


def read_json_lines(file: BinaryIO) -> Reading:
    """Read ``file``; a line that is no object is a row that can't be run.

    The file is read twice, because the types of columns are those of all rows. Raises
    ``UnusableManifest`` if it is not UTF-8, has no row with a required field, or a field whose name
    can't be a column's.
    """
    columns = JsonColumns()
    objects = False
    for rows, faults in _parsed(file):
        columns.add(rows)
        objects = objects or len(faults) < len(rows)
    schema = columns.schema()
    if objects:  # of a file that has none it is better told what is wrong with its lines
        check_columns(schema.names)
    return Reading(schema, _chunks(file, schema), typed=True, has_ids="id" in schema.names)


def _chunks(file: BinaryIO, schema: pa.Schema) -> Iterator[Chunk]:
    for rows, faults in _parsed(file):
        yield Chunk(rows, faults, arrow_table(rows, schema))


def _parsed(file: BinaryIO) -> Iterator[tuple[list[dict[str, Any]], dict[int, InvalidRequest]]]:
    """Rows by the chunk, and what is wrong with some: those are empty."""
    for some in grouped(_lines(file), len, CHUNK_ROWS):
        rows: list[dict[str, Any]] = []
        faults: dict[int, InvalidRequest] = {}
        for i, line in enumerate(some):
            try:
                rows.append(_row(line))
            except InvalidRequest as fault:
                rows.append({})
                faults[i] = fault
        yield rows, faults


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines that are not blank, without the blanks around them."""
    text = as_text(file, newline="\n")
    with decoding():
        while line := text.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise UnusableManifest(
                    f"The manifest has a line of more than {MAX_LINE} characters: it must be JSON "
                    "lines, one object a line."
                )
            if line := line.strip(_BLANKS):
                yield line


def _row(line: str) -> dict[str, Any]:
    """The object of a line; raises ``InvalidRequest`` if it is none."""
    # What reads and writes JSON goes down with it, and each has its own depth where it fails.
    if line.count("[") + line.count("{") > MAX_DEPTH and _depth(line) > MAX_DEPTH:
        raise UnusableManifest(
            f"The line must have at most {MAX_DEPTH} arrays and objects within each other."
        )
    try:
        row, end = _DECODER.raw_decode(line)
        if end < len(line):
            raise ValueError
    except (ValueError, RecursionError):
        raise UnusableManifest("The line must be valid JSON: one object a line.") from None
    if not isinstance(row, dict):
        raise UnusableManifest("The line must be a JSON object.")
    if "\\u" in line and _HALVES.search(line) and _has_halves(row):
        raise UnusableManifest("The line must not contain unpaired surrogates.")
    return row


def _depth(line: str) -> int:
    """How many arrays and objects are within each other at most, in JSON."""
    depth = deepest = 0
    for found in _STRUCTURE.finditer(line):
        if found[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found[0] in "]}":
            depth -= 1
    return deepest


def _has_halves(row: dict[str, Any]) -> bool:
    text = json.dumps(row, ensure_ascii=False)
    return whole_text(text) != text


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        if twice in KNOWN:
            raise UnusableManifest(f"`{twice}` must be there once.", twice)
        raise UnusableManifest("The line has a name twice in one object.")
    return values


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError
    return number


def _refuse(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)
