"""Puts a change into words, in English, Chinese or Korean, in one of many wordings."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from serve_app.engine.miniature.drawing import Background
from serve_app.engine.miniature.phrases import BEYOND, BEYOND_HELD_OUT, WORDINGS
from serve_app.engine.miniature.vocabulary import (
    BACKGROUND_NAMES,
    COLOUR_NAMES,
    PATTERN_NAMES,
    PLACE_NAMES,
    SHAPE_NAMES,
    Language,
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What tells an object from the others of its scene."""

    shape: str
    colour: str


@dataclass(frozen=True, slots=True)
class Change:
    """What an instruction asks for; only what its ``kind`` needs is set."""

    kind: str
    subject: Subject | None = None
    other: Subject | None = None
    colour: str | None = None
    place: int | None = None
    background: Background | None = None
    bigger: bool | None = None
    style: str | None = None
    word: str | None = None


def word_instruction(
    random: Random, change: Change, language: Language, *, held_out: bool = False
) -> str:
    """Word ``change`` in one of the wordings of its kind, drawn with ``random``.

    ``held_out`` takes what is beyond the vocabulary from phrases that training never says.
    """
    if change.kind == "other":
        return random.choice((BEYOND_HELD_OUT if held_out else BEYOND)[language])
    wording = random.choice(WORDINGS[language][_wording_kind(change)])
    text = wording.format(**_names(random, change, language))
    if language == "ko":
        return with_particles(text)
    return text.replace("a orange", "an orange") if language == "en" else text


def _wording_kind(change: Change) -> str:
    match change:
        case Change(kind="resize", bigger=bigger):
            return "bigger" if bigger else "smaller"
        case Change(kind="style", style=str(style)):
            return style
    return change.kind


def _names(random: Random, change: Change, language: Language) -> dict[str, str]:
    names = {}
    for role, subject in (("subject", change.subject), ("other", change.other)):
        if subject is not None:
            names[role] = _subject_name(random, subject, language)
    if change.colour is not None:
        names["colour"] = COLOUR_NAMES[change.colour].in_(language)
    if change.place is not None:
        names["place"] = PLACE_NAMES[change.place].in_(language)
    if change.background is not None:
        names["background"] = _background_name(change.background, language)
    if change.word is not None:
        names["word"] = change.word
    return names


def _subject_name(random: Random, subject: Subject, language: Language) -> str:
    colour = COLOUR_NAMES[subject.colour].in_(language)
    shape = SHAPE_NAMES[subject.shape].in_(language)
    if language == "zh":
        return colour + random.choice(("", "的")) + shape
    return f"{colour} {shape}"


def _background_name(background: Background, language: Language) -> str:
    colour = BACKGROUND_NAMES[background.colour].in_(language)
    pattern = PATTERN_NAMES[background.pattern].in_(language)
    match language, background.pattern:
        case "zh", "plain":
            return pattern + colour
        case "zh", _:
            return colour + pattern
        case _, "plain":
            return f"{pattern} {colour}"
        case "en", "gradient":
            return f"a {colour} {pattern}"
        case _:
            return f"{colour} {pattern}"


def with_particles(text: str) -> str:
    """Choose between Korean particles, written ``[after consonant/after vowel]``.

    After Latin letters the vowel form stands, as is usual where the reading is open.
    """
    head, *rest = text.split("[")
    for part in rest:
        choice, after = part.split("]", 1)
        consonant, vowel = choice.split("/")
        head += (consonant if _closed(head, consonant) else vowel) + after
    return head


def _closed(before: str, particle: str) -> bool:
    """Whether the last syllable ends in a consonant that asks for the first form."""
    last = ord(before[-1]) - 0xAC00
    if not 0 <= last < 11172:
        return False
    final = last % 28
    rieul = 8
    return final != 0 and not (particle == "으로" and final == rieul)
