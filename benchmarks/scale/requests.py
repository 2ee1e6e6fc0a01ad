"""Who asks for what, and when; and what became of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Kind:
    """Edits of one kind: ``rows`` is 2 with guidance, ``weight`` how often it is asked for.

    Only edits of one ``company`` may share a step.
    """

    steps: int
    rows: int = 1
    weight: float = 1.0
    company: str = ""


class Answer(StrEnum):
    """How a request was answered."""

    EDITED = "edited"
    JOINED = "joined"
    HIT = "hit"
    NEAR = "near"
    REFUSED = "refused"
    LOST = "lost"

    @property
    def served(self) -> bool:
        """Whether the client got its picture."""
        return self not in (Answer.REFUSED, Answer.LOST)


@dataclass(eq=False, slots=True)
class Request:
    """One request: ``at`` is its arrival in seconds, ``key`` its content, ``subject`` its image."""

    at: float
    kind: Kind
    key: int
    subject: int
    answer: Answer | None = None
    ended: float = 0.0

    @property
    def latency_s(self) -> float:
        return self.ended - self.at


def arrivals(
    seed: int,
    rate: float,
    seconds: float,
    kinds: Sequence[Kind],
    repeats: float = 0.0,
    recent: int = 1000,
) -> Iterator[Request]:
    """Independent arrivals, ``rate`` a second.

    A share ``repeats`` of them are one of the ``recent`` last different ones again.
    """
    draw = random.Random(seed)
    weights = [kind.weight for kind in kinds]
    known: list[tuple[Kind, int]] = []
    now, key = 0.0, 0
    while (now := now + draw.expovariate(rate)) < seconds:
        if known and draw.random() < repeats:
            kind, again = draw.choice(known)
            yield Request(now, kind, again, again)
            continue
        kind = draw.choices(kinds, weights)[0]
        known.append((kind, key))
        if len(known) > recent:
            known.pop(0)
        yield Request(now, kind, key, key)
        key += 1
