"""Edit types chosen by rules."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.edits.classification import RULES, classify, takes_away
from serve_app.edits.request import EditType

TEXT, SEMANTIC, APPEARANCE, HYBRID = (
    EditType.TEXT,
    EditType.SEMANTIC,
    EditType.APPEARANCE,
    EditType.HYBRID,
)

ENGLISH = [
    ("Change the sign to OPEN", TEXT),
    ("Change the sign to say CLOSED", TEXT),
    ("Make the neon sign read COFFEE", TEXT),
    ("change 'A' to 'B'", TEXT),
    ('Replace "Hello" with "Goodbye"', TEXT),
    ("Replace the word ‘Summer’ with ‘Winter’", TEXT),
    ("Remove the text from the image", TEXT),
    ("Add a caption at the bottom", TEXT),
    ("Write “Tom's Diner” above the door", TEXT),
    ("Fix the spelling", TEXT),
    ("Add 'SALE' to the shirt", TEXT),
    ("Make the letters red", TEXT),
    ("Put the title in a bold font", TEXT),
    ("Turn this photo into a Ghibli scene", SEMANTIC),
    ("In the style of Van Gogh", SEMANTIC),
    ("Change the style to watercolor", SEMANTIC),
    ("Redraw him as a cartoon", SEMANTIC),
    ("in 'Ghibli' style", SEMANTIC),
    ("Rotate the view by 90 degrees", SEMANTIC),
    ("Show the car from behind", SEMANTIC),
    ("Make this character wave at the viewer", SEMANTIC),
    ("put him in anime style", SEMANTIC),
    ("Add a red hat", APPEARANCE),
    ("Remove the man's hat", APPEARANCE),
    ("Don't touch Tom's face, replace the dog with a cat", APPEARANCE),
    ("Erase the power lines", APPEARANCE),
    ("Change the background to a beach", APPEARANCE),
    ("Change the sign to red", APPEARANCE),
    ("Change the sign to a mirror", APPEARANCE),
    ("Turn the sky pink", APPEARANCE),
    ("Put a hat on the cat", APPEARANCE),
    ("change her hairstyle", APPEARANCE),
    ("Change the texture of the wall", APPEARANCE),
    ("add a cartoon cat", APPEARANCE),
    ("Add a hat and make it a watercolor", HYBRID),
    ("Replace the sign that says 'A' with a painting", HYBRID),
    ("Add a cat next to the sign that says 'OPEN'", HYBRID),
    ("Remove the car and write 'hello' on the wall", HYBRID),
    ("Replace the background with a Ghibli style forest", HYBRID),
    ("Surprise me", HYBRID),
    ("", HYBRID),
]

CHINESE = [
    ("把“A”改成“B”", TEXT),
    ('把"营业"改成"休息"', TEXT),
    ("把“你好”替换为“再见”", TEXT),
    ("在墙上添加文字“SALE”", TEXT),
    ("去掉图片里的文字", TEXT),
    ("把招牌上的字去掉", TEXT),
    ("修改标题", TEXT),
    ("在黑板上写上『欢迎』", TEXT),
    ("把标题换成「新年快乐」", TEXT),
    ("变成吉卜力风格", SEMANTIC),
    ("转换为《千与千寻》的风格", SEMANTIC),
    ("画成卡通", SEMANTIC),
    ("换一个视角", SEMANTIC),
    ("从后面看这辆车", SEMANTIC),
    ("给这个角色换个姿势", SEMANTIC),
    ("添加一只猫", APPEARANCE),
    ("删除左边的人", APPEARANCE),
    ("把苹果换成橘子", APPEARANCE),
    ("把车变成红色", APPEARANCE),
    ("给她戴上一顶帽子", APPEARANCE),
    ("把背景换成海滩", APPEARANCE),
    ("去掉十字路口的车", APPEARANCE),
    ("添加一只猫，然后变成水彩画", HYBRID),
    ("把“A”改成“B”，并删除左边的人", HYBRID),
    ("在写着“营业”的门旁边添加一只猫", HYBRID),
    ("让它更好看", HYBRID),
]

KOREAN = [
    ("'A'를 'B'로 바꿔줘", TEXT),
    ("“안녕”을 “잘가”로 교체해줘", TEXT),
    ("글자를 모두 지워줘", TEXT),
    ("벽에 '세일' 문구를 추가해줘", TEXT),
    ("간판을 영업중으로 바꿔줘", TEXT),
    ("텍스트를 삭제해줘", TEXT),
    ("제목을 수정해줘", TEXT),
    ("칠판에 환영이라고 써줘", TEXT),
    ("지브리 스타일로 바꿔줘", SEMANTIC),
    ("수채화 화풍으로 변경해줘", SEMANTIC),
    ("시점을 바꿔줘", SEMANTIC),
    ("뒤에서 본 모습으로 보여줘", SEMANTIC),
    ("캐릭터의 포즈를 바꿔줘", SEMANTIC),
    ("고양이를 추가해줘", APPEARANCE),
    ("왼쪽 사람을 지워줘", APPEARANCE),
    ("자동차를 빨간색으로 바꿔줘", APPEARANCE),
    ("간판을 빨간색으로 바꿔줘", APPEARANCE),
    ("배경을 해변으로 바꿔줘", APPEARANCE),
    ("모자를 씌워줘", APPEARANCE),
    ("헤어스타일을 바꿔줘", APPEARANCE),
    ("사과를 오렌지로 교체해줘", APPEARANCE),
    ("사람을 지우고 수채화로 그려줘", HYBRID),
    ("'영업중'이라고 적힌 간판을 지워줘", HYBRID),
    ("텍스트 옆에 고양이를 추가해줘", HYBRID),
    ("더 멋지게 해줘", HYBRID),
]


@pytest.mark.parametrize(("prompt", "expected"), ENGLISH + CHINESE + KOREAN)
def test_instruction(prompt: str, expected: EditType) -> None:
    classification = classify(prompt)
    assert classification.edit_type is expected, classification.reason


@pytest.mark.parametrize(
    "prompt",
    [
        "Don't change Tom's and Anna's coats",
        "the dogs' ball and the cats' bed",
        "it’s Tom’s hat",
        'a 5" nail, a 6" screw',
    ],
)
def test_apostrophes_and_inches_are_not_quotes(prompt: str) -> None:
    assert classify(prompt).edit_type is not TEXT
    assert "quotes" not in classify(prompt).reason


@pytest.mark.parametrize(
    "quoted", ['"A"', "'A'", "“A”", "‘A’", "「A」", "『A』", "《A》", "＂A＂", "'Tom's'"]
)
def test_every_kind_of_quote(quoted: str) -> None:
    assert classify(f"{quoted} please").edit_type is TEXT


def test_words_in_quotes_are_not_instructions() -> None:
    assert classify("write 'remove the Ghibli background'").edit_type is TEXT


def test_reason_names_rules_and_not_the_instruction() -> None:
    reason = classify("Add a canary-7f3a and write 'canary-7f3a'").reason
    assert "canary" not in reason
    assert "adding" in reason
    assert "words" in reason


def test_private_placeholder_in_a_prompt_means_nothing() -> None:
    assert classify("\ue000").edit_type is HYBRID


@given(st.text())
def test_any_text_has_an_answer_and_always_the_same(prompt: str) -> None:
    classification = classify(prompt)
    assert classification == classify(prompt)
    assert classification.reason.endswith(".")


vocabulary = st.sampled_from(
    [word for prompt, _ in ENGLISH + CHINESE + KOREAN for word in prompt.split()]
)


@given(st.lists(vocabulary, max_size=12))
def test_case_and_white_space_make_no_difference(words: list[str]) -> None:
    expected = classify(" ".join(words))
    assert classify("\n\t  ".join(words) + "  ") == expected
    assert classify(" ".join(words).upper()) == expected
    assert classify(" ".join(words).lower()) == expected


UNITS = [
    "'",
    '"',
    "a'",
    " '",
    "“",
    "「",
    "change ",
    "add a ",
    "sign ",
    "change sign ",
    "把",
    "写",
    "添加",
    "字",
    "글자를 ",
    "간판 ",
    "바꿔",
    "as a ",
    "\ue000",
    "\u3000",
    "a",
    "of ",
    "make the a ",
    "change the sign a a a ",
    "'a'a",
    "색",
    "변경 ",
    "가",
    "\ufdfa",
]


@pytest.mark.parametrize("unit", UNITS)
def test_long_adversarial_prompts_are_quick(unit: str) -> None:
    prompt = (unit * 4_000)[:4_000]
    started = time.process_time()
    classify(prompt)
    assert time.process_time() - started < 1.0  # a backtracking pattern takes minutes


@pytest.mark.parametrize(
    ("prompt", "removed"),
    [
        ("Remove the cup", True),
        ("make it blue and erase the spoon", True),
        ("把杯子去掉", True),
        ("컵을 지워 주세요", True),
        ("add a cup", False),
        ("turn it into a painting", False),
        ("把杯子改成红色", False),
        ("컵을 빨간색으로 바꿔 주세요", False),
    ],
)
def test_instructions_that_take_something_away_are_told(prompt: str, removed: bool) -> None:
    assert takes_away(prompt) is removed


def test_every_rule_has_a_plain_label() -> None:
    for rule in RULES:
        assert rule.label.replace(" ", "").isalpha()
