"""The columns of a manifest as a run's results have them: one name and one type in all parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from serve_app.bulk.manifest.parts import INPUT

_TAKEN = "input_"


@dataclass(frozen=True, slots=True)
class InputColumn:
    """The manifest's column ``name``, which is ``shown`` in the results, as ``type``.

    ``as_text`` if its parts have no type in common: each value is JSON text then.
    """

    name: str
    shown: str
    type: pa.DataType
    as_text: bool = False

    def of(self, part: pa.Table) -> pa.ChunkedArray:
        """The column of ``part``; nulls if the part doesn't have it."""
        if INPUT + self.name not in part.column_names:
            return pa.chunked_array([pa.nulls(part.num_rows, self.type)])
        values = part[INPUT + self.name]
        return _as_text(values) if self.as_text else values.cast(self.type)


def input_columns(
    schemas: Sequence[pa.Schema],
    taken: Container[str],
    tables: Callable[[list[str]], Iterator[pa.Table]],
) -> list[InputColumn]:
    """The columns of parts with these ``schemas``, in the order in which they come up.

    A column whose name is ``taken`` by the results is called ``input_NAME`` there. ``tables``
    gives all parts with some columns only: a common type is one that all values fit.
    """
    types: dict[str, list[pa.DataType]] = {}
    for schema in schemas:
        for column in schema:
            if column.name.startswith(INPUT):
                types.setdefault(column.name.removeprefix(INPUT), []).append(column.type)
    types.pop("id", None)  # it is the row's id
    common = {name: _common_type(name, each) for name, each in types.items()}
    mixed = [name for name, each in types.items() if _differ(each) and common[name] is not None]
    if mixed:
        unfit = _unfit({name: common[name] for name in mixed}, tables([INPUT + m for m in mixed]))
        common |= dict.fromkeys(unfit)
    shown = shown_names(types, taken)
    return [
        InputColumn(name, shown[name], pa.string() if one is None else one, as_text=one is None)
        for name, one in common.items()
    ]


def shown_names(names: Iterable[str], taken: Container[str]) -> dict[str, str]:
    """What each of ``names`` is called where some names are ``taken``; no two are the same."""
    names = list(names)
    shown = {name: name for name in names if name not in taken}
    used = set(shown)
    for name in names:
        if name in shown:
            continue
        free = _TAKEN + name
        while free in taken or free in used:
            free = _TAKEN + free
        shown[name] = free
        used.add(free)
    return shown


def _common_type(name: str, types: Sequence[pa.DataType]) -> pa.DataType | None:
    try:
        schemas = [pa.schema([(name, one)]) for one in types]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def _differ(types: Sequence[pa.DataType]) -> bool:
    return len({one for one in types if not pa.types.is_null(one)}) > 1


def _unfit(common: dict[str, pa.DataType], parts: Iterator[pa.Table]) -> set[str]:
    """Columns with a value that its type can't hold, as a whole number too large for a float."""
    unfit: set[str] = set()
    for part in parts:
        for name in common.keys() - unfit:
            if INPUT + name in part.column_names:
                try:
                    part[INPUT + name].cast(common[name])
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                    unfit.add(name)
    return unfit


def _as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = [None if value is None else _json(value) for value in values.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
