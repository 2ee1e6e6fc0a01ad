"""Which check applies to which edit type, from where on it warns or fails, and what to do then.

A row is a check. Its cells are limits per edit type: ``fail(x)`` rejects beyond x, ``warn(x)``
passes with a reason, ``limits(warn, fail)`` does both, ``INFO`` is only a figure, and an edit
type without a cell is not checked. Order is rank: the reasons of a report come in the order of
the table, and the first failure is the one that the next attempt answers.

A new check is a function from ``Subject`` to ``Measurement`` and a row here. Limits can be set
otherwise in ``QualityConfig.checks``. Those below were fitted by ``benchmarks.quality`` on
development photos, or are of the source that the check's module names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from serve_app.config import CheckLimits, EditTypeName
from serve_app.edits.request import EditType
from serve_app.errors import ConfigurationError
from serve_app.quality import (
    collapse,
    colour,
    extent,
    fidelity,
    instruction,
    lettering,
    no_op,
    periodicity,
    placement,
    preservation,
    texture,
)
from serve_app.quality.measurement import Measurement
from serve_app.quality.remedy import Remedy
from serve_app.quality.report import Direction
from serve_app.quality.subject import Subject

Limits = CheckLimits
Measure = Callable[[Subject], Measurement | None]
"""``None`` where the check does not apply: no mask, no text to look for."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row.

    ``advice`` is shown to users if the check is missed or left open; ``remedies`` are what
    the next attempts try, in this order, each with another seed.
    """

    name: str
    measure: Measure
    direction: Direction
    limits: Mapping[EditType, Limits]
    advice: str = ""
    remedies: tuple[Remedy, ...] = (Remedy.NEW_SEED,)


def fail(threshold: float) -> Limits:
    """Reject beyond ``threshold``."""
    return Limits(fail=threshold)


def warn(threshold: float) -> Limits:
    """Let pass with a reason beyond ``threshold``."""
    return Limits(warn=threshold)


def limits(warn: float, fail: float) -> Limits:
    """Warn beyond the first, reject beyond the second."""
    return Limits(warn=warn, fail=fail)


INFO = Limits()
_A, _T, _S, _H = EditType.APPEARANCE, EditType.TEXT, EditType.SEMANTIC, EditType.HYBRID
_AT_LEAST: Direction = "at_least"
_AT_MOST: Direction = "at_most"


def _all(cell: Limits) -> dict[EditType, Limits]:
    return dict.fromkeys(EditType, cell)


INSTRUCTION = "instruction"

_SEED, _REWRITE, _PLACE = Remedy.NEW_SEED, Remedy.REWRITE, Remedy.NAME_THE_PLACE
_LESS, _MORE, _STEPS = Remedy.LESS_GUIDANCE, Remedy.MORE_GUIDANCE, Remedy.MORE_STEPS
_QUOTE = Remedy.QUOTE_THE_TEXT

# fmt: off
TABLE: tuple[Rule, ...] = (
    Rule("finite", collapse.finite, _AT_LEAST, _all(fail(1)),
         "The model's numbers overflowed; try another seed."),
    Rule("collapse", collapse.collapse, _AT_LEAST, _all(fail(1)),
         "The result is almost one flat colour, or noise; try another seed."),
    Rule("no_op", no_op.no_op, _AT_LEAST,
         # A few letters may change less than this check can see: only reading them decides.
         {_A: fail(1), _T: warn(1), _S: fail(1), _H: fail(1)},
         "The result is the same as the original; try another seed, or say more exactly what to "
         "change.",
         (_SEED, _REWRITE, _MORE)),
    Rule("drift", placement.drift, _AT_MOST,
         {_A: limits(.1, .2), _T: limits(.1, .2), _S: INFO, _H: limits(.2, .4)},
         "The whole picture is shifted or zoomed; lay both over each other, or send sides that "
         "are multiples of 32.",
         (_SEED, _LESS)),
    Rule("structure", placement.structure, _AT_LEAST,
         {_A: fail(.62), _T: fail(.65), _H: warn(.2)},
         "Parts of the picture were bent or redrawn; ask for less at once, or use a mask.",
         (_SEED, _LESS, _REWRITE)),
    Rule("displaced", placement.displaced, _AT_MOST,
         {_A: fail(.035), _T: fail(.045), _H: warn(.1)},
         "A part of the picture was bent or put elsewhere; ask for less at once, or use a mask.",
         (_SEED, _LESS, _REWRITE)),
    Rule("over_edit", extent.over_edit, _AT_MOST,
         {_A: fail(.3), _T: fail(.3), _H: warn(.8)},
         "Far more changed than such an edit should; name the one thing to change, or use a mask.",
         (_SEED, _LESS, _REWRITE)),
    Rule("outside_mask", extent.outside_mask, _AT_MOST,
         {_A: fail(.01), _T: fail(.01), _S: warn(.2), _H: fail(.03)},
         "Something changed outside the mask; put the original back there.",
         (_SEED, _PLACE, _LESS)),
    Rule("inside_mask", extent.inside_mask, _AT_LEAST,
         {_A: fail(.02), _T: fail(.02), _H: fail(.02)},
         "Nothing changed inside the mask; say what should be where the mask is.",
         (_SEED, _PLACE, _MORE)),
    Rule("target_text", lettering.target_text, _AT_MOST,
         {_A: fail(.05), _T: fail(.05), _S: fail(.05), _H: fail(.05)},
         "The text does not read as asked; try another seed, or put the exact text in quotes.",
         (_SEED, _SEED, _QUOTE)),
    Rule("old_text", lettering.old_text, _AT_MOST,
         {_A: fail(.8), _T: fail(.8), _S: fail(.8), _H: fail(.8)},
         "The old text is still there; say that it should be replaced or removed.",
         (_SEED, _QUOTE, _REWRITE)),
    Rule("other_text", lettering.other_text, _AT_LEAST,
         {_A: warn(.9), _T: fail(.9), _H: warn(.9)},
         "Text that was to stay has been damaged; use a mask around the words to change.",
         (_SEED, _LESS, _PLACE)),
    Rule("preservation", preservation.preservation, _AT_LEAST,
         {_A: fail(.88), _T: fail(.9), _H: fail(.7)},
         "What was to stay is not the same any more; use more steps, less guidance, or a mask.",
         (_SEED, _STEPS, _LESS)),
    Rule("cast", colour.cast, _AT_MOST,
         {_A: limits(2.3, 3.5), _T: limits(2.3, 3.5), _H: warn(3.5)},
         "The colours of the whole picture have shifted; match them to the original's.",
         (_SEED, _LESS)),
    Rule("oversaturation", colour.oversaturation, _AT_MOST,
         {_A: fail(1), _T: fail(1), _H: warn(1)},
         "The colours are far too strong; use less guidance.",
         (_SEED, _LESS)),
    Rule("blur", texture.detail, _AT_LEAST,
         {_A: fail(.36), _T: fail(.4), _S: fail(.12), _H: fail(.3)},
         "Fine detail is gone; use more steps.",
         (_SEED, _STEPS)),
    Rule("sharpening", texture.detail, _AT_MOST,
         {_A: fail(1.25), _T: fail(1.25), _H: fail(1.5)},
         "The result is over-sharpened; use less guidance.",
         (_SEED, _LESS)),
    Rule("noise", texture.noise, _AT_MOST,
         {_A: fail(2), _T: fail(2), _S: fail(2.5), _H: fail(2)},
         "The result is noisy; use more steps.",
         (_SEED, _STEPS)),
    Rule("grid", periodicity.grid, _AT_MOST,
         {_A: fail(1.4), _T: fail(1.4), _S: fail(1.4), _H: fail(1.4)},
         "A regular grid lies over the result; try another seed, or sides that are multiples of "
         "32.",
         (_SEED, _STEPS)),
    Rule("blocks", periodicity.blocks, _AT_MOST,
         {_A: fail(.32), _T: fail(.32), _S: fail(.4), _H: fail(.4)},
         "The result falls into square blocks, as of a strong JPEG; save it at a higher quality.",
         (_SEED, _STEPS)),
    Rule(INSTRUCTION, instruction.instruction, _AT_LEAST, _all(fail(1)),
         "Whether the instruction was followed was not checked; look at the result.",
         (_SEED, _REWRITE, _MORE)),
    Rule("ssim", fidelity.ssim, _AT_LEAST, _all(INFO)),
    Rule("clarity", fidelity.clarity, _AT_LEAST, _all(INFO)),
)
# fmt: on


def remedies(check: str) -> tuple[Remedy, ...]:
    """What to try against a failure of ``check``, one after the other; nothing if unknown."""
    return next((rule.remedies for rule in TABLE if rule.name == check), ())


def with_limits(
    table: Sequence[Rule], changed: Mapping[str, Mapping[EditTypeName, Limits | None]]
) -> tuple[Rule, ...]:
    """``table`` with the cells of ``changed`` (check, then edit type) in place of its own.

    ``None`` takes the check out for that edit type. Raises ``ConfigurationError`` for a check
    that there is not.
    """
    unknown = set(changed) - {rule.name for rule in table}
    if unknown:
        raise ConfigurationError(
            f"`quality.checks` names {sorted(unknown)[0]!r}; there are "
            + ", ".join(rule.name for rule in table)
            + ".",
            "quality.checks",
        )
    return tuple(_changed(rule, changed.get(rule.name, {})) for rule in table)


def _changed(rule: Rule, cells: Mapping[EditTypeName, Limits | None]) -> Rule:
    merged = {**rule.limits, **{EditType(kind): cell for kind, cell in cells.items()}}
    return replace(rule, limits={kind: cell for kind, cell in merged.items() if cell is not None})
