"""Which check applies to which edit type, and what it may decide.

A row is a check: how it measures, how grave a miss is per edit type, and what to tell the
user. Order is rank: the reasons of a report come in the order of the table. A new check is
a function from ``Subject`` to ``Measurement`` and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from serve_app.edits.request import EditType
from serve_app.quality import collapse, fidelity, no_op
from serve_app.quality.subject import Measurement, Subject


class Severity(StrEnum):
    """What missing a check means; an edit type that a row does not name is not checked."""

    HARD = "hard"  # the edit is rejected
    WARN = "warn"  # the edit passes with a reason
    INFO = "info"  # only a figure


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. ``advice`` is shown to users if the check is missed or left open."""

    name: str
    measure: Callable[[Subject], Measurement]
    severity: Mapping[EditType, Severity]
    advice: str = ""


def _instruction(subject: Subject) -> Measurement:  # noqa: ARG001  one shape for all checks
    return Measurement(None, evidence={"reason": "no judge is configured"})


def _severity(
    *,
    appearance: Severity | None,
    text: Severity | None,
    semantic: Severity | None,
    hybrid: Severity | None,
) -> dict[EditType, Severity]:
    columns = {
        EditType.APPEARANCE: appearance,
        EditType.TEXT: text,
        EditType.SEMANTIC: semantic,
        EditType.HYBRID: hybrid,
    }
    return {edit_type: severity for edit_type, severity in columns.items() if severity}


HARD, WARN, INFO = Severity.HARD, Severity.WARN, Severity.INFO
INSTRUCTION = "instruction"

TABLE: tuple[Rule, ...] = (
    Rule(
        "finite",
        collapse.finite,
        _severity(appearance=HARD, text=HARD, semantic=HARD, hybrid=HARD),
        "The model's numbers overflowed; try another seed.",
    ),
    Rule(
        "collapse",
        collapse.collapse,
        _severity(appearance=HARD, text=HARD, semantic=HARD, hybrid=HARD),
        "The result is almost one flat colour, or noise; try another seed.",
    ),
    Rule(
        "no_op",
        no_op.no_op,
        # A few letters may change less than this check can see: only reading them decides.
        _severity(appearance=HARD, text=WARN, semantic=HARD, hybrid=HARD),
        "The result is the same as the original; try another seed, or say more exactly what "
        "to change.",
    ),
    Rule(
        INSTRUCTION,
        _instruction,
        _severity(appearance=HARD, text=HARD, semantic=HARD, hybrid=HARD),
        "Whether the instruction was followed was not checked; look at the result.",
    ),
    Rule("ssim", fidelity.ssim, _severity(appearance=INFO, text=INFO, semantic=INFO, hybrid=INFO)),
    Rule(
        "clarity",
        fidelity.clarity,
        _severity(appearance=INFO, text=INFO, semantic=INFO, hybrid=INFO),
    ),
)
