"""From the body of ``POST /v1/ab-tests/analyze`` to an A/B test; the command line has it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serve_app.api.ab_fields import (
    MAX_VARIANTS,
    MAX_WEIGHT,
    AbTestFields,
    CountFields,
)
from serve_app.api.model_fields import below, parse_model
from serve_app.api.names import NAME, NAME_IS
from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest, MissingField
from serve_app.workflows.ab_tests.ab_test import AbTest, Arm, Metric, Unit

if TYPE_CHECKING:
    from serve_app.workflows.ab_tests.analysis import Analysis

VARIANTS = "variants"
ALLOCATION = "allocation"


Counts = Mapping[str, CountFields]


@dataclass(frozen=True, slots=True)
class ParsedAbTest:
    """A valid test, what was counted in it, its job, and whether a picture is wanted."""

    test: AbTest
    counts: dict[str, dict[str, int]]
    job: str | None
    picture: bool

    def answer(self, analysis: Analysis) -> dict[str, Any]:
        """What is found of the test beside what was counted: the answer, and what is kept."""
        return analysis.to_json() | {VARIANTS: self.counts}


def parse_ab_test(values: Mapping[str, Any], limits: LimitsConfig) -> ParsedAbTest:
    """Read the fields of a test, which have JSON's types.

    Raises:
        InvalidRequest: About the first field that can't be used, by its path.
    """
    others = {name: one for name, one in values.items() if name not in (VARIANTS, ALLOCATION)}
    if values.get(VARIANTS) is None:
        raise MissingField(f"`{VARIANTS}` is required.", VARIANTS)
    counts = _counts(values[VARIANTS], limits)
    fields = parse_model(AbTestFields, others, limits, typed=True)
    if fields.control not in counts:
        raise InvalidRequest(
            "`control` must be the name of one of the variants.",
            "control",
        )
    unit = _unit(counts)
    _refuse_impossible(counts, fields.metric, unit)
    test = AbTest(
        _arms(counts, fields.metric, unit),
        fields.control,
        metric=fields.metric,
        unit=unit,
        minimum_effect=fields.minimum_effect,
        baseline=fields.baseline,
        power=fields.power,
        significance=fields.significance,
        allocation=_allocation(values.get(ALLOCATION), counts),
    )
    given = {name: one.model_dump(exclude_none=True) for name, one in counts.items()}
    return ParsedAbTest(test, given, fields.job, fields.picture)


def _counts(variants: Any, limits: LimitsConfig) -> Counts:
    if not isinstance(variants, dict) or not 2 <= len(variants) <= MAX_VARIANTS:
        raise InvalidRequest(
            f"`{VARIANTS}` must be an object of 2 to {MAX_VARIANTS} variants by their names, each "
            "with its counts.",
            VARIANTS,
        )
    return {name: _counts_of(name, one, limits) for name, one in variants.items()}


def _counts_of(name: Any, values: Any, limits: LimitsConfig) -> CountFields:
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"The name of a variant must be {NAME_IS}.",
            f"{VARIANTS}.{str(name)[:64]}",
        )
    here = f"{VARIANTS}.{name}"
    if not isinstance(values, dict):
        raise InvalidRequest(f"`{here}` must be an object of counts.", here)
    with below(f"{here}."):
        return parse_model(CountFields, values, limits, typed=True)


def _unit(counts: Counts) -> Unit:
    """Users, if all variants have them: then they are what was spread over the variants."""
    without = [name for name, one in counts.items() if one.users is None]
    if not without:
        return Unit.USERS
    if len(without) < len(counts):
        param = f"{VARIANTS}.{without[0]}.{Unit.USERS}"
        raise MissingField(f"`{param}` is required: give users of all variants or of none.", param)
    return Unit.IMPRESSIONS


def _refuse_impossible(counts: Counts, metric: Metric, unit: Unit) -> None:
    """Raise ``InvalidRequest`` for an arm without traffic, and for more successes than trials.

    Neither the chosen metric nor clicks can come more often than a variant was shown; of
    engagements and conversions one impression may bring several. The chosen metric is a share of
    users, where they are the unit; of the others a user may have many.
    """
    for name, one in counts.items():
        here = f"{VARIANTS}.{name}"
        for traffic in Unit:
            if getattr(one, traffic) == 0:
                raise InvalidRequest(
                    f"`{here}.{traffic}` must be above 0: a variant without traffic can't be "
                    "compared.",
                    f"{here}.{traffic}",
                )
        for counted in sorted({metric, Metric.CLICKS}):
            bounds = [Unit.IMPRESSIONS]
            if counted is metric and unit is Unit.USERS:
                bounds.append(Unit.USERS)
            for bound in bounds:
                most, count = getattr(one, bound), getattr(one, counted)
                if None not in (most, count) and count > most:
                    raise InvalidRequest(
                        f"`{here}.{counted}` must be at most `{here}.{bound}`, {most}.",
                        f"{here}.{counted}",
                    )


def _arms(counts: Counts, metric: Metric, unit: Unit) -> tuple[Arm, ...]:
    return tuple(
        Arm(name, _needed(one, name, metric), _needed(one, name, unit))
        for name, one in counts.items()
    )


def _needed(counts: CountFields, name: str, field: str) -> int:
    count: int | None = getattr(counts, field)
    if count is None:
        param = f"{VARIANTS}.{name}.{field}"
        raise MissingField(f"`{param}` is required.", param)
    return count


def _allocation(shares: Any, counts: Counts) -> dict[str, float]:
    if shares is None:
        return {}
    if not isinstance(shares, dict) or shares.keys() != counts.keys():
        raise InvalidRequest(
            f"`{ALLOCATION}` must be an object with a share for every variant, and for nothing "
            "else.",
            ALLOCATION,
        )
    for name, share in shares.items():
        # Compared, not converted: NaN is refused, and a whole number too long for a float.
        if type(share) not in (int, float) or not 1 / MAX_WEIGHT <= share <= MAX_WEIGHT:
            raise InvalidRequest(
                f"`{ALLOCATION}.{name}` must be a number above 0, at most {MAX_WEIGHT}.",
                f"{ALLOCATION}.{name}",
            )
    return {name: float(shares[name]) for name in counts}
