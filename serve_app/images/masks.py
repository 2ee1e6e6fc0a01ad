"""Masks: which pixels of an image an edit may change."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Editable = NDArray[np.bool_]
"""Shape (height, width): true where the edit may change the image."""


@dataclass(frozen=True, slots=True, eq=False)
class EditMask:
    """Where an image may change, at the image's own size, named by its content."""

    editable: Editable
    id: str

    @classmethod
    def of(cls, editable: Editable) -> EditMask:
        """Name ``editable`` by its content: SHA-256 over its size and its bits."""
        height, width = editable.shape
        digest = hashlib.sha256(f"mask:{width}x{height}:".encode())
        digest.update(np.packbits(editable).data)
        return cls(editable, f"mask-{digest.hexdigest()}")
