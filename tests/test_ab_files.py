"""Files of A/B tests: what YAML, JSON and CSV come to, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_app.ab_files import read_ab_test
from serve_app.errors import InvalidRequest

VARIANTS = {"A": {"users": 10, "clicks": 1}, "B": {"users": 12, "clicks": 2}}


def read(folder: Path, name: str, text: str) -> dict[str, Any]:
    file = folder / name
    file.write_bytes(text.encode())
    return read_ab_test(file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "variant,users,clicks\nA,10,1\nB,12,2\n"),
        ("t.csv", "\ufeffVariant; Users ;Clicks\r\nA;10;1\r\n\r\nB;12;2"),
        ("t.TSV", "clicks\tvariant\tusers\tconversions\n1\tA\t10\t\n2\tB\t12\t\n"),
        ("t.json", '{"variants": {"A": {"users":10,"clicks":1}, "B": {"users":12,"clicks":2}}}'),
        ("t.yml", "variants:\n  A: {users: 10, clicks: 1}\n  B:\n    users: 12\n    clicks: 2\n"),
    ],
)
def test_all_forms_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, name, text) == {"variants": VARIANTS}


def test_names_in_yaml_may_be_numbers(tmp_path: Path) -> None:
    said = read(tmp_path, "t.yaml", "control: 1\nvariants: {1: {clicks: 3}, 2: {clicks: 4}}")
    assert said == {"control": "1", "variants": {"1": {"clicks": 3}, "2": {"clicks": 4}}}


def test_cells_that_are_no_whole_number_are_left_to_the_check(tmp_path: Path) -> None:
    said = read(tmp_path, "t.csv", "variant,clicks\nA,1.5\nB,-3\nC,nan\n")
    assert said["variants"] == {"A": {"clicks": "1.5"}, "B": {"clicks": -3}, "C": {"clicks": "nan"}}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "", "empty"),
        ("t.csv", "name,clicks\nA,1\n", "one of them `variant`"),
        ("t.csv", "variant,clicks,clicks\nA,1,2\n", "given twice"),
        ("t.csv", "variant,clicks\nA,1\nA,2\n", "given twice"),
        ("t.csv", "variant,clicks\nA,1\nB,2,3\n", "Row 3 must have 2 cells"),
        ("t.json", "{", "not valid JSON"),
        ("t.json", '{"variants": {"A": {"clicks": NaN}}}', "not valid JSON"),
        ("t.json", '{"variants": {"A": {}, "A": {}}}', "given twice"),
        ("t.json", "[]", "must be a mapping"),
        ("t.yaml", "variants: {A: {}, A: {}}", "given twice"),
        ("t.yaml", "a: &a [*a]\nb: !!python/object:os.system {}", "not valid YAML"),
        ("t.yaml", "x: " + "[" * 1000, "not valid YAML"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        read(tmp_path, name, text)


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidRequest, match="UTF-8"):
        read_ab_test(tmp_path / "t.csv")
    with pytest.raises(InvalidRequest, match="can't be read"):
        read_ab_test(tmp_path / "none.csv")
