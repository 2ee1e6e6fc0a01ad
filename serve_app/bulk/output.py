"""Where the results of rows are: named by the rows' ids, so that doing one again replaces it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from serve_app.edits.result import EditResult
from serve_app.storage.byte_store import ByteStore

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_READABLE = 60
_DIGITS = 16


def row_name(row_id: str) -> str:
    """What the files of a row are called, below a folder of two hex digits.

    The readable part is for people alone: the digits, of the SHA-256 of the id, tell rows
    apart, and nothing of an id can lead out of the folder.
    """
    digest = hashlib.sha256(row_id.encode()).hexdigest()[:_DIGITS]
    readable = _NOT_IN_NAMES.sub("-", row_id).strip(".-")[:_READABLE]
    return f"{digest[:2]}/{readable}-{digest}" if readable else f"{digest[:2]}/{digest}"


class RowOutput:
    """The output folder as rows write to it."""

    def __init__(self, store: ByteStore) -> None:
        self._store = store

    def put(self, row_id: str, result: EditResult) -> tuple[str, str]:
        """Write image and record of a row; returns where they are, below the output folder.

        Raises ``NotReady`` when the storage is full or away.
        """
        name = row_name(row_id)
        image, record = f"images/{name}.png", f"records/{name}.json"
        self._store.put(image, result.png)
        self._store.put(record, _encoded({**result.metadata, "row_id": row_id}))
        return image, record


class NotByTheWorkflow:
    """The workflow's ``Results``: each row's result is written when the row is committed.

    Rows may share a result, and each has its own files.
    """

    async def put(self, result: EditResult) -> None:
        """Keep nothing."""


def _encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
