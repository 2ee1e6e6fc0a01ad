"""Results as a file and as a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu.record import PROGRAM, Record, Row, table


def test_results_of_several_runs_become_one_file(tmp_path: Path) -> None:
    for name, part in (("a.json", "steps"), ("b.json", "curve")):
        record = Record(tmp_path / name, (), "full")
        record.begin(part, {"date": name})
        record.add(part, Row(f"row of {part}", 2.0, "step", target_s=1.5))
        record.end(part, "complete", 1.0, None)
    together = Record(tmp_path / "all.json", [tmp_path / "a.json", tmp_path / "b.json"], "full")
    together.write()
    parts = json.loads((tmp_path / "all.json").read_text())["parts"]
    assert {name: part["run"]["date"] for name, part in parts.items()} == {
        "steps": "a.json",
        "curve": "b.json",
    }
    assert parts["curve"]["rows"][0]["reached"] is False


@pytest.mark.parametrize(
    "content",
    [json.dumps({"program": "another", "parts": {}}), json.dumps({"program": PROGRAM}), "[]", "{"],
)
def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path, content: str) -> None:
    out = tmp_path / "gpu.json"
    out.write_text(content)
    with pytest.raises(ValueError, match=r"."):
        Record(out, (), "full")
    assert out.read_text() == content


def test_what_was_not_measured_shows_in_the_table() -> None:
    rows = [
        Row("fast", 1.0, "edit", 2.0, "stock", 0.5, target_s=1.5),
        Row("slow", 2.0, "edit", target_s=1.5),
        Row("large", status="out of memory"),
    ]
    lines = table("steps", rows).splitlines()[2:]
    assert "2.000x stock" in lines[0]
    assert "1.5 pass" in lines[0]
    assert "1.5 MISS" in lines[1]
    assert "[out of memory]" in lines[2]
