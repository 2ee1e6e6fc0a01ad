"""Arrow types for the fields of JSON objects, so that nothing changes on the way.

A field whose values are all of one type has it; whole and other numbers together are floats.
Lists of such values are lists. Everything else becomes text: texts as they are, other values as
their JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from serve_app.bulk.manifest.reading import MAX_COLUMNS, too_many_columns

_LONG = 2**63
_EXACT = 2**53

_TYPES = {
    frozenset({str}): pa.string(),
    frozenset({bool}): pa.bool_(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
}

Rows = Sequence[Mapping[str, Any]]


class _Kinds:
    """Which of Python's types values were of, and between which whole numbers."""

    def __init__(self) -> None:
        self._seen: set[type] = set()
        self._least = self._greatest = 0

    def add(self, values: Iterable[Any]) -> None:
        values = list(values)
        self._seen |= set(map(type, values)) - {type(None)}
        if int in self._seen:
            whole = [value for value in values if type(value) is int]
            self._least = min(self._least, *whole, 0)
            self._greatest = max(self._greatest, *whole, 0)

    @property
    def found(self) -> pa.DataType | None:
        """The type that holds all values as they are; ``None`` if there is none."""
        # Whole numbers beside others must be exact as floats.
        most = _EXACT + 1 if float in self._seen else _LONG
        if -most <= self._least and self._greatest < most:
            return _TYPES.get(frozenset(self._seen))
        return None

    @property
    def empty(self) -> bool:
        return not self._seen


class _Column:
    """What is known of one field."""

    def __init__(self) -> None:
        self._values, self._elements = _Kinds(), _Kinds()
        self._lists = self._others = False

    def add(self, values: list[Any]) -> None:
        lists = [value for value in values if type(value) is list]
        if not lists:
            self._values.add(values)
            return
        self._lists = True
        self._values.add(value for value in values if type(value) is not list)
        elements = list(chain.from_iterable(lists))
        # A list without one of its values would look the same as one with a null.
        self._others |= None in elements
        self._elements.add(elements)

    def type(self) -> pa.DataType:
        if not self._lists:
            return pa.string() if self._values.empty else self._values.found or pa.string()
        if not self._values.empty or self._others:
            return pa.string()
        found = pa.string() if self._elements.empty else self._elements.found
        return pa.string() if found is None else pa.list_(found)


class JsonColumns:
    """The fields of rows, in the order in which they come."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}

    def add(self, rows: Rows) -> None:
        """Take note of some more rows; raises ``UnusableManifest`` for too many fields."""
        names: dict[str, Any] = {}
        for row in rows:
            names.update(row)
        for name in names:
            if name not in self._columns and len(self._columns) == MAX_COLUMNS:
                raise too_many_columns()
            self._columns.setdefault(name, _Column()).add([row.get(name) for row in rows])

    def schema(self) -> pa.Schema:
        """The types that hold all rows."""
        return pa.schema([(name, column.type()) for name, column in self._columns.items()])


def arrow_table(rows: Rows, schema: pa.Schema) -> pa.Table:
    """``rows`` as a table of ``schema``, which was made of them and perhaps others."""
    columns = [_array([row.get(field.name) for row in rows], field.type) for field in schema]
    if not columns:
        return pa.Table.from_batches([pa.RecordBatch.from_struct_array(_nothing(len(rows)))])
    return pa.table(columns, schema=schema)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if kind == pa.string() and set(map(type, values)) - {str, type(None)}:
        values = [_text(value) for value in values]
    elif pa.types.is_floating(kind):
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _nothing(rows: int) -> pa.StructArray:
    return pa.array([{}] * rows, pa.struct([]))
