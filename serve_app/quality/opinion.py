"""Whether the instruction was followed, by a model that looks at both pictures.

Pixels can't tell: an ordinary check sees that something changed, not that it is what was asked.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from serve_app.quality.case import Case

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """One question that was put to the model, and how sure it is of its ``yes``, 0 to 1."""

    question: str
    yes: float


@dataclass(frozen=True, slots=True)
class Opinion:
    """``score`` (0 to 1, larger is better) passes from ``threshold`` on; ``judge`` names who."""

    judge: str
    score: float
    threshold: float
    answers: tuple[Answer, ...] = ()


class InstructionJudge(Protocol):
    """Says whether the instruction of a case was followed."""

    async def opinion(self, case: Case) -> Opinion | None:
        """Judge ``case``; ``None`` if it has no instruction, or none that this judge can judge.

        Whatever it raises means that there is no opinion.
        """


async def with_opinion(
    case: Case, judge: InstructionJudge | None, patience_s: float | None
) -> Case:
    """Return ``case`` with what ``judge`` says within ``patience_s`` seconds, or as it is."""
    if judge is None:
        return case
    try:
        async with asyncio.timeout(patience_s):
            return replace(case, opinion=await judge.opinion(case))
    except Exception as error:  # noqa: BLE001 - an edit can do without an opinion
        # Without the message: a library may quote the instruction in it.
        logger.warning("an edit is judged without an opinion: %s", type(error).__name__)
        return case
