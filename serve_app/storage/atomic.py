"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"
"""Ending of unfinished files; one that is older than its process is rubbish."""


def write_atomically(path: Path, parts: Iterable[bytes], *, durable: bool) -> None:
    """Write ``parts`` one after the other to ``path``, creating its folder.

    Readers see the old file or the new one, never a part, and a failure leaves no
    temporary file. ``durable`` also waits until the bytes are on the disk, so that a power
    cut can't leave an empty file under the final name. Raises ``OSError``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("xb") as file:
            file.writelines(parts)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        # Gone already after the rename; and a failing clean-up must not hide the cause.
        with suppress(OSError):
            temporary.unlink()
