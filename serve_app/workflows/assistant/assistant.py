"""Planning a brief: by the model, where it answers sanely, and by rules everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from serve_app.edits.question import Ask, Question, Reply
from serve_app.errors import EditServiceError
from serve_app.workflows.assistant.brand_set import brand_set
from serve_app.workflows.assistant.chain import chain
from serve_app.workflows.assistant.kinds import choose_kind
from serve_app.workflows.assistant.passage import Passage
from serve_app.workflows.assistant.proposal import Brief, Notes, PlanKind, Proposal
from serve_app.workflows.assistant.questions import (
    kind_of,
    kind_question,
    list_question,
    listed_in,
)
from serve_app.workflows.assistant.variants import variants

_Make = Callable[[Brief, Passage, Sequence[str], Notes], dict[str, Any]]

_MAKERS: dict[PlanKind, _Make] = {
    PlanKind.CHAIN: chain,
    PlanKind.VARIANTS: variants,
    PlanKind.BRAND_SET: brand_set,
}


def propose(brief: Brief) -> Proposal:
    """Plan ``brief`` by the rules; the same brief has the same proposal.

    Raises:
        InvalidRequest: If there are too many instructions, or one is too long.
    """
    notes = Notes()
    choice = choose_kind(brief, Passage.of(brief.text))
    notes.reasons.append(choice.reason)
    specification = _made(choice.kind, brief, (), notes)
    return Proposal(choice.kind, specification, tuple(notes.reasons), tuple(notes.questions))


async def plan(brief: Brief, ask: Ask) -> Proposal:
    """Plan ``brief`` with the help of a model that ``ask`` reaches, or without.

    The model is asked for the kind, unless the brief has one or its targets decide it, and then
    for the instructions. If it answers neither, the rules' proposal stands as ``propose`` makes
    it. If it gave an answer, and that one is not sane or the next one is missing, the rules'
    proposal stands, too, and says so in its reasons.

    Raises:
        InvalidRequest: As ``propose``.
    """
    given = PlanKind.BRAND_SET if brief.targets and brief.kind is None else brief.kind
    kind = given
    if kind is None:
        reply = await _answer(ask, kind_question(brief.text))
        if reply is None:
            return propose(brief)
        kind = kind_of(reply)
        if kind is None:
            return _without_the_model(brief, "named no kind")
    reply = await _answer(ask, list_question(brief.text, kind))
    if reply is None:
        if given is not None:
            return propose(brief)
        return _without_the_model(brief, f"said {kind} and then listed no instructions")
    listed = listed_in(reply, brief.text, kind)
    if listed is None:
        return _without_the_model(brief, "listed no instructions that can be trusted")
    notes = Notes()
    if given is None:
        notes.reasons.append(f"The model says that the brief asks for kind {kind}.")
    else:
        notes.reasons.append(choose_kind(brief, Passage.of(brief.text)).reason)
    notes.reasons.append("The model listed the instructions: read them before you submit the job.")
    specification = _made(kind, brief, listed, notes)
    return Proposal(kind, specification, tuple(notes.reasons), tuple(notes.questions), "model")


def _made(kind: PlanKind, brief: Brief, listed: Sequence[str], notes: Notes) -> dict[str, Any]:
    specification = _MAKERS[kind](brief, Passage.of(brief.text), listed, notes)
    if brief.brand is not None and kind is not PlanKind.BRAND_SET:
        notes.questions.append(
            f"`brand` is in no prompt: a job of kind {kind} has no brand elements. Say colours and "
            "style in the prompts, or ask for kind brand_set."
        )
    return specification


def _without_the_model(brief: Brief, why: str) -> Proposal:
    proposal = propose(brief)
    said = f"The model was asked, but {why}: this is what the rules say."
    return replace(proposal, reasons=(said, *proposal.reasons))


async def _answer(ask: Ask, question: Question) -> Reply | None:
    """The reply to ``question``; ``None`` where the model can't be asked, or has no answer."""
    try:
        return await ask(question)
    except EditServiceError:
        return None
