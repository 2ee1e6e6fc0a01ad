"""Instructions as users type them, made safe and comparable."""

from __future__ import annotations

import re
import unicodedata

# Controls but tab and newline; halves of characters that UTF-8 can't carry.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# Embeddings, overrides and isolates make text read otherwise than it is. Right-to-left
# scripts don't need them: letters carry their direction, and the plain marks (U+200E,
# U+200F, U+061C) are accepted. Refused, not removed: the prompt that is kept with the
# result is the one that was sent.
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")

# NFC makes one character of four at most: longer text is refused without looking closer.
_NFC_SHRINKS = 4


def clean_text(text: str, max_characters: int) -> str:
    """``text`` in NFC with plain newlines, stripped.

    Raises:
        ValueError: With what the text must be, to follow the name of its field.
    """
    too_long = ValueError(f"must have at most {max_characters} characters")
    if len(text) > max_characters * _NFC_SHRINKS:
        raise too_long
    text = text.replace("\r\n", "\n")
    if _FORBIDDEN.search(text):
        raise ValueError("must not contain control characters or unpaired surrogates")
    if found := _BIDI.search(text):
        raise ValueError(f"must not contain the bidirectional control U+{ord(found[0]):04X}")
    text = unicodedata.normalize("NFC", text.strip())
    if len(text) > max_characters:
        raise too_long
    return text


def clean_prompt(text: str, max_characters: int) -> str:
    """``clean_text`` that is not empty."""
    text = clean_text(text, max_characters)
    if not text:
        raise ValueError("must not be empty")
    return text
