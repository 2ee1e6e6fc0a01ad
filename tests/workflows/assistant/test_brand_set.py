"""Brand sets: variations, formats, and the elements of the brand."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.workflows.assistant.assistant import propose
from serve_app.workflows.assistant.proposal import Brief, PlanKind, Proposal
from tests.workflows.assistant.briefs import FORMATS


def proposed(text: str, **others: Any) -> Proposal:
    return propose(Brief(text, FORMATS, kind=PlanKind.BRAND_SET, **others))


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("for an Instagram story", ["instagram_story"]),
        ("Instagram post and story", ["instagram_story", "instagram_post"]),
        ("for Instagram", ["instagram_story", "instagram_post"]),
        ("a Twitter card", ["twitter_card"]),
        ("an X post and a blog header", ["twitter_card", "blog_header"]),
        ("for our blog", ["blog_header", "blog_thumbnail"]),
        ("blog_thumbnail", ["blog_thumbnail"]),
        ("做Instagram快拍", ["instagram_story"]),
        ("推特卡片和博客头图", ["twitter_card", "blog_header"]),
        ("缩略图", ["blog_thumbnail"]),
        ("인스타 스토리, 트위터 카드", ["instagram_story", "twitter_card"]),
        ("블로그 썸네일", ["blog_thumbnail"]),
        ("all formats", list(FORMATS)),
        ('write "Instagram story" on it', list(FORMATS)),
    ],
)
def test_formats_that_are_named_are_the_targets(text: str, targets: list[str]) -> None:
    assert proposed(text).specification["targets"] == targets


def test_sizes_are_targets_of_their_own() -> None:
    proposal = proposed("Banner in 1080x1350 and 99999x50")
    assert proposal.specification["targets"] == [
        {"name": "1080x1350", "width": 1080, "height": 1350}
    ]
    assert any("99999x50" in question for question in proposal.questions)


def test_platforms_without_a_target_are_asked_about() -> None:
    assert any("小红书" in question for question in proposed("小红书封面").questions)
    assert any("linkedin" in one.casefold() for one in proposed("a post for LinkedIn").questions)


@pytest.mark.parametrize(
    ("text", "brand"),
    [
        ("for Instagram in #0a84ff and #FFFFFF", {"colors": ["#0A84FF", "#FFFFFF"]}),
        ("Our brand colors are navy and gold. Add a hat.", {"colors": ["#000080", "#FFD700"]}),
        ("Add a red hat", {}),
        ("品牌颜色是蓝色和金色", {"colors": ["#0000FF", "#FFD700"]}),
        ("브랜드 컬러는 네이비와 골드", {"colors": ["#000080", "#FFD700"]}),
        ("Add snow, in a minimalist style", {"style": "minimalist"}),
        ("简约风格", {"style": "简约"}),
        ("put our logo in the bottom left corner", {"logo_position": "bottom_left"}),
        ("在右上角加上我们的标志", {"logo_position": "top_right"}),
    ],
)
def test_elements_are_read_from_the_brief(text: str, brand: dict[str, Any]) -> None:
    assert proposed(text).specification["brand"] == brand


def test_names_of_colours_are_told_as_a_guess() -> None:
    proposal = proposed("Our brand colors are navy and gold.")
    assert any("navy as #000080" in reason for reason in proposal.reasons)
    assert any("exact brand colours" in question for question in proposal.questions)


def test_elements_that_are_given_are_not_mixed_with_the_briefs() -> None:
    proposal = proposed("Brand colours: navy", brand={"colors": ["#123456"]})
    assert proposal.specification["brand"] == {"colors": ["#123456"]}


def test_a_logo_that_is_missing_is_asked_for_and_never_drawn() -> None:
    proposal = proposed("Make it brighter and put our logo in the top right corner")
    assert [one["prompt"] for one in proposal.specification["variations"]] == ["Make it brighter"]
    assert any("brand.logo" in question for question in proposal.questions)
    given = proposed("Add our logo", brand={"logo": "@logo", "colors": ["#000000"]})
    assert not any("logo" in question for question in given.questions)


def test_alternatives_are_variations_and_formats_are_in_no_prompt() -> None:
    proposal = proposed("Make spring, summer and autumn versions of this photo for Instagram")
    assert proposal.specification["variations"] == [
        {"name": "spring", "prompt": "Make a spring version of this photo"},
        {"name": "summer", "prompt": "Make a summer version of this photo"},
        {"name": "autumn", "prompt": "Make an autumn version of this photo"},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "All formats, please",
        "Make versions for Instagram",
        "Create images for our blog header and Instagram",
        "Please make this photo fit for Instagram and Twitter",
        "Resize to 1080x1080 and 5x7",
        "Hi team! Please make images for our blog. Thanks!",
        "为博客头图和Instagram制作图片",
        "请让这张照片适合Instagram和推特",
        "调整为1080x1080和5x7",
        "인스타그램용 버전을 만들어줘",
        "1080x1080과 5x7로 크기를 조정해줘",
    ],
)
def test_a_brief_without_a_change_keeps_the_subject_and_asks(text: str) -> None:
    proposal = proposed(text)
    (variation,) = proposal.specification["variations"]
    assert variation["prompt"].startswith(("Keep the subject", "保持主体", "주제는 그대로"))
    assert any("What should change" in question for question in proposal.questions)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Resize to 1080x1080 and add a hat", "add a hat"),
        ("For Instagram: make the two dogs different sizes", "make the two dogs different sizes"),
        ("Hi! For our blog, please. Add a red hat.", "Add a red hat"),
    ],
)
def test_what_changes_is_the_prompt(text: str, prompt: str) -> None:
    assert [one["prompt"] for one in proposed(text).specification["variations"]] == [prompt]


def test_a_size_too_small_is_asked_about() -> None:
    proposal = proposed("Resize to 1080x1080 and 5x7")
    assert [one["name"] for one in proposal.specification["targets"]] == ["1080x1080"]
    assert any("5x7" in question for question in proposal.questions)
