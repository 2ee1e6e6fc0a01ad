"""What the columns of a manifest are called where a run's results have them."""

from __future__ import annotations

from collections.abc import Container, Iterable

import pyarrow as pa

from serve_app.bulk.manifest.parts import INPUT

_TAKEN = "input_"


def input_columns(part: pa.Schema, taken: Container[str]) -> dict[str, pa.Field]:
    """The manifest's columns, by their names in ``part``, as fields of the results.

    All parts of a run have one schema, so that any will do. A column whose name is ``taken``
    by the results is called ``input_NAME`` there. The manifest's ``id`` is left out: it is the
    row's.
    """
    names = [column.removeprefix(INPUT) for column in part.names if column.startswith(INPUT)]
    shown = shown_names((name for name in names if name != "id"), taken)
    return {INPUT + name: pa.field(shown[name], part.field(INPUT + name).type) for name in shown}


def shown_names(names: Iterable[str], taken: Container[str]) -> dict[str, str]:
    """What each of ``names`` is called where some names are ``taken``; no two are the same.

    In the order of ``names``.
    """
    names = list(names)
    used = {name for name in names if name not in taken}
    shown = {}
    for name in names:
        free = name
        while free in taken or (free != name and free in used):
            free = _TAKEN + free
        shown[name] = free
        used.add(free)
    return shown
