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
        ("Which background works better, a beach or a forest?", {
            "beach": "Change the background to this: a beach",
            "forest": "Change the background to this: a forest"}),
        ("Which color performs best, red, green or blue?", {
            "red": "Change the color to this: red",
            "green": "Change the color to this: green",
            "blue": "Change the color to this: blue"}),
        ("Which headline gets more clicks: 'Sale' or 'Now'?", {
            "sale": "Change the headline to this: 'Sale'",
            "now": "Change the headline to this: 'Now'"}),
        ("What works better for our shop: a beach or a city?", {
            "beach": "Change the picture to this: a beach",
            "city": "Change the picture to this: a city"}),
        ("Make the sky red and test which works better: with clouds or without clouds", {
            "sky-red-clouds": "Make the sky red with clouds",
            "sky-red-without-clouds": "Make the sky red without clouds"}),
        ("哪个背景效果更好，海滩还是森林？", {"A": "把背景改成：海滩", "B": "把背景改成：森林"}),
        ("어느 문구가 클릭을 더 받을까: '세일' 또는 '지금'?", {
            "A": "사진에서 문구 부분을 다음과 같이 바꿔 주세요: '세일'",
            "B": "사진에서 문구 부분을 다음과 같이 바꿔 주세요: '지금'"}),
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
    ("text", "instruction"),
    [
        ("Make the sky red and A/B test it", "Make the sky red."),
        ("Change the button to green and A/B test it", "Change the button to green."),
        ("Add a hat and a scarf and A/B test it", "Add a hat and a scarf."),
        ("Change the button to green, then A/B test this", "Change the button to green."),
        ("Test whether a smiling model gets more clicks",
         "Change the picture to this: a smiling model."),
        ("Test if a red button gets more clicks", "Change the picture to this: a red button."),
        ("把按钮改成绿色并做A/B测试", "把按钮改成绿色。"),
        ("测试微笑的模特是否能带来更多点击", "按以下内容修改画面：微笑的模特。"),
        ("하늘을 빨갛게 바꾸고 A/B 테스트 해줘", "하늘을 빨갛게 바꿔 주세요."),
        ("버튼을 초록색으로 바꿔서 A/B 테스트 해줘", "버튼을 초록색으로 바꿔 주세요."),
        ("웃는 모델이 클릭을 더 받는지 테스트해줘", "사진을 다음과 같이 바꿔 주세요: 웃는 모델."),
    ],
)  # fmt: skip
def test_a_test_of_one_thing_leaves_its_instruction(text: str, instruction: str) -> None:
    made = variants(text)
    assert list(made) == ["subtle", "bold"]
    assert all(prompt.startswith(instruction) for prompt in made.values()), made
    assert any("tested against" in question for question in proposed(text).questions)


@pytest.mark.parametrize(
    ("text", "names", "said"),
    [
        ("A/B test: A: red button; B: red button", ["subtle", "bold"], "one idea"),
        ("A/B test: A: red button; B: red button; C: blue button", ["A", "C"], "2 ideas"),
    ],
)
def test_the_same_idea_twice_is_one(text: str, names: list[str], said: str) -> None:
    proposal = proposed(text)
    assert list(proposal.specification["variants"]) == names
    (counted,) = (reason for reason in proposal.reasons if "idea" in reason)
    assert said in counted


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
