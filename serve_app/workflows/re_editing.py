"""What to try after a failed attempt: a pure function of the plan and of what was tried.

Each check has an ordered list of remedies (``quality.table``). The first failure of the last
attempt is answered; the k-th time that the same check fails the k-th remedy is tried, always
with another seed, on the parameters of the plan: remedies don't add up, so that what helped can be
told. Steps and guidance that the request sets itself stay as they are, and a remedy that would
change nothing is passed over. When the list is used up, the same failure has come back across
seeds, and trying on would only cost. A draft that failed is followed by the full model and counts
for nothing else.

Nobody has published yet that another guidance or more steps help where another seed does not:
every (failure, action, outcome) is logged and counted, so that it can be found out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from serve_app.edits.attempt import AttemptPlan
from serve_app.edits.planning import EditPlan
from serve_app.edits.request import Quality
from serve_app.edits.rewriting import place_of, plain_rewrite
from serve_app.images.masks import bounding_box
from serve_app.quality.remedy import Remedy
from serve_app.quality.report import Report, Verdict
from serve_app.quality.table import remedies

logger = logging.getLogger(__name__)

IN_OTHER_WORDS = frozenset({Remedy.REWRITE, Remedy.NAME_THE_PLACE, Remedy.QUOTE_THE_TEXT})
"""Remedies that change the prompt."""

LEAST_GUIDANCE, MOST_GUIDANCE = 1.0, 20.0
"""The range of ``true_cfg_scale``, as for requests; at the least there is no guidance."""


class Stop(StrEnum):
    """Why there is no further attempt; the last two are not the edit's own fault."""

    PASSED = "passed"
    BUDGET = "budget"  # all attempts are used
    REPEATED = "repeated"  # the same failure whatever was tried
    TIME = "time"  # another attempt would not end within the caller's time
    TROUBLE = "trouble"  # the editors failed; an earlier attempt is kept


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt and what was said of it."""

    plan: AttemptPlan
    report: Report


@dataclass(frozen=True, slots=True)
class ReEdit:
    """What came of one further attempt: ``outcome`` is passed, same_failure or other_failure."""

    failure: str
    action: str
    outcome: str


ReEditObserver = Callable[[ReEdit], None]
"""Counts further attempts; must not block."""


def next_attempt(plan: EditPlan, tried: Sequence[Tried]) -> AttemptPlan | Stop:
    """The next attempt at ``plan`` after those ``tried``, or why there is none.

    An attempt that passes is the last; so is the ``plan.max_attempts``-th.
    """
    number = len(tried) + 1
    if not tried:
        return _attempt(plan, number, few_step=plan.drafts is not None)
    last = tried[-1]
    if last.report.verdict is not Verdict.FAIL:
        return Stop.PASSED
    if number > plan.max_attempts:
        return Stop.BUDGET
    failure = last.report.failed[0]
    if last.plan.few_step and plan.quality is not Quality.DRAFT:
        return _answer(_attempt(plan, number), failure, Remedy.FULL_MODEL)
    same = [
        one
        for one in tried
        if one.plan.few_step == last.plan.few_step and one.report.failed[:1] == (failure,)
    ]
    attempt = _attempt(plan, number, few_step=last.plan.few_step)
    usable = [remedy for remedy in remedies(failure) if _usable(plan, attempt, remedy)]
    if len(same) > len(usable):
        return Stop.REPEATED
    remedy = usable[len(same) - 1]
    return _answer(_changed(plan, attempt, remedy), failure, remedy)


def observe(tried: Sequence[Tried], observer: ReEditObserver | None) -> None:
    """Log what came of the last of ``tried``, if it answered a failure, and tell ``observer``."""
    last = tried[-1]
    if last.plan.against is None:
        return
    failed = last.report.failed
    outcome = "other_failure" if failed else "passed"
    if failed and failed[0] == last.plan.against:
        outcome = "same_failure"
    event = ReEdit(last.plan.against, "+".join(last.plan.remedies), outcome)
    logger.info("re_edit %s", json.dumps(asdict(event)))
    if observer is not None:
        observer(event)


def _attempt(plan: EditPlan, number: int, few_step: bool = False) -> AttemptPlan:
    scale, steps = plan.true_cfg_scale, plan.num_inference_steps
    if few_step and plan.drafts is not None:
        scale, steps = plan.drafts.true_cfg_scale, plan.drafts.num_inference_steps
    return AttemptPlan(number, plan.seed_of(number), plan.prompt, scale, steps, few_step)


def _answer(attempt: AttemptPlan, failure: str, remedy: Remedy) -> AttemptPlan:
    done = dict.fromkeys((Remedy.NEW_SEED.value, remedy.value))
    return replace(attempt, against=failure, remedies=tuple(done))


def _usable(plan: EditPlan, attempt: AttemptPlan, remedy: Remedy) -> bool:
    """Whether ``remedy`` would change anything of ``attempt`` that the request leaves open."""
    asked, scale, steps = plan.request, attempt.true_cfg_scale, attempt.num_inference_steps
    match remedy:
        case Remedy.LESS_GUIDANCE:
            return asked.true_cfg_scale is None and scale > LEAST_GUIDANCE
        case Remedy.MORE_GUIDANCE:
            return asked.true_cfg_scale is None and scale < MOST_GUIDANCE
        case Remedy.MORE_STEPS:
            return asked.num_inference_steps is None and steps < plan.most_steps
        case Remedy.FULL_MODEL:
            return False  # a draft that may be left has been
        case Remedy.NAME_THE_PLACE:
            return _place(plan) is not None
        case Remedy.QUOTE_THE_TEXT:
            return plan.text.expected is not None
        case _:
            return True


def _changed(plan: EditPlan, attempt: AttemptPlan, remedy: Remedy) -> AttemptPlan:
    scale, steps = attempt.true_cfg_scale, attempt.num_inference_steps
    match remedy:
        case Remedy.MORE_GUIDANCE:
            return replace(attempt, true_cfg_scale=min(MOST_GUIDANCE, scale + plan.guidance_step))
        case Remedy.LESS_GUIDANCE:
            return replace(attempt, true_cfg_scale=max(LEAST_GUIDANCE, scale - plan.guidance_step))
        case Remedy.MORE_STEPS:
            more = max(1, round(steps * plan.more_steps))
            return replace(attempt, num_inference_steps=min(plan.most_steps, steps + more))
        case _ if remedy in IN_OTHER_WORDS:
            return replace(attempt, prompt=_in_other_words(plan, remedy))
        case _:
            return attempt


def _in_other_words(plan: EditPlan, remedy: Remedy) -> str:
    return plain_rewrite(
        plan.prompt, plan.edit_type, text=plan.text, place=_place(plan), remedy=remedy.value
    )


def _place(plan: EditPlan) -> str | None:
    """Where the mask is, in words; ``None`` if it has no place, being most of the picture."""
    mask = plan.request.mask
    box = None if mask is None else bounding_box(mask.editable)
    if mask is None or box is None:
        return None
    height, width = mask.editable.shape
    if 2 * (box.right - box.left) > width and 2 * (box.bottom - box.top) > height:
        return None
    return place_of((box.left + box.right) / 2 / width, (box.top + box.bottom) / 2 / height)
