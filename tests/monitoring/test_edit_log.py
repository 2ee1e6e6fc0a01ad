"""One line for each edit that ended: what operators count by, and nothing of the users'."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from serve_app.edits.result import CacheStatus
from serve_app.monitoring.edit_log import EditLog
from tests.monitoring.outcomes import outcome

PROMPT = "a secret wish"


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    """What was logged."""
    kept: list[logging.LogRecord] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = kept.append  # type: ignore[method-assign]
    logger = logging.getLogger("serve_app.monitoring.edit_log")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield kept
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_an_answer_has_its_facts_as_fields_and_in_the_text(
    lines: list[logging.LogRecord],
) -> None:
    log = EditLog()
    log.began()
    log.completed(outcome("text", "fail", cache=CacheStatus.OFF, prompt=PROMPT), 1.23456)
    (line,) = lines
    assert line.getMessage() == (
        "edit=answered edit_id=res-1 edit_type=text verdict=fail attempts=1 cache=off seconds=1.235"
    )
    fields = vars(line)
    assert (fields["edit_id"], fields["verdict"], fields["seconds"]) == ("res-1", "fail", 1.235)
    assert PROMPT not in repr(fields)


def test_what_is_not_a_type_is_not_repeated(lines: list[logging.LogRecord]) -> None:
    EditLog().completed(outcome(PROMPT), 1.0)
    assert vars(lines[0])["edit_type"] == "other"


def test_edits_without_an_answer(lines: list[logging.LogRecord]) -> None:
    log = EditLog()
    log.failed("overloaded")
    log.withdrawn()
    assert [line.getMessage() for line in lines] == [
        "edit=failed code=overloaded",
        "edit=withdrawn",
    ]
