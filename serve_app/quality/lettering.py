"""The checks that read: is the new text there, is the old one gone, did the other lines stay?

What is compared and how is in ``text.checks``; here is decided whether a check applies and can be
answered at all. Unread is never taken for absent.
"""

from __future__ import annotations

from collections.abc import Callable

from serve_app.edits.request import EditType
from serve_app.quality.measurement import Measurement
from serve_app.quality.subject import Subject
from serve_app.quality.text import checks
from serve_app.quality.text.reading import Readings

_NO_READER = "no text reader is configured"
_UNKNOWN = "which text to expect is not known: give `expected_text`, or quote it in the prompt"
_TOO_SMALL = "letters in so small a picture can't be read"
_UNSUPPORTED = "texts in this script can't be read here"


def target_text(subject: Subject) -> Measurement | None:
    """The share of the expected text that is wrong where it reads best, 0 to 1."""
    expected, old = subject.case.text.expected, subject.case.text.old
    if expected is None:
        asked = subject.case.edit_type is EditType.TEXT and old is None
        return Measurement.skipped(_UNKNOWN) if asked else None
    return _read(subject, expected, lambda found: checks.target_text(found, expected, old))


def old_text(subject: Subject) -> Measurement | None:
    """How much of the old text can still be read, 0 to 1."""
    text = subject.case.text
    old = text.old
    if old is None:
        return None
    return _read(subject, old, lambda found: checks.old_text(found, old, text.expected))


def other_text(subject: Subject) -> Measurement | None:
    """How well the worst of the other lines has been kept, 0 to 1."""
    text = subject.case.text
    if not subject.change.changed.any():
        return Measurement(1.0, {"lines": 0})  # nothing was touched
    return _read(
        subject,
        "",
        lambda found: checks.other_text(found, text.old, text.expected, subject.touched),
    )


def _read(subject: Subject, text: str, compare: Callable[[Readings], Measurement]) -> Measurement:
    if subject.reader is None:
        return Measurement.skipped(_NO_READER)
    if not subject.fine:
        return Measurement.unsupported(_TOO_SMALL)
    if not subject.reader.supports(text):
        return Measurement.unsupported(_UNSUPPORTED)
    readings = subject.readings
    return Measurement.skipped(_NO_READER) if readings is None else compare(readings)
