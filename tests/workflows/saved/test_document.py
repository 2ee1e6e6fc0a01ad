"""A workflow is sound as a whole, and a run of it can only fail by its values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.api.workflow_parsing import parse_document
from serve_app.config import LimitsConfig
from serve_app.errors import InvalidRequest, MissingField, UnknownField
from serve_app.workflows.saved.document import WorkflowDocument

Json = dict[str, Any]
BAD, MISSING, UNKNOWN = InvalidRequest, MissingField, UnknownField


def document(parameters: Json, **job: Any) -> WorkflowDocument:
    """A workflow whose job refers to all of the parameters."""
    every = {"all": [f"${{{name}}}" for name in parameters]}
    return parse_document({"parameters": parameters, "job": job or every}, LimitsConfig())


def told(error: pytest.ExceptionInfo[InvalidRequest]) -> tuple[type[InvalidRequest], str | None]:
    return type(error.value), error.value.param


EACH: Json = {
    "s": {"type": "string"},
    "n": {"type": "number"},
    "i": {"type": "integer"},
    "b": {"type": "boolean"},
    "m": {"type": "image"},
    "c": {"type": "color"},
    "x": {"type": "box"},
}
VALUES: Json = {
    "s": "稽",
    "n": 0.5,
    "i": 3,
    "b": False,
    "m": "@photo",
    "c": "#FFaa00",
    "x": [1, 2, 30, 40],
}


def test_values_of_every_type_arrive_as_they_are() -> None:
    assert document(EACH).filled(VALUES) == {"all": list(VALUES.values())}
    whole = document({"n": {"type": "number"}}).filled({"n": 2})
    assert type(whole["all"][0]) is int


@pytest.mark.parametrize("name", EACH)
def test_values_of_other_types_are_refused(name: str) -> None:
    others = {"s": 3, "n": "3", "i": 3.0, "b": 1, "m": {}, "c": "red", "x": [1, 2, 3]}
    wrong: list[Any] = [others[name], {}, [], [1, 2, 3, 4.0], [True, 1, 2, 3]]
    wrong += [] if name == "b" else [True]
    for value in wrong:
        with pytest.raises(InvalidRequest) as caught:
            document(EACH).filled(VALUES | {name: value})
        assert told(caught) == (BAD, f"parameters.{name}")
        assert caught.value.message.startswith(f"`{name}` must be ")


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        ({"type": "integer", "minimum": 2, "maximum": 4}, [2, 4], [1, 5]),
        ({"type": "number", "minimum": 0.5}, [0.5, 10**30], [0.4, float("inf"), float("nan")]),
        ({"type": "number", "maximum": -1}, [-1.0, -2], [0, float("-inf")]),
        ({"type": "string", "max_length": 3}, ["", "abc", "稽亭旨"], ["abcd", "\ud800"]),
        ({"type": "string"}, ["x" * 10_000], ["x" * 10_001]),
        ({"type": "string", "choices": ["a", "b"]}, ["a", "b"], ["c", "A", ""]),
        ({"type": "integer", "choices": [1, 3]}, [1, 3], [2, True]),
        ({"type": "color"}, ["#000000"], ["#00000", "#0000000", "000000", "#GG0000", "#000000\n"]),
        ({"type": "image"}, ["img-1", "data:x"], ["", "\ud800"]),
    ],
)
def test_ranges_and_choices(declared: Json, good: list[Any], bad: list[Any]) -> None:
    workflow = document({"p": declared})
    for value in good:
        assert workflow.filled({"p": value}) == {"all": [value]}
    for value in bad:
        with pytest.raises(InvalidRequest) as caught:
            workflow.filled({"p": value})
        assert told(caught) == (BAD, "parameters.p")


def test_missing_and_unknown_parameters() -> None:
    workflow = document({"a": {"type": "string"}, "b": {"type": "string", "default": "x"}})
    for values in ({}, {"b": "y"}, {"a": None}):
        with pytest.raises(MissingField) as missing:
            workflow.filled(values)
        assert told(missing) == (MISSING, "parameters.a")
    with pytest.raises(UnknownField) as unknown:
        workflow.filled({"a": "x", "z" * 100: 1})
    assert told(unknown) == (UNKNOWN, f"parameters.{'z' * 64}")
    assert workflow.filled({"a": "1", "b": None}) == {"all": ["1", "x"]}


def test_defaults_refer_to_others_whatever_the_order() -> None:
    workflow = document(
        {
            "line": {"type": "string", "default": "${headline} today, ${count}x"},
            "headline": {"type": "string", "default": "OPEN"},
            "again": {"type": "integer", "default": "${count}"},
            "count": {"type": "integer", "default": 2},
            "literal": {"type": "string", "default": "$${headline}"},
        }
    )
    assert workflow.filled({})["all"] == ["OPEN today, 2x", "OPEN", 2, 2, "${headline}"]
    given = workflow.filled({"headline": "${count}", "count": 7})["all"]
    assert given == ["${count} today, 7x", "${count}", 7, 7, "${headline}"]
    assert workflow.filled({"line": "${headline}"})["all"][0] == "${headline}"


def test_a_default_made_of_others_is_checked_when_they_are_known() -> None:
    workflow = document(
        {
            "name": {"type": "string"},
            "greeting": {"type": "string", "max_length": 8, "default": "Hi ${name}!"},
        }
    )
    assert workflow.filled({"name": "Ann"})["all"][1] == "Hi Ann!"
    with pytest.raises(InvalidRequest) as caught:
        workflow.filled({"name": "Annabel"})
    assert told(caught) == (BAD, "parameters.greeting")


@pytest.mark.parametrize(
    ("defaults", "at", "through"),
    [
        ({"a": "${b}", "b": "${a}"}, "a", "a -> b -> a"),
        ({"a": "x${a}"}, "a", "a -> a"),
        ({"z": "${a}", "a": "${b}", "b": "${c} ${d}", "c": "1", "d": "${a}"}, "a", "a -> b -> d"),
    ],
)
def test_cycles(defaults: dict[str, str], at: str, through: str) -> None:
    parameters = {name: {"type": "string", "default": it} for name, it in defaults.items()}
    with pytest.raises(InvalidRequest, match=f"refers to itself through {through}") as caught:
        document(parameters)
    assert told(caught) == (BAD, f"parameters.{at}.default")


def test_doubling_defaults_end() -> None:
    parameters = {f"p{i}": {"type": "string", "default": f"${{p{i + 1}}}" * 9} for i in range(20)}
    parameters["p20"] = {"type": "string", "default": "x" * 10}
    workflow = document({"p20": parameters["p20"]})
    assert workflow.filled({}) == {"all": ["x" * 10]}
    with pytest.raises(InvalidRequest) as caught:
        document(parameters)
    assert str(caught.value.param).startswith("parameters.p")


def composed(count: int, length: int) -> Json:
    """``count`` parameters whose defaults are made of one, each ``length`` characters long."""
    made = {"type": "string", "default": "${x}" * (length // 100)}
    return {"x": {"type": "string", "default": "y" * 100}, **{f"p{i}": made for i in range(count)}}


def test_a_default_made_of_others_is_no_longer_than_any_text() -> None:
    """One step of doubling, and no more, so that a hundred parameters can't fill the memory."""
    assert len(document(composed(1, 10_000)).filled({})["all"][1]) == 10_000
    for kind in ("string", "color", "image"):
        parameters = composed(1, 10_100)
        parameters["p0"] = parameters["p0"] | {"type": kind}
        with pytest.raises(InvalidRequest, match="longer than 10000") as caught:
            document(parameters)
        assert told(caught) == (BAD, "parameters.p0.default")
    workflow = document(composed(1, 9_000))
    with pytest.raises(InvalidRequest) as caught:
        workflow.filled({"x": "y" * 1000})
    assert told(caught) == (BAD, "parameters.p0")


def test_an_image_goes_through_defaults_whole() -> None:
    parameters = {"m": {"type": "image"}, "n": {"type": "image", "default": "${m}"}}
    url = "data:image/png;base64," + "A" * 100_000
    assert document(parameters).filled({"m": url})["all"] == [url, url]


def test_defaults_and_job_are_counted_together() -> None:
    """Two million characters for all of it, however they are spread."""
    parameters = composed(99, 10_000)  # 990,000 characters
    every = [f"${{p{i}}}" for i in range(99)]
    fits = document(parameters, all=every, more=["<${p0}>"] * 100)
    assert len(fits.filled({})["more"]) == 100
    with pytest.raises(InvalidRequest, match="longer than 2000000") as caught:
        document(parameters, all=every, more=["<${p0}>"] * 101)
    assert told(caught) == (BAD, "job.more.100")
    workflow = document(composed(99, 9_000), all=every, more=["<${p0}>"] * 110)
    with pytest.raises(InvalidRequest, match="longer than 2000000") as caught:
        workflow.filled({"x": "y" * 111})
    assert told(caught) == (BAD, "job.more.101")


def test_the_order_of_variants_is_part_of_what_a_workflow_says() -> None:
    one, other = {"prompt": "x", "seed": 1}, {"prompt": "y"}
    says = document({}, kind="variants", variants={"A": one, "B": other})
    again = document({}, variants={"A": {"seed": 1, "prompt": "x"}, "B": other}, kind="variants")
    turned = document({}, kind="variants", variants={"B": other, "A": one})
    assert says.digest == again.digest
    assert says.digest != turned.digest


STRING = {"type": "string"}
# What is wrong, and which error about which field says so.
BAD_DOCUMENTS: list[tuple[Json, type[InvalidRequest], str]] = [
    ({}, MISSING, "job"),
    ({"job": None}, MISSING, "job"),
    ({"job": []}, BAD, "job"),
    ({"job": {}, "parameters": []}, BAD, "parameters"),
    ({"job": {}, "description": 3}, BAD, "description"),
    ({"job": {}, "description": "a\nb"}, BAD, "description"),
    ({"job": {}, "description": "\ud800"}, BAD, "description"),
    ({"job": {}, "name": "x"}, UNKNOWN, "name"),
    ({"job": {}, "steps": []}, UNKNOWN, "steps"),
    ({"job": {}, "parameters": {str(i): STRING for i in range(101)}}, BAD, "parameters"),
    *(
        ({"job": {}, "parameters": {name: STRING}}, BAD, f"parameters.{name[:64]}")
        for name in ("", "1", "a-b", "a b", "a.b", "稽", "a" * 65)
    ),
    ({"job": {"x": ["${a}"]}}, BAD, "job.x.0"),
    ({"job": {"x": {"y": "of ${a"}}}, BAD, "job.x.y"),
    ({"job": {}, "parameters": {"a": STRING}}, BAD, "parameters.a"),
    ({"job": {"x": "$${a}"}, "parameters": {"a": STRING}}, BAD, "parameters.a"),
    ({"job": {"x": "photo ${a}"}, "parameters": {"a": {"type": "image"}}}, BAD, "job.x"),
]
# The same of one parameter, with the path below it.
BAD_PARAMETERS: list[tuple[Any, type[InvalidRequest], str]] = [
    ("string", BAD, ""),
    (None, BAD, ""),
    ({}, MISSING, ".type"),
    ({"type": "text"}, BAD, ".type"),
    ({"type": None}, MISSING, ".type"),
    (STRING | {"required": True}, UNKNOWN, ".required"),
    (STRING | {"description": ""}, BAD, ".description"),
    (STRING | {"minimum": 1}, UNKNOWN, ".minimum"),
    (STRING | {"maximum": 1}, UNKNOWN, ".maximum"),
    ({"type": "integer", "max_length": 1}, UNKNOWN, ".max_length"),
    ({"type": "boolean", "choices": [True]}, UNKNOWN, ".choices"),
    ({"type": "image", "choices": ["a"]}, UNKNOWN, ".choices"),
    ({"type": "box", "choices": [[0, 0, 1, 1]]}, UNKNOWN, ".choices"),
    (STRING | {"max_length": 0}, BAD, ".max_length"),
    (STRING | {"max_length": 10_001}, BAD, ".max_length"),
    (STRING | {"max_length": 1.5}, BAD, ".max_length"),
    (STRING | {"choices": []}, BAD, ".choices"),
    (STRING | {"choices": ["a"] * 101}, BAD, ".choices"),
    (STRING | {"choices": "ab"}, BAD, ".choices"),
    (STRING | {"choices": ["a", 1]}, BAD, ".choices.1"),
    (STRING | {"choices": ["a", "abc"], "max_length": 2}, BAD, ".choices.1"),
    (STRING | {"default": 3}, BAD, ".default"),
    (STRING | {"default": "c", "choices": ["a"]}, BAD, ".default"),
    (STRING | {"default": "abc", "max_length": 2}, BAD, ".default"),
    (STRING | {"default": "${b}"}, BAD, ".default"),
    (STRING | {"default": "${"}, BAD, ".default"),
    ({"type": "integer", "default": "3"}, BAD, ".default"),
    ({"type": "integer", "default": True}, BAD, ".default"),
    ({"type": "integer", "default": 1, "minimum": 2}, BAD, ".default"),
    ({"type": "integer", "minimum": 2, "maximum": 1}, BAD, ".maximum"),
    ({"type": "integer", "minimum": "2"}, BAD, ".minimum"),
    ({"type": "integer", "minimum": 1.5}, BAD, ".minimum"),
    ({"type": "integer", "minimum": 1, "maximum": 2.0}, BAD, ".maximum"),
    ({"type": "number", "minimum": float("nan")}, BAD, ".minimum"),
    ({"type": "color", "default": "red"}, BAD, ".default"),
    ({"type": "box", "default": [1, 2]}, BAD, ".default"),
]


def test_bad_documents(subtests: pytest.Subtests) -> None:
    of_one = [
        ({"job": {"x": "${a}"}, "parameters": {"a": value}}, kind, f"parameters.a{below}")
        for value, kind, below in BAD_PARAMETERS
    ]
    for values, kind, path in BAD_DOCUMENTS + of_one:
        with subtests.test(json.dumps(values)[:80]):
            with pytest.raises(InvalidRequest) as caught:
                parse_document(values, LimitsConfig())
            assert told(caught) == (kind, path), caught.value.message


def test_a_default_of_another_parameters_type_is_refused() -> None:
    parameters = {"a": {"type": "integer", "default": "${b}"}, "b": {"type": "string"}}
    with pytest.raises(InvalidRequest) as caught:
        document(parameters)
    assert told(caught) == (BAD, "parameters.a.default")


def test_examples_are_values_that_parameters_take() -> None:
    parameters: Json = EACH | {
        "choice": {"type": "string", "choices": ["only", "these"]},
        "short": {"type": "string", "max_length": 2},
        "high": {"type": "integer", "minimum": 50},
        "low": {"type": "number", "maximum": -0.5},
    }
    workflow = document(parameters)
    shown = dict(zip(parameters, workflow.example()["all"], strict=True))
    assert workflow.filled(shown) == workflow.example()
    assert (shown["choice"], shown["short"]) == ("only", "ex")
    assert (shown["high"], shown["low"], shown["i"]) == (50, -0.5, 1)
    assert shown["m"] == "img-" + "0" * 64


_DECLARED = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "description": st.text("abc 稽", min_size=1).filter(str.strip).map(str.strip),
        "default": st.text("abc", min_size=1, max_size=5),
        "max_length": st.integers(5, 10_000),
    },
)


@settings(max_examples=30)
@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), _DECLARED))
def test_documents_survive_json(parameters: Json) -> None:
    workflow = document(parameters)
    again = WorkflowDocument.from_json(json.loads(json.dumps(workflow.to_json())))
    assert again == workflow
    assert again.digest == workflow.digest
    assert workflow.to_json()["parameters"] == parameters
