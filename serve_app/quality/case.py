"""What a judge is given."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.edits.request import EditType
from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """``edited`` as an edit of ``original``, both (height, width, 3) uint8 sRGB.

    They may differ in size. ``finite`` is what the engine says of its numbers. ``mask``
    (height, width), at the original's size, is where the edit could change it.
    """

    original: RGB
    edited: RGB
    edit_type: EditType
    finite: bool = True
    mask: Editable | None = None
