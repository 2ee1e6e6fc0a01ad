"""`qwen-edit validate`: judge two image files in the terminal, and write the picture."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from serve_app.config import LimitsConfig, ServiceConfig
from serve_app.edits.classification import classify
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import NO_TEXT, TextTargets, wanted_text
from serve_app.errors import InvalidRequest
from serve_app.images.decoding import decode
from serve_app.images.mask_reading import read_mask
from serve_app.images.masks import Editable, require_usable
from serve_app.images.pixels import RGB
from serve_app.quality.annotation import judge
from serve_app.quality.case import Case
from serve_app.quality.report import Check, CheckStatus, Report, Verdict
from serve_app.quality.table import TABLE
from serve_app.quality.validator import Validator
from serve_app.serve_config import service_settings
from serve_app.terminal import print_json

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

    def case(self, limits: LimitsConfig) -> Case:
        """Read the files; raises ``InvalidRequest`` for one that can't be used."""
        original = _read(self.original, limits)
        return Case(
            original,
            _read(self.edited, limits),
            self.edit_type or classify(self.prompt).edit_type,
            mask=None if self.mask is None else _read_mask(self.mask, limits, original),
            prompt=self.prompt,
            text=wanted_text(self.prompt, self.text.expected, self.text.old),
        )

    def require_kept(self, picture: Path) -> None:
        """Raise ``InvalidRequest`` if writing ``picture`` would overwrite what is judged."""
        inputs = (self.original, self.edited, self.mask)
        if picture.resolve() in [file.resolve() for file in inputs if file is not None]:
            raise InvalidRequest(
                f"{picture} is one of the files to judge: give the picture another name with "
                "--picture.",
                "picture",
            )


def run_validate(
    console: Console,
    validation: Validation,
    picture: Path | None,
    *,
    as_json: bool,
    config: Path | None = None,
) -> Report:
    """Judge, print the report, and write the annotated picture if ``picture`` names a file.

    Limits and checks are those of the Serve configuration ``config``, or the defaults. Raises
    ``InvalidRequest`` for files that can't be read or used, ``ConfigurationError`` for such a
    configuration.
    """
    settings = ServiceConfig() if config is None else service_settings(config)
    if picture is not None:
        validation.require_kept(picture)
    case = validation.case(settings.limits)
    judged = judge(Validator.open(settings.quality), case, picture is not None)
    if picture is not None and judged.picture is not None:
        _write(picture, judged.picture)
    if as_json:
        body = judged.report.to_json() | {"edit_type": str(case.edit_type)}
        if picture is not None:
            body["picture"] = str(picture)
        print_json(body)
        return judged.report
    print_report(console, judged.report, case.edit_type)
    if picture is not None:
        console.print(f"\nPicture: {picture}", markup=False, highlight=False, soft_wrap=True)
    return judged.report


# Files.


def _read(file: Path, limits: LimitsConfig) -> RGB:
    with _named(file):
        return decode(_bytes(file), limits, "image").pixels


def _read_mask(file: Path, limits: LimitsConfig, original: RGB) -> Editable:
    height, width, _ = original.shape
    with _named(file):
        editable = read_mask(_bytes(file), limits, "mask").editable
        require_usable(editable, width, height)
    return editable


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequest("The file can't be read.") from error


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise InvalidRequest(f"{file}: The picture can't be written there.") from error


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(f"{file}: {error.message}", error.param) from error


# The report.


def print_report(console: Console, report: Report, edit_type: EditType) -> None:
    """Print a row for each check, the verdict, and the reasons."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("what it found, or measures")
    for check in report.checks:
        status = Text(check.status, _COLOURS[check.status])
        table.add_row(check.name, status, _number(check.value), _limit(check), _meaning(check))
    console.print(table)
    console.print(
        Text(report.verdict, _VERDICT_COLOURS[report.verdict]),
        f"as {edit_type} edit, {report.coverage:.0%} of the checks decided",
        highlight=False,
    )
    reasons = Table.grid(padding=(0, 1))
    for reason in report.reasons:
        reasons.add_row(" •", Text(reason))
    console.print(reasons)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _limit(check: Check) -> str:
    if check.threshold is None:
        return ""
    return f"{'≥' if check.direction == 'at_least' else '≤'} {check.threshold:g}"


def _meaning(check: Check) -> Text:
    """The evidence that can be said in a line, or else what the check measures.

    As plain text: what was read in a picture may look like markup.
    """
    found = _found(check)
    if found:
        return Text(found)
    return Text(_MEASURES.get(check.name, ""), "dim", no_wrap=True, overflow="ellipsis")


def _found(check: Check) -> str:
    evidence = check.evidence
    if "reason" in evidence:
        return str(evidence["reason"])
    if "read" in evidence:
        return f"read: {evidence['read'] or 'nothing'}"
    if "before" in evidence and "after" in evidence:
        return f"{evidence['before']} → {evidence['after']}"
    return ""


_MEASURES = {rule.name: (inspect.getdoc(rule.measure) or "").partition("\n")[0] for rule in TABLE}
"""What each check measures, in which unit: the first line of its documentation."""
