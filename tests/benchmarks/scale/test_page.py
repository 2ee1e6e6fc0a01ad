"""The page on sizing says what was measured and simulated."""

from __future__ import annotations

import json

import pytest

from benchmarks.report import RESULTS
from benchmarks.scale.page import PAGE, with_tables


def test_the_tables_are_those_of_the_results() -> None:
    details = json.loads((RESULTS / "scale.json").read_text())["details"]
    page = PAGE.read_text()
    assert "<!-- from the results: sizes -->" in page
    assert with_tables(page, details) == page


def test_nothing_but_the_tables_is_touched() -> None:
    details = json.loads((RESULTS / "scale.json").read_text())["details"]
    empty = "<!-- from the results: {} -->\n<!-- end -->\n"
    text = f"before\n{empty.format('costs')}between\n{empty.format('bursts')}after\n"
    filled = with_tables(text, details)
    assert [word for word in ("before\n", "between\n", "after\n") if word not in filled] == []
    assert filled.count("\n| --- ") == 2
    assert with_tables(filled, details) == filled


def test_a_table_that_nobody_makes_is_an_error() -> None:
    with pytest.raises(KeyError):
        with_tables("<!-- from the results: nothing -->\n\n<!-- end -->", {})
