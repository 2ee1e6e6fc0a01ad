"""A brand set: every variation that the brief names, in every format that it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from serve_app.edits.rewriting import Language, language_of
from serve_app.workflows.assistant.alternatives import alternatives_of
from serve_app.workflows.assistant.brand import BRAND_PHRASE, brand_of
from serve_app.workflows.assistant.format_words import FORMAT_PHRASE
from serve_app.workflows.assistant.formats import targets_of
from serve_app.workflows.assistant.instructions import sentences_of
from serve_app.workflows.assistant.naming import names_of
from serve_app.workflows.assistant.passage import Passage, joined
from serve_app.workflows.assistant.prompts import kept_subject, prompt_of
from serve_app.workflows.assistant.proposal import MOST_EDITS, Brief, Notes, PlanKind
from serve_app.workflows.assistant.vocabulary import asks_for_change, only_asks_for_pictures

_AND_FIRST = re.compile(r"(?:^|(?<=[.!?\n]))[\s,]{0,3}(?:and then|and|then)\s", re.IGNORECASE)
"""What is left between formats and an instruction: "Resize for Instagram and add a hat"."""

_ROOM_FOR_BRAND = 1_000
"""Characters of a prompt that are left to what the template says of the brand."""


def brand_set(
    brief: Brief, passage: Passage, listed: Sequence[str], notes: Notes
) -> dict[str, Any]:
    """Make a brand set; its variations are the ideas of ``passage``, or what is ``listed``."""
    most = max(brief.prompt_characters // 2, brief.prompt_characters - _ROOM_FOR_BRAND)
    if listed:
        prompts, names = list(listed[:MOST_EDITS]), names_of(listed[:MOST_EDITS])
    else:
        prompts, names = _variations(passage, language_of(brief.text), most, notes)
    brand = brand_of(brief, passage, notes)
    targets = targets_of(brief, passage, notes)
    notes.reasons.append(
        "Each format is cropped where what stands out stays whole, and padded elsewhere: fit auto."
    )
    specification: dict[str, Any] = {
        "kind": str(PlanKind.BRAND_SET),
        "image": brief.image,
        "brand": brand,
        "variations": [
            {"name": name, "prompt": prompt} for name, prompt in zip(names, prompts, strict=True)
        ],
        "targets": targets,
        "fit": "auto",
    }
    return specification


def _variations(
    passage: Passage, language: Language, most: int, notes: Notes
) -> tuple[list[str], list[str]]:
    """Prompts and names by the rules."""
    cleaned = passage.without(BRAND_PHRASE).without(FORMAT_PHRASE).without(_AND_FIRST).trimmed()
    found = alternatives_of(passage, cleaned)
    if found is not None:
        shared = [one for one in found.shared if asks_for_change(one)]
        prompts = [prompt_of(one.idea, shared, language, most) for one in found.ideas]
        if len(set(prompts)) == len(prompts):
            notes.reasons.append(
                f"The brief names {len(prompts)} ideas, {found.form}: a variation for each."
            )
            words = [one.words for one in found.ideas]
            return prompts, names_of(words, [one.name for one in found.ideas])
    said = [one for one in sentences_of(cleaned) if not only_asks_for_pictures(one)]
    wishes = [one for one in said if asks_for_change(one)]
    if wishes:
        notes.reasons.append("The brief names no alternatives: there is one variation.")
        return [prompt_of(wishes[-1], wishes[:-1], language, most)], ["main"]
    if sum(len(one.text) for one in said) >= _A_SUBJECT:
        notes.reasons.append("The brief says what to show, but no change: it is one variation.")
        notes.questions.append("What should change in the picture? Check the variation's prompt.")
        return [prompt_of(joined(*said, gap=". "), (), language, most)], ["main"]
    notes.reasons.append("The brief names formats and no change: the subject is kept.")
    notes.questions.append("What should change in the picture? Write it as the variation's prompt.")
    return [kept_subject(language)], ["main"]


_A_SUBJECT = 6
"""Characters that are left of a brief, its formats aside, when it says what to show."""
