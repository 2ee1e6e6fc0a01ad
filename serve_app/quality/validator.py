"""Judging one edit: run the table's checks, and draw the verdict from them."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.config import QualityConfig
from serve_app.quality.case import Case
from serve_app.quality.report import OPEN, Check, CheckStatus, Report, Verdict, coverage
from serve_app.quality.subject import Measurement, Subject
from serve_app.quality.table import INSTRUCTION, TABLE, Rule, Severity

_GRAVITY = (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.SKIPPED, CheckStatus.UNSUPPORTED)


class Validator:
    """Judges edits by the thresholds of ``config``; holds no state, so threads may share it."""

    def __init__(self, config: QualityConfig, table: Sequence[Rule] = TABLE) -> None:
        self._config = config
        self._table = tuple(table)

    def judge(self, case: Case) -> Report:
        """Judge an edit at the original's size, at most ``config.side`` pixels a side.

        Raises ``ValueError`` for arrays of another shape or type, or an empty mask.
        """
        kind = case.edit_type
        subject = Subject.of(case.original, case.edited, case.finite, self._config, case.mask)
        rules = [rule for rule in self._table if kind in rule.severity]
        checks = [_check(rule, rule.severity[kind], rule.measure(subject)) for rule in rules]
        return Report(_verdict(checks), coverage(checks), _reasons(rules, checks), tuple(checks))


def _check(rule: Rule, severity: Severity, found: Measurement) -> Check:
    return Check(
        rule.name,
        _status(severity, found.passed),
        found.value,
        found.threshold,
        found.direction,
        found.evidence,
    )


def _status(severity: Severity, passed: bool | None) -> CheckStatus:
    if severity is Severity.INFO:
        return CheckStatus.INFO
    if passed is None:
        return CheckStatus.SKIPPED
    if passed:
        return CheckStatus.PASS
    return CheckStatus.FAIL if severity is Severity.HARD else CheckStatus.WARN


def _verdict(checks: Sequence[Check]) -> Verdict:
    if any(check.status is CheckStatus.FAIL for check in checks):
        return Verdict.FAIL
    # Nothing that was left open may be sold as verified, the instruction least of all.
    verified = any(check.name == INSTRUCTION for check in checks) and not any(
        check.name == INSTRUCTION and check.status in OPEN for check in checks
    )
    return Verdict.PASS if verified else Verdict.PASS_UNVERIFIED


def _reasons(rules: Sequence[Rule], checks: Sequence[Check]) -> tuple[str, ...]:
    """Return the advice of every check that was missed or left open, the gravest first."""
    ranked = [
        (_GRAVITY.index(check.status), rule.advice)
        for rule, check in zip(rules, checks, strict=True)
        if check.status in _GRAVITY and rule.advice
    ]
    return tuple(advice for _, advice in sorted(ranked, key=lambda pair: pair[0]))
