"""Ideas that share words which only one of them says: "a red or blue button"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from serve_app.workflows.assistant.passage import MARK, Passage, joined
from serve_app.workflows.assistant.vocabulary import instructs

_CARRIER = re.compile(
    r"^.{0,400}(?:\b(?:to say|to read|saying|to|into|with|in|as|on|at|by)\b ?"
    r"|换成|改成|变成|写成|写上|改为|换为|变为|为|成|用|을 |를 |은 |는 )",
    re.IGNORECASE | re.DOTALL,
)
"""Up to where an instruction is the same for all: "Change the background to"."""

_PREPOSITION = re.compile(r"(?:with|without|in|on|at|as) ", re.IGNORECASE)
_KO_OBJECT = re.compile(r"^.{1,40}?[가-힣][을를] ")
_ARTICLED = re.compile(r"^(?:an?|the) ", re.IGNORECASE)
_PARTICLE = re.compile(r"(?<=[가-힣\ue000])(?:을|를|은|는|중에서|중에|중)$")
_ZH_COLOUR = re.compile(r"色的?$")
_ZH_COLOURED = re.compile(r"^[^色]{1,4}色(的?[^色]{1,12})$")


def completed(ideas: Sequence[Passage]) -> list[Passage]:
    """Give each of ``ideas`` what it shares with the first or with the last.

    Where the first is an instruction and another is not, the other takes its place after the last
    preposition (or 换成, 을, …) of the first, or in place of its last word. Where none is an
    instruction, shorter ones take the words that follow the first word of the last
    ("red vs blue button"). Quoted words take the place of quoted words.
    """
    first, last = ideas[0], _without_particle(ideas[-1])
    all_ideas = [*ideas[:-1], last]
    if (quoted := _around_quotations(all_ideas)) is not None:
        return quoted
    if instructs(last) and not instructs(first) and _is_korean(last):
        return _before_the_verb(all_ideas)
    return [first if one is first else _after_first(first, one) for one in _headed(all_ideas)]


def _around_quotations(ideas: Sequence[Passage]) -> list[Passage] | None:
    """What is before the quotation of the first, and after that of the last, for all of them."""
    first, last = ideas[0], ideas[-1]
    opened = len(first.masked.rstrip(MARK))
    closed = len(last.masked) - len(last.masked.lstrip(MARK))
    between = [one.masked.strip(MARK) for one in ideas[1:-1]]
    if opened == len(first.masked) or closed == 0 or any(between):
        return None
    quoted = [first.part(opened), *ideas[1:-1], last.part(0, closed)]
    before, after = first.part(0, opened), last.part(closed)
    return [joined(before, one, after, gap="") for one in quoted]


def _after_first(first: Passage, other: Passage) -> Passage:
    acted_on = _KO_OBJECT.match(first.masked)
    lacks_object = instructs(other) and _is_korean(other) and not _KO_OBJECT.match(other.masked)
    if acted_on is not None and lacks_object:
        return joined(first.part(0, acted_on.end()), other, gap="")
    if not instructs(first) or instructs(other):
        return other
    carrier = _CARRIER.match(first.masked)
    if carrier is not None and _PREPOSITION.match(other.masked):
        return joined(first.part(0, len(carrier.group().rstrip().rpartition(" ")[0])), other)
    if carrier is not None:
        gap = "" if carrier.group().endswith(" ") or not first.masked.isascii() else " "
        return joined(first.part(0, carrier.end()), other, gap=gap)
    words = first.masked.rpartition(" ")
    return joined(first.part(0, len(words[0])), other) if words[1] else other


def _headed(ideas: Sequence[Passage]) -> list[Passage]:
    """Append what comes after the first word of the last idea to all that are one word."""
    last = ideas[-1]
    if any(instructs(one) for one in ideas):
        return list(ideas)
    coloured = _ZH_COLOURED.match(last.masked)
    if coloured is not None:
        head = last.part(coloured.start(1))
        return [
            joined(one, head, gap="") if _ZH_COLOUR.search(one.masked) else one for one in ideas
        ]
    own = _core(last)
    _, gap, rest = own.masked.partition(" ")
    if not gap or (" " in rest.strip() and _ARTICLED.match(last.masked) is None and len(rest) > 40):
        return list(ideas)
    head = own.part(len(own.masked) - len(rest))
    return [joined(one, head) if one is not last and _is_one_word(one) else one for one in ideas]


def _is_one_word(idea: Passage) -> bool:
    """Whether it is an adjective ("a red", 빨간색) and no quotation, which is whole."""
    own = _core(idea)
    return " " not in own.masked and MARK not in own.masked


def _before_the_verb(ideas: Sequence[Passage]) -> list[Passage]:
    """Korean: the last idea carries the verb, and what it acts on; others put in front of it."""
    last = ideas[-1]
    _, gap, verb = last.masked.partition(" ")
    if not gap:
        return list(ideas)
    tail = last.part(len(last.masked) - len(verb))
    return [one if one is last else joined(one, tail) for one in ideas]


def _is_korean(idea: Passage) -> bool:
    return re.search("[가-힣]", idea.masked) is not None


def _core(idea: Passage) -> Passage:
    articled = _ARTICLED.match(idea.masked)
    return idea if articled is None else idea.part(articled.end())


def _without_particle(idea: Passage) -> Passage:
    particle = _PARTICLE.search(idea.masked)
    return idea if particle is None else idea.part(0, particle.start())
