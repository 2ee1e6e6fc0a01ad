"""Files with the counts of an A/B test: YAML or JSON as the API has them, or a CSV table."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import yaml

from serve_app.api.body import parse_json, unique
from serve_app.errors import InvalidRequest, MissingField
from serve_app.job_files import parse_yaml

_TABLES = (".csv", ".tsv")
_DELIMITERS = ",;\t"
_NAME = "variant"
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")


def read_ab_test(file: Path) -> dict[str, Any]:
    """The fields of a test that ``file`` gives, with JSON's types, not yet checked.

    Raises:
        InvalidRequest: If it can't be read, or names something twice.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidRequest("The file can't be read.") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest("The file must be text in UTF-8.") from error
    suffix = file.suffix.lower()
    if suffix in _TABLES:
        return {"variants": _table(text)}
    read = _json(text) if suffix == ".json" else _yaml(text)
    if not isinstance(read, dict):
        raise InvalidRequest("The file must be a mapping with `variants` and `control`.")
    return read


def _json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise InvalidRequest("The file is not valid JSON.") from error


def _yaml(text: str) -> Any:
    try:
        return _as_json(parse_yaml(text))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidRequest("The file is not valid YAML.") from error


def _as_json(value: Any) -> Any:
    """``value`` with numbers that are names (of variants) as text: YAML tells them apart."""
    if not isinstance(value, dict):
        return value
    named = {str(name) if type(name) is int else name: _as_json(one) for name, one in value.items()}
    if type(named.get("control")) is int:
        named["control"] = str(named["control"])
    return named


def _table(text: str) -> dict[str, Any]:
    """Counts by variant; empty cells were not counted."""
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise InvalidRequest("The file is not a CSV table.") from error
    if not rows:
        raise InvalidRequest("The file is empty.")
    heads = [head.strip().lower() for head in rows[0]]
    unique((head, None) for head in heads)
    if _NAME not in heads:
        raise MissingField(f"The first line must name the columns, one of them `{_NAME}`.", _NAME)
    return unique(_row(heads, row, number) for number, row in enumerate(rows[1:], 2))


def _row(heads: list[str], row: list[str], number: int) -> tuple[str, dict[str, Any]]:
    if len(row) != len(heads):
        raise InvalidRequest(f"Row {number} must have {len(heads)} cells, as the first line has.")
    cells = dict(zip(heads, (cell.strip() for cell in row), strict=True))
    name = cells.pop(_NAME)
    return name, {head: _count(cell) for head, cell in cells.items() if cell}


def _count(cell: str) -> int | str:
    """A whole number, or the text as it is, which is refused where counts are checked."""
    return int(cell) if _WHOLE.fullmatch(cell) else cell
