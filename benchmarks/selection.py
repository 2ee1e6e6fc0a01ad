"""Which parts of a program are run: names with commas between, as its option takes them."""

from __future__ import annotations

from collections.abc import Collection

import typer


def selected(given: str, known: Collection[str], what: str) -> list[str]:
    """The names in ``given``; raises ``typer.BadParameter`` for one that is no ``what``."""
    names = [name for name in given.split(",") if name]
    if unknown := set(names) - set(known):
        raise typer.BadParameter(f"no such {what}: {', '.join(sorted(unknown))}")
    return names
