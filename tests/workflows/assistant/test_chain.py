"""Chains: which instructions, in which order, of which type."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.workflows.assistant.assistant import propose
from serve_app.workflows.assistant.proposal import Brief, PlanKind, Proposal
from tests.workflows.assistant.briefs import FORMATS


def proposed(text: str) -> Proposal:
    return propose(Brief(text, FORMATS, kind=PlanKind.CHAIN))


def steps(text: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = proposed(text).specification["steps"]
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Add a hat and a scarf", ["Add a hat and a scarf"]),
        ("Remove the car, the bin and the bike", ["Remove the car, the bin and the bike"]),
        ("Rotate it by 90. Then add a cat.", ["Rotate it by 90", "add a cat"]),
        ("Add a lamp next to the bed", ["Add a lamp next to the bed"]),
        ('Write "first. then second" on the wall', ['Write "first. then second" on the wall']),
        ("Enlarge it 1.5 times. Blur the back.", ["Enlarge it 1.5 times", "Blur the back"]),
        ("Step 1: remove the dog Step 2: add a cat", ["remove the dog", "add a cat"]),
        ("① 去掉汽车 ② 添加一棵树", ["去掉汽车", "添加一棵树"]),
        ("一、去掉汽车 二、添加一棵树", ["去掉汽车", "添加一棵树"]),
        ("고양이를 추가한 후에 배경을 지워줘", ["고양이를 추가해 주세요", "배경을 지워줘"]),
        ("사진을 밝게 하고 나무를 없애고 글자를 써줘",
         ["사진을 밝게 해 주세요", "나무를 없애 주세요", "글자를 써줘"]),
    ],
)  # fmt: skip
def test_one_step_per_instruction(text: str, expected: list[str]) -> None:
    assert [step["prompt"] for step in steps(text)] == expected


def test_a_style_goes_before_words_unless_the_brief_orders_them() -> None:
    listed = proposed('Write "SALE" on the sign. Make it a watercolor.')
    assert [step["edit_type"] for step in listed.specification["steps"]] == ["semantic", "text"]
    assert any("moved behind" in reason for reason in listed.reasons)
    ordered = proposed('First write "SALE" on the sign, then make it a watercolor.')
    assert [step["edit_type"] for step in ordered.specification["steps"]] == ["text", "semantic"]
    assert any("redraws" in question for question in ordered.questions)


def test_words_that_are_removed_need_not_wait_for_the_style() -> None:
    made = steps("Remove the text on the wall. Make it a watercolor.")
    assert [step["edit_type"] for step in made] == ["text", "semantic"]


def test_every_type_has_its_reason() -> None:
    reasons = proposed("Remove the car, then make it a watercolor").reasons
    assert "Step 1 is of type appearance. The instruction mentions removing." in reasons
    assert "Step 2 is of type semantic. The instruction mentions a style." in reasons


def test_what_is_left_out_is_told() -> None:
    proposal = proposed("Hello! This is our new shop. Remove the bin.")
    assert [step["prompt"] for step in proposal.specification["steps"]] == ["Remove the bin"]
    assert any("“This is our new shop”" in reason for reason in proposal.reasons)


def test_a_brief_without_instructions_is_one_step() -> None:
    assert [step["prompt"] for step in steps("More magic!")] == ["More magic"]


def test_descriptions_are_short_single_lines() -> None:
    (step,) = steps("Add a hat " + "that is very very large " * 10)
    assert len(step["description"]) <= 80
    assert step["description"].endswith("…")
