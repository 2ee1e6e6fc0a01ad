"""Variants for a test: one per idea that the brief compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serve_app.edits.rewriting import language_of
from serve_app.workflows.assistant import metrics
from serve_app.workflows.assistant.alternatives import Alternative, alternatives_of
from serve_app.workflows.assistant.chain import described
from serve_app.workflows.assistant.comparing import TEST_PHRASE, subject_of
from serve_app.workflows.assistant.format_words import FORMAT_PHRASE
from serve_app.workflows.assistant.instructions import finished
from serve_app.workflows.assistant.naming import names_of
from serve_app.workflows.assistant.passage import Passage
from serve_app.workflows.assistant.prompts import prompt_of, subtle_and_bold
from serve_app.workflows.assistant.proposal import MOST_EDITS, Brief, Notes, PlanKind
from serve_app.workflows.assistant.vocabulary import asks_for_change


def variants(brief: Brief, passage: Passage, listed: Sequence[str], notes: Notes) -> dict[str, Any]:
    """Make a variant of each idea in ``passage``, or of each instruction that is ``listed``.

    A lone idea is tested against itself: once subtle, once bold; a question asks for better.
    """
    cleaned = passage.without(metrics.PHRASE).without(TEST_PHRASE).trimmed()
    if listed:
        prompts, names = list(listed[:MOST_EDITS]), names_of(listed[:MOST_EDITS])
    else:
        prompts, names = _found(brief, passage, cleaned, notes)
    metric, why = metrics.metric_of(passage)
    notes.reasons.append(why)
    notes.questions.append(
        "What should each variant prove? Say it in its `hypothesis` before the test begins."
    )
    if FORMAT_PHRASE.search(passage.masked):
        notes.questions.append(
            "The brief names formats, too: a test has none. Ask for kind brand_set with the "
            "winner once it is known."
        )
    return {
        "kind": str(PlanKind.VARIANTS),
        "image": brief.image,
        "variants": {
            name: {"prompt": prompt, "description": described(prompt)}
            for name, prompt in zip(names, prompts, strict=True)
        },
        "success_metric": metric,
    }


def _found(
    brief: Brief, passage: Passage, cleaned: Passage, notes: Notes
) -> tuple[list[str], list[str]]:
    """Prompts and names by the rules."""
    most, language = brief.prompt_characters, language_of(brief.text)
    found = alternatives_of(passage, cleaned)
    if found is None:
        idea = finished(cleaned) if cleaned.says_something else passage.trimmed()
        prompts = [prompt_of(idea, (), language, most)]
    else:
        shared = [one for one in found.shared if asks_for_change(one)]
        subject = subject_of(passage)
        ideas: dict[str, Alternative] = {}
        for one in found.ideas:
            ideas.setdefault(prompt_of(one.idea, shared, language, most, subject), one)
        prompts = list(ideas)
        if len(prompts) > 1:
            notes.reasons.append(
                f"The brief compares {len(prompts)} ideas, {found.form}: a variant for each."
            )
            if shared:
                notes.reasons.append("What the brief asks for besides is in every variant.")
            words = [one.words for one in ideas.values()]
            return prompts, names_of(words, [one.name for one in ideas.values()])
    notes.reasons.append(
        "The brief has one idea: the variants are the same instruction, once carried out with "
        "restraint and once boldly."
    )
    notes.questions.append("What should the idea be tested against? Replace the second variant.")
    return [*subtle_and_bold(prompts[0], most)], ["subtle", "bold"]
