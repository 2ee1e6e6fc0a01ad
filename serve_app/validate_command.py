"""`qwen-edit validate`: judge two image files in the terminal, and write the picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from serve_app.config import LimitsConfig, QualityConfig
from serve_app.edits.classification import classify
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import NO_TEXT, TextTargets, text_targets
from serve_app.errors import InvalidRequest
from serve_app.images.decoding import decode
from serve_app.images.mask_reading import read_mask
from serve_app.images.masks import Editable, require_usable
from serve_app.images.pixels import RGB
from serve_app.quality.annotation import judge
from serve_app.quality.case import Case
from serve_app.quality.report import Check, CheckStatus, Report, Verdict
from serve_app.quality.validator import Validator

_COLOURS = {
    CheckStatus.PASS: "green",
    CheckStatus.WARN: "yellow",
    CheckStatus.FAIL: "bold red",
    CheckStatus.SKIPPED: "dim",
    CheckStatus.UNSUPPORTED: "dim",
    CheckStatus.INFO: "cyan",
}
_VERDICT_COLOURS = {
    Verdict.PASS: "bold green",
    Verdict.PASS_UNVERIFIED: "bold yellow",
    Verdict.FAIL: "bold red",
}


@dataclass(frozen=True, slots=True)
class Validation:
    """What to judge: two files, and what is known of the edit."""

    original: Path
    edited: Path
    edit_type: EditType | None = None
    prompt: str = ""
    mask: Path | None = None
    text: TextTargets = NO_TEXT

    def case(self) -> Case:
        """Read the files; raises ``InvalidRequest`` for one that can't be used."""
        original = _read(self.original, "original")
        mask = None if self.mask is None else _read_mask(self.mask, original)
        return Case(
            original,
            _read(self.edited, "edited"),
            self.edit_type or classify(self.prompt).edit_type,
            mask=mask,
            prompt=self.prompt,
            text=text_targets(self.prompt) if self.text == NO_TEXT else self.text,
        )


def run_validate(
    console: Console, validation: Validation, picture: Path | None, as_json: bool
) -> Report:
    """Judge, print the report, and write the annotated picture if ``picture`` names a file.

    Raises ``InvalidRequest`` for files that can't be read or used.
    """
    case = validation.case()
    judged = judge(Validator.open(QualityConfig()), case, picture is not None)
    if picture is not None and judged.picture is not None:
        try:
            picture.write_bytes(judged.picture)
        except OSError as error:
            raise InvalidRequest(
                f"The picture can't be written to {picture}.", "picture"
            ) from error
    if as_json:
        body = judged.report.to_json() | {"edit_type": str(case.edit_type)}
        console.print_json(json.dumps(body, ensure_ascii=False))
        return judged.report
    _print(console, judged.report, case.edit_type)
    if picture is not None:
        console.print(f"\nPicture: {picture}", highlight=False)
    return judged.report


def _read(path: Path, param: str) -> RGB:
    return decode(_bytes(path, param), LimitsConfig(), param).pixels


def _read_mask(path: Path, original: RGB) -> Editable:
    editable = read_mask(_bytes(path, "mask"), LimitsConfig(), "mask").editable
    height, width, _ = original.shape
    require_usable(editable, width, height)
    return editable


def _bytes(path: Path, param: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path} can't be read.", param) from error


def _print(console: Console, report: Report, edit_type: EditType) -> None:
    table = Table(title=None, header_style="bold", pad_edge=False)
    for name in ("check", "status", "value", "limit", ""):
        table.add_column(name, justify="right" if name in ("value", "limit") else "left")
    for check in report.checks:
        colour = _COLOURS[check.status]
        status = f"[{colour}]{check.status}[/]"
        table.add_row(check.name, status, _number(check.value), _limit(check), _note(check))
    console.print(table)
    colour = _VERDICT_COLOURS[report.verdict]
    console.print(
        f"\n[{colour}]{report.verdict}[/] as {edit_type} edit, "
        f"{report.coverage:.0%} of the checks decided",
        highlight=False,
    )
    for reason in report.reasons:
        console.print(f"  • {reason}", markup=False, highlight=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _limit(check: Check) -> str:
    if check.threshold is None:
        return ""
    return f"{'≥' if check.direction == 'at_least' else '≤'} {check.threshold:g}"


def _note(check: Check) -> str:
    """The evidence that fits on a line."""
    evidence = check.evidence
    if "reason" in evidence:
        return str(evidence["reason"])
    if "read" in evidence:
        return f"read: {evidence['read']}"
    if "before" in evidence and "after" in evidence:
        return f"{evidence['before']} → {evidence['after']}"
    return ""
