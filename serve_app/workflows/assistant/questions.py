"""What the loaded model is asked about a brief, and which of its answers can be used."""

from __future__ import annotations

import re

from serve_app.edits.question import Question, Reply
from serve_app.edits.quotations import quotations
from serve_app.edits.rewriting import language_of
from serve_app.workflows.assistant.proposal import MOST_EDITS, PlanKind

KIND_TOKENS = 8
LIST_TOKENS = 512

_SHORTEST, _LONGEST = 3, 500
"""Characters of one instruction."""

_KIND = re.compile(r"[a-z_]+")
_BULLET = re.compile(r"^(?:[-*•·]|\(?\d{1,2}[.):、])\s*")
_SPECIAL = re.compile(r"<\|[^|>]{0,40}\|>")

_WHAT = {
    PlanKind.CHAIN: "the edits, in their order",
    PlanKind.VARIANTS: "the variants that are compared, each as a whole edit",
    PlanKind.BRAND_SET: "the variations of the picture, each as a whole edit, without formats",
}


def kind_question(brief: str) -> Question:
    """Ask for the kind of workflow in one word."""
    return Question(
        "Which workflow does this brief for editing a picture ask for?"
        "\nchain: one or several edits, one after the other."
        "\nvariants: several versions of the picture, to be compared in a test."
        "\nbrand_set: the picture in several formats or sizes, for a brand or for platforms."
        f"\n\nBrief: {' '.join(brief.split())}\n\nAnswer with one word.",
        max_tokens=KIND_TOKENS,
    )


def kind_of(reply: Reply) -> PlanKind | None:
    """The one kind that ``reply`` names; ``None`` if it names none or several."""
    named = {word for word in _KIND.findall(reply.text.casefold()) if word in set(PlanKind)}
    return PlanKind(named.pop()) if len(named) == 1 else None


def list_question(brief: str, kind: PlanKind) -> Question:
    """Ask for the separate instructions, one per line."""
    return Question(
        f"List what this brief for editing a picture asks for: {_WHAT[kind]}. Write one "
        f"instruction per line, at most {MOST_EDITS}. Keep the brief's language, keep every quoted "
        "text exactly, and add nothing of your own."
        f"\n\nBrief: {' '.join(brief.split())}",
        max_tokens=LIST_TOKENS,
    )


def listed_in(reply: Reply, brief: str, kind: PlanKind) -> list[str] | None:
    """The instructions of a ``reply`` to ``list_question``, if they can be trusted.

    ``None`` if there are none or more than ``MOST_EDITS``, one of variants, the same twice, one
    of an odd length or in another language, if a text that ``brief`` quotes is lost, or if a
    special token is spelled.
    """
    lines = [_BULLET.sub("", line.strip()).strip() for line in reply.text.splitlines()]
    lines = [line for line in lines if line]
    sane = (
        1 <= len(lines) <= MOST_EDITS
        and not (kind is PlanKind.VARIANTS and len(lines) == 1)
        and len(set(lines)) == len(lines)
        and all(_SHORTEST <= len(line) <= _LONGEST for line in lines)
        and all(language_of(line) == language_of(brief) for line in lines)
        and all(any(quoted.text in line for line in lines) for quoted in quotations(brief))
        and not _SPECIAL.search(reply.text)
    )
    return lines if sane else None
