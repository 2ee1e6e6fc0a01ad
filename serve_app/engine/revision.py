"""Names the weights of a local folder, as a commit names those of the hub."""

from __future__ import annotations

import hashlib
from pathlib import Path

_WEIGHTS_AND_SETTINGS = frozenset({".safetensors", ".json", ".txt", ".jinja", ".model"})
_BLOCK = 2**20
_BLOCKS = 64


def folder_revision(folder: Path) -> str:
    """Name the weights of a local folder: SHA-256 over its weights and settings.

    Small files are read whole; of larger ones the size and 64 blocks of 1 MiB, evenly
    spread, so that a change anywhere but in a few layers shows. Hashing 57 GB would take
    minutes at every start.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.suffix not in _WEIGHTS_AND_SETTINGS or any(p.startswith(".") for p in name.parts):
            continue
        _update(digest, name.as_posix(), path)
    return f"local-{digest.hexdigest()[:16]}"


def file_revision(path: Path) -> str:
    """Name one file of weights by its content, sampled in the same way: 16 hex digits."""
    digest = hashlib.sha256()
    _update(digest, "", path)
    return digest.hexdigest()[:16]


def _update(digest: hashlib._Hash, name: str, path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{name}:{size}:".encode())
    with path.open("rb") as file:
        for offset in _sampled_offsets(size):
            file.seek(offset)
            digest.update(file.read(_BLOCK))


def _sampled_offsets(size: int) -> list[int]:
    blocks = -(-size // _BLOCK)
    if blocks <= _BLOCKS:
        return [_BLOCK * i for i in range(blocks)]
    # The first holds the safetensors header, the last one the file's end.
    return [round(i * (size - _BLOCK) / (_BLOCKS - 1)) for i in range(_BLOCKS)]
