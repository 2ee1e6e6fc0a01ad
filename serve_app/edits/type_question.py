"""Asking a model which kind of edit an instruction wants, where rules would guess."""

from __future__ import annotations

import re

from serve_app.edits.question import Question, Reply
from serve_app.edits.request import EditType

MAX_TOKENS = 8

_WORD = re.compile(r"[a-z]+")


def type_question(prompt: str) -> Question:
    """Ask for the edit type of ``prompt`` in one word."""
    return Question(
        "Which kind of image edit does this instruction ask for?"
        "\nsemantic: the whole picture changes, such as its style, viewpoint or character."
        "\nappearance: things are added, removed, replaced or recoloured, and the rest stays."
        "\ntext: words in the picture are added, changed or removed."
        "\nhybrid: several of these."
        f"\n\nInstruction: {' '.join(prompt.split())}\n\nAnswer with one word.",
        max_tokens=MAX_TOKENS,
    )


def edit_type_of(reply: Reply) -> EditType | None:
    """The one edit type that ``reply`` names; ``None`` if it names none or several."""
    named = {word for word in _WORD.findall(reply.text.casefold()) if word in set(EditType)}
    return EditType(named.pop()) if len(named) == 1 else None
