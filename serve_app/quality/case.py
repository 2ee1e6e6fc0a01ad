"""What a judge is given."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.edits.request import EditType
from serve_app.edits.text_targets import NO_TEXT, TextTargets
from serve_app.images.masks import Editable
from serve_app.images.pixels import RGB
from serve_app.quality.opinion import Opinion


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """``edited`` as an edit of ``original``, both (height, width, 3) uint8 sRGB.

    They may differ in size. ``finite`` is what the engine says of its numbers. ``mask``
    (height, width), at the original's size, is where the edit could change it. ``prompt`` is
    the instruction, if it is known, and ``text`` the words it is about. ``opinion`` is a
    judge model's, if one was asked.
    """

    original: RGB
    edited: RGB
    edit_type: EditType
    finite: bool = True
    mask: Editable | None = None
    prompt: str = ""
    text: TextTargets = NO_TEXT
    opinion: Opinion | None = None
