"""Variants: what is compared, under which names, by which metric."""

from __future__ import annotations

import pytest

from serve_app.workflows.assistant.assistant import propose
from serve_app.workflows.assistant.proposal import Brief, PlanKind, Proposal
from tests.workflows.assistant.briefs import FORMATS


def proposed(text: str) -> Proposal:
    return propose(Brief(text, FORMATS, kind=PlanKind.VARIANTS))


def variants(text: str) -> dict[str, str]:
    made = proposed(text).specification["variants"]
    return {name: one["prompt"] for name, one in made.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A/B test a red vs blue button", {
            "red-button": "Change the picture to this: a red button",
            "blue-button": "Change the picture to this: blue button"}),
        ("Test whether to change the background to a beach or a forest", {
            "background-beach": "change the background to a beach",
            "background-forest": "change the background to a forest"}),
        ('Variant A: write "BUY". Variant B: write "SHOP". Measure clicks.', {
            "A": 'write "BUY"', "B": 'write "SHOP"'}),
        ("Remove the bin. A/B test a red vs blue door", {
            "red-door": "Remove the bin. Change the picture to this: a red door",
            "blue-door": "Remove the bin. Change the picture to this: blue door"}),
        ("对比测试标题「立即购买」和「马上抢购」", {
            "A": "按以下内容修改画面：标题「立即购买」",
            "B": "按以下内容修改画面：标题「马上抢购」"}),
        ("把门变成红色还是绿色？", {"A": "把门变成红色", "B": "把门变成绿色"}),
        ("배경을 해변으로 바꾸기 vs 숲으로 바꾸기 A/B 테스트", {
            "A": "배경을 해변으로 바꾸기", "B": "배경을 숲으로 바꾸기"}),
    ],
)  # fmt: skip
def test_one_variant_per_idea(text: str, expected: dict[str, str]) -> None:
    assert variants(text) == expected


def test_a_lone_idea_is_tested_against_itself_and_asked_about() -> None:
    proposal = proposed("A/B test: remove the bin")
    assert {name: one["prompt"] for name, one in proposal.specification["variants"].items()} == {
        "subtle": "remove the bin. Keep the change subtle.",
        "bold": "remove the bin. Make the change bold and striking.",
    }
    assert any("tested against" in question for question in proposal.questions)


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("Test a red vs blue button for the highest CTR", "clicks"),
        ("red vs blue, we want likes", "engagements"),
        ("red vs blue, for more sales", "conversions"),
        ("red vs blue", "conversions"),
        ('the word "CLICK" vs the word "BUY", by engagement', "engagements"),
        ("红色还是蓝色，看点击率", "clicks"),
        ("红色还是蓝色，哪个点赞更多", "engagements"),
        ("红色还是蓝色，哪个购买更多", "conversions"),
        ("빨강 vs 파랑, 클릭률 기준으로", "clicks"),
        ("빨강 vs 파랑, 참여도가 중요해요", "engagements"),
        ("빨강 vs 파랑, 구매가 늘어나는 쪽", "conversions"),
    ],
)
def test_the_metric_is_the_first_that_is_mentioned(text: str, metric: str) -> None:
    assert proposed(text).specification["success_metric"] == metric


def test_formats_in_a_test_are_asked_about() -> None:
    proposal = proposed("A/B test a red vs blue door for an Instagram story")
    assert any("formats" in question for question in proposal.questions)


def test_hypotheses_are_asked_for_and_not_invented() -> None:
    proposal = proposed("red vs blue")
    assert any("hypothesis" in question for question in proposal.questions)
    assert all("hypothesis" not in one for one in proposal.specification["variants"].values())
