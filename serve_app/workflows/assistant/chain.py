"""A chain: one step per instruction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from serve_app.edits.classification import Classification, classify
from serve_app.edits.request import EditType
from serve_app.errors import InvalidRequest
from serve_app.workflows.assistant.instructions import Instructions, instructions_of
from serve_app.workflows.assistant.passage import Passage
from serve_app.workflows.assistant.proposal import MOST_EDITS, Brief, Notes, PlanKind

_DESCRIBED = 80
"""Characters of a step's description: a line in a list of steps."""

# A rule of text edits has spent the verb, so that ``takes_away`` doesn't see it.
_REMOVES = re.compile(
    r"^(?:please )?(?:remove|delete|erase|get rid of|clear)\b"
    r"|(?:去掉|去除|删除|删掉|移除|擦除|擦掉|抹去|抹掉|消除)|(?:지워|지우|제거|삭제|없애)",
    re.IGNORECASE,
)

_Step = tuple[str, Classification]


def chain(brief: Brief, passage: Passage, listed: Sequence[str], notes: Notes) -> dict[str, Any]:
    """Make a chain of the instructions of ``passage``, or of those that are ``listed``.

    The order is the user's, but for one rule: an edit of the style redraws letters, so that words
    are written after it. Where the brief itself says in which order, it stays and a question is
    asked.

    Raises:
        InvalidRequest: If there are more than ``MOST_EDITS`` instructions.
    """
    found = instructions_of(passage)
    prompts = list(listed) or [step.line for step in found.steps]
    if len(prompts) > MOST_EDITS:
        raise InvalidRequest(
            f"`brief` has {len(prompts)} instructions. Shorten it, or split it up: a chain of more "
            f"than {MOST_EDITS} edits is not proposed.",
            "brief",
        )
    steps = [(prompt, classify(prompt)) for prompt in prompts]
    if not listed:
        _tell_what_was_left_out(found, notes)
    count = "one instruction" if len(steps) == 1 else f"{len(steps)} instructions"
    notes.reasons.append(f"The brief has {count}: a step for each, in the order of the brief.")
    steps = _in_order(steps, found.ordered, notes)
    for number, (_, kind) in enumerate(steps, 1):
        notes.reasons.append(f"Step {number} is of type {kind.edit_type}. {kind.reason}")
    notes.reasons.append("The chain stops at a step that fails: later steps build on it.")
    return {
        "kind": str(PlanKind.CHAIN),
        "image": brief.image,
        "steps": [
            {
                "description": described(prompt),
                "prompt": prompt,
                "edit_type": str(kind.edit_type),
            }
            for prompt, kind in steps
        ],
        "on_failure": "stop",
    }


def described(prompt: str) -> str:
    """The beginning of ``prompt`` in one line."""
    line = " ".join(prompt.split())
    if len(line) <= _DESCRIBED:
        return line
    return line[: _DESCRIBED - 1].rpartition(" ")[0].strip() + "…"


def _in_order(steps: list[_Step], ordered: bool, notes: Notes) -> list[_Step]:
    """Move steps that write words behind the last one that changes the style."""
    styles = [at for at, (_, kind) in enumerate(steps) if kind.edit_type is EditType.SEMANTIC]
    if not styles:
        return steps
    last = styles[-1]
    early = [step for step in steps[:last] if _writes(step)]
    if not early:
        return steps
    if ordered:
        notes.questions.append(
            "The brief says that words are written before the style changes, which redraws "
            "letters. Should the words be written last?"
        )
        return steps
    notes.reasons.append(
        "The steps that write words are moved behind the change of style, which would redraw "
        "their letters; the brief names no order."
    )
    kept = [step for step in steps[:last] if not _writes(step)]
    return [*kept, steps[last], *early, *steps[last + 1 :]]


def _writes(step: _Step) -> bool:
    prompt, kind = step
    return kind.edit_type is EditType.TEXT and _REMOVES.search(prompt) is None


def _tell_what_was_left_out(found: Instructions, notes: Notes) -> None:
    if not found.others:
        return
    left_out = "; ".join(f"“{described(one.line)}”" for one in found.others[:5])
    more = len(found.others) - 5
    notes.reasons.append(
        f"What asks for no change is in no step: {left_out}"
        + (f" and {more} more." if more > 0 else ".")
    )
