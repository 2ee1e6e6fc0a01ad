"""Judging one edit: run the table's checks, and draw the verdict from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from serve_app.config import QualityConfig
from serve_app.quality.case import Case
from serve_app.quality.measurement import Measurement
from serve_app.quality.report import OPEN, Check, CheckStatus, Report, Verdict, coverage
from serve_app.quality.subject import Subject
from serve_app.quality.table import INSTRUCTION, TABLE, Limits, Measure, Rule, with_limits
from serve_app.quality.text.reading import TextReader

_GRAVITY = (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.SKIPPED, CheckStatus.UNSUPPORTED)


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A report and what it was drawn from: the aligned pair and its map of changes."""

    report: Report
    subject: Subject


class Validator:
    """Judges edits by the table; threads may share it.

    Without a ``reader`` the checks of text are skipped. Raises ``ConfigurationError`` if
    ``config.checks`` names a check that there is not.
    """

    def __init__(
        self,
        config: QualityConfig,
        reader: TextReader | None = None,
        table: Sequence[Rule] = TABLE,
    ) -> None:
        self._config = config
        self._reader = reader
        self._table = with_limits(table, config.checks)

    @classmethod
    def open(cls, config: QualityConfig) -> Validator:
        """Make a validator with its text reader loaded, on ``config.threads`` CPU threads.

        OpenCV's threads are the process's: one validator per process.
        """
        cv2.setNumThreads(config.threads)
        if not config.read_text:
            return cls(config)
        from serve_app.quality.text.reader import open_reader  # heavy, and not always wanted

        return cls(config, open_reader(config.threads))

    def judge(self, case: Case) -> Report:
        """Judge an edit at the original's size, at most ``config.side`` pixels a side.

        Raises ``ValueError`` for arrays of another shape or type, or an empty mask.
        """
        return self.examine(case).report

    def examine(self, case: Case) -> Judgement:
        """Judge as ``judge`` does, and give the evidence, too."""
        subject = Subject.of(case, self._config, self._reader)
        # Rows may share what they measure, as blur and sharpening do.
        measured: dict[Measure, Measurement | None] = {}
        rules, checks = [], []
        for rule in self._table:
            limits = rule.limits.get(case.edit_type)
            if limits is None:
                continue
            if rule.measure not in measured:
                measured[rule.measure] = rule.measure(subject)
            if (found := measured[rule.measure]) is not None:
                rules.append(rule)
                checks.append(_check(rule, limits, found))
        report = Report(_verdict(checks), coverage(checks), _reasons(rules, checks), tuple(checks))
        return Judgement(report, subject)


def _check(rule: Rule, limits: Limits, found: Measurement) -> Check:
    status, threshold = _status(rule, limits, found)
    return Check(rule.name, status, found.value, threshold, rule.direction, found.evidence)


def _status(rule: Rule, limits: Limits, found: Measurement) -> tuple[CheckStatus, float | None]:
    """What the value comes to, and the limit that says so."""
    if limits.fail is None and limits.warn is None:
        return CheckStatus.INFO, None
    threshold = limits.warn if limits.fail is None else limits.fail
    if found.value is None:
        return found.status or CheckStatus.SKIPPED, threshold
    if limits.fail is not None and _misses(rule, found.value, limits.fail):
        return CheckStatus.FAIL, limits.fail
    if limits.warn is not None and _misses(rule, found.value, limits.warn):
        return CheckStatus.WARN, limits.warn
    return CheckStatus.PASS, threshold


def _misses(rule: Rule, value: float, limit: float) -> bool:
    return value < limit if rule.direction == "at_least" else value > limit


def _verdict(checks: Sequence[Check]) -> Verdict:
    if any(check.status is CheckStatus.FAIL for check in checks):
        return Verdict.FAIL
    # Nothing that was left open may be sold as verified, the instruction least of all.
    verified = any(check.name == INSTRUCTION and check.status not in OPEN for check in checks)
    return Verdict.PASS if verified else Verdict.PASS_UNVERIFIED


def _reasons(rules: Sequence[Rule], checks: Sequence[Check]) -> tuple[str, ...]:
    """Say what is wrong and what to do, and what could not be checked; the gravest first."""
    ranked = [
        (_GRAVITY.index(check.status), _reason(rule, check))
        for rule, check in zip(rules, checks, strict=True)
        if check.status in _GRAVITY and rule.advice
    ]
    return tuple(reason for _, reason in sorted(ranked, key=lambda pair: pair[0]))


def _reason(rule: Rule, check: Check) -> str:
    if check.status not in OPEN or rule.name == INSTRUCTION:
        return rule.advice
    return f"Not checked: {rule.name.replace('_', ' ')}, since {check.evidence['reason']}."
