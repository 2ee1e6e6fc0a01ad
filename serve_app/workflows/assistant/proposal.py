"""What is asked of the assistant and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

IMAGE = "@image"
"""The part of a multipart request that holds the picture, unless a brief names a stored one."""

MOST_EDITS = 20
"""Steps, variants or variations of one proposal: more than somebody would read and edit."""


class PlanKind(StrEnum):
    """The workflows that can be proposed, as the ``kind`` of a job names them."""

    CHAIN = "chain"
    VARIANTS = "variants"
    BRAND_SET = "brand_set"


@dataclass(frozen=True, slots=True)
class Brief:
    """A brief and what came with it, all of it valid.

    ``brand`` and ``targets`` are as a job of kind ``brand_set`` takes them. ``formats`` are the
    names of the targets that are configured. ``kind`` is ``None`` where the assistant chooses;
    no prompt has more than ``prompt_characters``, and no size that the text names more than
    ``pixels``.
    """

    text: str
    formats: tuple[str, ...]
    image: str = IMAGE
    brand: Mapping[str, Any] | None = None
    targets: tuple[Any, ...] = ()
    kind: PlanKind | None = None
    prompt_characters: int = 4_000
    pixels: int = 40_000_000


@dataclass(frozen=True, slots=True)
class Proposal:
    """A job to read, change and submit; nothing of it has been run.

    ``specification`` is a body of ``POST /v1/jobs``. ``reasons`` say, a sentence each, what was
    decided and what was guessed; ``questions`` what the author of the brief should decide or
    check. ``by`` tells who found the kind and the instructions.
    """

    kind: PlanKind
    specification: dict[str, Any]
    reasons: tuple[str, ...]
    questions: tuple[str, ...] = ()
    by: Literal["rules", "model"] = "rules"

    def to_json(self) -> dict[str, Any]:
        """The answer of ``POST /v1/plan``."""
        return {
            "kind": str(self.kind),
            "specification": self.specification,
            "reasons": list(self.reasons),
            "by": self.by,
            "questions": list(self.questions),
        }


@dataclass(frozen=True, slots=True)
class Notes:
    """Reasons and questions, collected while a proposal is made."""

    reasons: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
