"""References become values, and values are never read as references."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.errors import InvalidRequest
from serve_app.workflows.saved.references import MAX_DEPTH, Filling, references

MARKS = ("${a}", "$${a}", "${", "}", "$", "'", '"', "{a}", "\\", "稽亭旨")
TEXT = st.text() | st.sampled_from(MARKS)


def filled(value: Any, **values: Any) -> Any:
    return Filling(values).filled(value, "job")


@settings(max_examples=60)
@given(TEXT, TEXT)
def test_values_come_out_literally(one: str, other: str) -> None:
    assert filled("${a}", a=one) == one
    assert filled("<${a}|${b}|${a}>", a=one, b=other) == f"<{one}|{other}|{one}>"
    assert filled({"x": ["${b}", {"y": " ${a}"}]}, a=one, b=other) == {
        "x": [other, {"y": f" {one}"}]
    }


@pytest.mark.parametrize("value", [3, 0.5, True, [1, 2, 3, 4], "text"])
def test_a_reference_alone_becomes_the_typed_value(value: Any) -> None:
    alone = filled("${a}", a=value)
    assert alone == value
    assert type(alone) is type(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (0.5, "0.5"), (True, "true"), ([1, 2, 3, 4], "[1, 2, 3, 4]"), ("x", "x")],
)
def test_within_text_values_stand_as_json(value: Any, text: str) -> None:
    assert filled("is ${a}", a=value) == f"is {text}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$${a}", "${a}"),
        ("$${", "${"),
        ("cost $5 {a} $a", "cost $5 {a} $a"),
        ("$${a} ${a}", "${a} 1"),
        ("${a}$${a}${a}", "1${a}1"),
        ("", ""),
    ],
)
def test_two_dollars_keep_the_braces(text: str, expected: str) -> None:
    assert filled(text, a=1) == expected


def test_names_of_fields_and_other_types_stay() -> None:
    job = {"${a}": 1, "n": None, "b": False, "f": 1.5}
    assert filled(job, a="x") == job


def test_references_are_told_with_their_paths() -> None:
    job = {"image": "${i}", "steps": [{"prompt": "x"}, {"prompt": "${a} ${b}, $${c}"}]}
    found = [(one.path, one.name, one.alone) for one in references(job, "job")]
    assert found == [
        ("job.image", "i", True),
        ("job.steps.1.prompt", "a", False),
        ("job.steps.1.prompt", "b", False),
    ]


@pytest.mark.parametrize(
    "text", ["${", "${}", "${a", "${ a }", "${1}", "${a-b}", "${a.b}", "${稽}", f"${{{'a' * 65}}}"]
)
def test_a_dollar_and_a_brace_that_begin_no_reference(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"write `\$\$\{`") as caught:
        list(references({"x": [text]}, "job"))
    assert caught.value.param == "job.x.0"


def test_what_is_nested_without_end_is_refused() -> None:
    value: Any = "x"
    for _ in range(MAX_DEPTH):
        value = [value]
    assert list(references(value, "job")) == []
    with pytest.raises(InvalidRequest, match="At most 16"):
        list(references([value], "job"))


def test_all_that_one_run_makes_is_counted_together() -> None:
    values: dict[str, Any] = {"a": "x" * 10_000}
    filling = Filling(values)
    assert filling.filled(["${a}"] * 1000, "alone") == [values["a"]] * 1000  # nothing is made
    values["n"] = 1
    made = filling.filled(["<${a}>"] * 199, "job")
    assert made == [f"<{'x' * 10_000}>"] * 199
    with pytest.raises(InvalidRequest, match="longer than 2000000") as caught:
        filling.filled(["is ${n}", "<${a}>"], "parameters.b")
    assert caught.value.param == "parameters.b.1"


def test_a_text_is_refused_before_it_is_made() -> None:
    filling = Filling({"a": "x" * 100})
    assert len(filling.filled("${a}" * 10, "p", 1000)) == 1000
    for text in ("${a}" * 10 + "!", "!" + "${a}" * 10, "${a}" * 100_000):
        with pytest.raises(InvalidRequest, match="longer than 1000") as caught:
            filling.filled(text, "p", 1000)
        assert caught.value.param == "p"
    assert filling.filled("y" * 2000, "p", 1000) == "y" * 2000  # it is made of nothing
    assert filling.filled("${a}", "p", 10) == "x" * 100


def test_doubling_without_end_is_refused() -> None:
    filling = Filling({"a": "x" * 10_000})
    with pytest.raises(InvalidRequest, match="longer than 2000000") as caught:
        filling.filled(["${a}${a}"] * 1000, "job")
    assert str(caught.value.param).startswith("job.")
