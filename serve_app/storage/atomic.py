"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".tmp"
"""Ending of unfinished files; one that is older than its process is rubbish."""


@contextmanager
def writing_atomically(path: Path, *, durable: bool) -> Iterator[BinaryIO]:
    """A file to write to, which is at ``path`` once the body has ended; creates its folder.

    Readers see the old file or the new one, never a part, and a failure leaves no
    temporary file. ``durable`` also waits until the bytes are on the disk, so that a power
    cut can't leave an empty file under the final name. Raises ``OSError``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("xb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        # Gone already after the rename; and a failing clean-up must not hide the cause.
        with suppress(OSError):
            temporary.unlink()


def write_atomically(path: Path, parts: Iterable[bytes], *, durable: bool) -> None:
    """Write ``parts`` one after the other to ``path``, as ``writing_atomically`` does."""
    with writing_atomically(path, durable=durable) as file:
        file.writelines(parts)
