"""One try at an edit: the plan of it, before it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def forwards(num_inference_steps: int, true_cfg_scale: float) -> int:
    """Forward passes of the transformer: guidance takes two a step."""
    return num_inference_steps * (2 if true_cfg_scale > 1.0 else 1)


@dataclass(frozen=True, slots=True)
class AttemptPlan:
    """The ``number``-th try (from 1) and every parameter in which tries may differ.

    ``few_step`` makes it a draft by the few-step model. ``against`` is the failed check that it
    answers and ``remedies`` what is done about it, by name; both are empty for the first.
    """

    number: int
    seed: int
    prompt: str
    true_cfg_scale: float
    num_inference_steps: int
    few_step: bool = False
    against: str | None = None
    remedies: tuple[str, ...] = ()

    @property
    def forwards(self) -> int:
        """Forward passes of the transformer."""
        return forwards(self.num_inference_steps, self.true_cfg_scale)

    def to_json(self) -> dict[str, Any]:
        """What was planned, for the result's record."""
        planned: dict[str, Any] = {
            "attempt": self.number,
            "seed": self.seed,
            "prompt": self.prompt,
            "true_cfg_scale": self.true_cfg_scale,
            "num_inference_steps": self.num_inference_steps,
            "few_step": self.few_step,
        }
        if self.against is not None:
            planned |= {"against": self.against, "remedies": list(self.remedies)}
        return planned
