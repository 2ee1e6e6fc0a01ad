import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.quality.report import Check, CheckStatus, Report, Verdict, coverage

REPORT = Report(
    Verdict.PASS_UNVERIFIED,
    0.5,
    ("Look at the result.",),
    (
        Check("collapse", CheckStatus.PASS, 3.5, 1.0, "at_least", {"luma_std": np.float32(60)}),
        Check("instruction", CheckStatus.SKIPPED, evidence={"reason": "no judge"}),
    ),
)


def test_the_shape_of_a_report() -> None:
    assert REPORT.to_json() == {
        "verdict": "pass_unverified",
        "coverage": 0.5,
        "reasons": ["Look at the result."],
        "checks": [
            {
                "name": "collapse",
                "status": "pass",
                "value": 3.5,
                "threshold": 1.0,
                "direction": "at_least",
                "evidence": {"luma_std": 60.0},
            },
            {
                "name": "instruction",
                "status": "skipped",
                "value": None,
                "threshold": None,
                "direction": None,
                "evidence": {"reason": "no judge"},
            },
        ],
    }


def test_a_report_travels_between_processes() -> None:
    assert pickle.loads(pickle.dumps(REPORT)) == REPORT


numbers = st.floats() | st.floats(width=32).map(np.float32) | st.integers(0, 99).map(np.int64)


@given(
    value=st.floats() | st.none(),
    evidence=st.dictionaries(st.text(), st.recursive(numbers | st.text(), st.lists, max_leaves=5)),
)
def test_a_report_is_always_strict_json(value: float | None, evidence: dict[str, Any]) -> None:
    check = Check("any", CheckStatus.INFO, value, evidence=evidence)
    json.dumps(Report(Verdict.PASS, 1.0, (), (check,)).to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("statuses", "share"),
    [
        ("pass", 1.0),
        ("pass warn fail skipped", 0.75),
        ("pass unsupported info info", 0.5),
        ("skipped", 0.0),
        ("info", 0.0),
        ("", 0.0),
    ],
)
def test_coverage_is_the_share_that_was_decided(statuses: str, share: float) -> None:
    assert coverage([Check("any", CheckStatus(each)) for each in statuses.split()]) == share
