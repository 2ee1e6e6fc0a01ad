"""What a bulk run was started with, kept in its output folder: only the same may resume it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from serve_app.errors import RunRefused
from serve_app.storage.byte_store import ByteStore

NAME = "run.json"
FORMAT = 1
"""Of this version of the service; it reads older ones too."""

_LONGEST = 60  # characters of a value in a message
_MOST_LINES = 10


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """What is known of the manifest: ``digest`` is of its content, ``invalid`` counts rows."""

    kind: str
    digest: str
    rows: int
    invalid: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it was started.

    ``created_at`` is in seconds since 1970. ``options`` is all that decides results beside
    the manifest, as nested JSON.
    """

    id: str
    created_at: float
    service_version: str
    manifest: ManifestFacts
    options: dict[str, Any]
    format: int = FORMAT

    @classmethod
    def read(cls, store: ByteStore) -> RunRecord | None:
        """The record of the run in ``store``; ``None`` if there is none.

        Raises:
            RunRefused: It can't be read, or a newer version of this service wrote it.
            NotReady: Storage is away.
        """
        data = store.get(NAME)
        if data is None:
            return None
        try:
            said = json.loads(data)
            if isinstance(said, dict) and isinstance(said.get("format"), int):
                _refuse_newer(said["format"])
            return _ADAPTER.validate_python(said)
        # ``ValidationError`` is a ``ValueError``, as are those of JSON and of characters.
        except (ValueError, RecursionError) as error:
            raise RunRefused(
                f"`{NAME}` in the output folder can't be read. Choose another output folder, or "
                "put back what it was."
            ) from error

    def write(self, store: ByteStore) -> None:
        """Put the record into ``store``. Raises ``NotReady`` if storage is full or away."""
        store.put(NAME, f"{json.dumps(asdict(self), indent=2)}\n".encode())


_ADAPTER = TypeAdapter(RunRecord)


def require_same(before: RunRecord, now: RunRecord) -> None:
    """Raise ``RunRefused`` unless ``now`` would go on with what ``before`` began.

    Its manifest and options must be the same; how many of its rows are invalid was settled
    when it began, and versions may differ as far as the options don't tell.
    """
    lines = [
        *_other_manifest(before.manifest, now.manifest),
        *differences(before.options, now.options),
    ]
    if not lines:
        return
    more = len(lines) - _MOST_LINES
    shown = lines[:_MOST_LINES] + ([f"and {more} more"] if more > 0 else [])
    told = "\n".join(f"  {line}" for line in shown)
    raise RunRefused(
        f"The output folder holds a run that was started otherwise:\n{told}\n"
        "Choose another output folder, or run it as it was started."
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for each value that differs, by its path, such as "`a.b` was 2, is 3".

    Both are nested JSON; lists are compared as a whole. Lines are sorted by path.
    """
    was, given = dict(_flat(_as_json(before))), dict(_flat(_as_json(now)))
    return [
        _line(path, was.get(path, _ABSENT), given.get(path, _ABSENT))
        for path in sorted(was.keys() | given.keys())
        if was.get(path) != given.get(path)
    ]


_ABSENT = "not set"


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` as they come back from a file: tuples are lists, and enumerations text."""
    plain: dict[str, Any] = json.loads(json.dumps(values), parse_float=_number)
    return plain


def _number(text: str) -> float:
    """``2.0`` is ``2``: which of both is written depends on who wrote it."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths and texts of all values that are not objects with something in them."""
    if isinstance(value, dict) and (value or not path):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else name)
    else:
        yield path, json.dumps(value, ensure_ascii=False, sort_keys=True)


def _line(path: str, was: str, now: str) -> str:
    # Where long values begin alike, what differs is shown.
    pairs = enumerate(zip(was, now, strict=False))
    alike = next((i for i, (one, other) in pairs if one != other), min(len(was), len(now)))
    start = max(0, alike - _LONGEST // 3) if alike > _LONGEST // 2 else 0
    return f"`{path}` was {_shortened(was, start)}, is {_shortened(now, start)}"


def _shortened(text: str, start: int) -> str:
    if len(text) <= _LONGEST:
        return text
    cut = ("…" if start else "") + text[start:]
    return cut if len(cut) <= _LONGEST else cut[: _LONGEST - 1] + "…"


def _other_manifest(before: ManifestFacts, now: ManifestFacts) -> Iterator[str]:
    if (before.kind, before.digest, before.rows) == (now.kind, now.digest, now.rows):
        return
    was, given = (f"{it.kind}, {it.rows:,} rows, {it.digest[:12]}" for it in (before, now))
    yield f"the manifest was another one ({was}), is ({given})"


def _refuse_newer(written: int) -> None:
    if written > FORMAT:
        raise RunRefused(
            "The run in the output folder was started by a newer version of this service. Use "
            "that version, or choose another output folder."
        )
