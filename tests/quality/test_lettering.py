"""When the checks that read apply, and what they say where they can't read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serve_app.config import QualityConfig
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import TextTargets
from serve_app.images.pixels import RGB
from serve_app.quality.case import Case
from serve_app.quality.instruction import instruction
from serve_app.quality.lettering import old_text, other_text, target_text
from serve_app.quality.report import Verdict
from serve_app.quality.subject import Subject
from serve_app.quality.validator import Validator
from tests.quality.pictures import photo, with_square
from tests.quality.text.test_reader import reader, sign

BOTH = TextTargets("CLOSED", "OPEN")


def subject(
    original: RGB,
    edited: RGB,
    text: TextTargets,
    kind: EditType = EditType.TEXT,
    reads: bool = True,
) -> Subject:
    case = Case(original, edited, kind, text=text)
    return Subject.of(case, QualityConfig(), reader() if reads else None)


def shop(text: str) -> RGB:
    return sign(text, "latin")


def test_a_right_sign_passes_and_is_verified_by_reading() -> None:
    validator = Validator(QualityConfig(), reader())
    case = Case(shop("OPEN"), shop("CLOSED"), EditType.TEXT, text=BOTH)
    report = validator.judge(case)
    assert report.verdict is Verdict.PASS
    assert report.check("instruction").evidence == {"judge": "reading"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("edited", "failed"),
    [("CLOSFD", {"target_text"}), ("OPEN", {"target_text", "old_text"})],
)
def test_a_wrong_sign_fails(edited: str, failed: set[str]) -> None:
    validator = Validator(QualityConfig(), reader())
    original = shop("OPEN")
    other = shop(edited).copy()
    other[10:50, 500:560] = (200, 40, 40)  # so that it is no copy
    report = validator.judge(Case(original, other, EditType.TEXT, text=BOTH))
    assert set(report.failed) == failed


def test_texts_that_nobody_named_are_skipped_and_say_how_to_name_them() -> None:
    both = subject(shop("OPEN"), shop("CLOSED"), TextTargets())
    found = target_text(both)
    assert found is not None
    assert found.status == "skipped"
    assert "expected_text" in found.evidence["reason"]
    assert old_text(both) is None
    assert instruction(both).status == "skipped"


@pytest.mark.parametrize("kind", [EditType.APPEARANCE, EditType.SEMANTIC, EditType.HYBRID])
def test_without_words_other_edits_are_not_read_for_them(kind: EditType) -> None:
    both = subject(photo(), with_square(photo()), TextTargets(), kind)
    assert target_text(both) is None
    assert old_text(both) is None


def test_without_a_reader_nothing_is_said() -> None:
    both = subject(shop("OPEN"), shop("CLOSED"), BOTH, reads=False)
    found = [check(both) for check in (target_text, old_text, other_text)]
    assert [one and one.status for one in found] == ["skipped"] * 3


@pytest.mark.parametrize(
    ("text", "size"), [(TextTargets("кофе"), (640, 400)), (BOTH, (64, 64))], ids=["script", "small"]
)
def test_what_can_not_be_read_is_unsupported_and_never_a_pass(
    text: TextTargets, size: tuple[int, int]
) -> None:
    before, after = photo(size=size), with_square(photo(size=size), 20)
    found = target_text(subject(before, after, text))
    assert found is not None
    assert found.status == "unsupported"
    case = Case(before, after, EditType.TEXT, text=text)
    assert Validator(QualityConfig(), reader()).judge(case).verdict is not Verdict.PASS


def test_an_untouched_picture_is_not_read_for_its_other_lines() -> None:
    both = subject(shop("OPEN"), shop("OPEN"), TextTargets())
    found = other_text(replace(both, reader=None))
    assert found is not None
    assert found.value == 1.0
    assert np.array_equal(both.original, both.edited)
