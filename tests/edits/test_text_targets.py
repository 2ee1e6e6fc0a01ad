import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.edits.quotations import quotations, without_quotations
from serve_app.edits.text_targets import NO_TEXT, TextTargets, text_targets

BOTH = TextTargets("CLOSED", "OPEN")


@pytest.mark.parametrize(
    ("prompt", "targets"),
    [
        ("Change 'OPEN' to 'CLOSED'", BOTH),
        ("change the sign from 'OPEN' to 'CLOSED'.", BOTH),
        ('Replace the word "OPEN" with "CLOSED", keep the font', BOTH),
        ("Replace the text “OPEN” on the door by “CLOSED”", BOTH),
        ("make the sign that says 'OPEN' say 'CLOSED'", BOTH),
        ("write 'CLOSED' instead of 'OPEN'", BOTH),
        ("Change 'Joe's Diner' to 'Ann's Diner'", TextTargets("Ann's Diner", "Joe's Diner")),
        ("change the sign to 'CLOSED'", TextTargets("CLOSED")),
        ("Make the sign say \"CLOSED\"", TextTargets("CLOSED")),
        ("the sign should read ‘CLOSED’", TextTargets("CLOSED")),
        ("add the text 'CLOSED' at the top", TextTargets("CLOSED")),
        ("write 'CLOSED' on the sign", TextTargets("CLOSED")),
        ("Change the sign to OPEN", TextTargets("OPEN")),
        ("make the banner say SALE 50%!", TextTargets("SALE 50%!")),
        ("remove the text 'OPEN'", TextTargets(old="OPEN")),
        ("Erase the word \"OPEN\" from the wall", TextTargets(old="OPEN")),
        ("replace the sign that says 'OPEN' with a painting", TextTargets(old="OPEN")),
        ("change the sign to 'CLOSED' and the background to red", TextTargets("CLOSED")),
        ("make the background red and the sign say 'CLOSED'", TextTargets("CLOSED")),
    ],
)  # fmt: skip
def test_english(prompt: str, targets: TextTargets) -> None:
    assert text_targets(prompt) == targets


@pytest.mark.parametrize(
    ("prompt", "targets"),
    [
        ('把"营业"改成"休息"', TextTargets("休息", "营业")),
        ("将“营业”替换为“休息”", TextTargets("休息", "营业")),
        ("把招牌上的「营业」换成「休息」", TextTargets("休息", "营业")),
        ("将牌子改成“休息”", TextTargets("休息")),
        ("让牌子写上'休息'", TextTargets("休息")),
        ('把牌子上的字改成"休息",背景换成红色', TextTargets("休息")),
        ('将背景改成红色,并把文字换成"休息"', TextTargets("休息")),
        ("在右上角添加文字“休息”", TextTargets("休息")),
        ("去掉“营业”两个字", TextTargets(old="营业")),
        ("把“营业”这两个字删除", TextTargets(old="营业")),
    ],
)
def test_chinese(prompt: str, targets: TextTargets) -> None:
    assert text_targets(prompt) == targets


@pytest.mark.parametrize(
    ("prompt", "targets"),
    [
        ("'커피'를 '맥주'로 바꿔줘", TextTargets("맥주", "커피")),
        ('간판의 "커피"를 "맥주"로 변경해 주세요', TextTargets("맥주", "커피")),
        ("'커피'라는 글자를 '맥주'로 수정해줘", TextTargets("맥주", "커피")),
        ("간판을 '맥주'로 바꿔줘", TextTargets("맥주")),
        ("간판에 “맥주”라고 써줘", TextTargets("맥주")),
        ("벽에 '맥주' 글씨를 추가해줘", TextTargets("맥주")),
        ("'커피' 글자를 지워줘", TextTargets(old="커피")),
        ('"커피"를 제거해', TextTargets(old="커피")),
    ],
)
def test_korean(prompt: str, targets: TextTargets) -> None:
    assert text_targets(prompt) == targets


@pytest.mark.parametrize(
    "prompt",
    [
        "make it a Ghibli scene",
        "redraw it in 'Ghibli' style",
        "change the picture to the 'Van Gogh' style",
        "把图片变成《千与千寻》的风格",
        "make the sign that says 'OPEN' red",
        "add a 12\" screen and a 15\" screen",
        "change the sign to something friendlier",
        "change the sign to BLUE or so",
        "",
    ],
)  # fmt: skip
def test_what_is_not_sure_is_not_known(prompt: str) -> None:
    assert text_targets(prompt) == NO_TEXT


def test_quotations_have_their_places() -> None:
    prompt = "Change “A b” to 'C's d'."
    assert [prompt[one.start + 1 : one.end - 1] for one in quotations(prompt)] == ["A b", "C's d"]
    assert without_quotations(prompt, "_") == "Change _ to _."


words = st.text("abc XYZ中文한글'\"“”‘’「」.,$", max_size=80)


@given(prompt=words)
def test_any_text_has_targets_that_stand_in_it(prompt: str) -> None:
    found = text_targets(prompt)
    for target in (found.expected, found.old):
        assert target is None or target in prompt


@given(
    old=st.text("ABCdef 123", min_size=1, max_size=20),
    new=st.text("ABCdef 123", min_size=1, max_size=20),
)
def test_any_two_words_change_places(old: str, new: str) -> None:
    found = text_targets(f"change “{old}” to “{new}”")
    assert found == TextTargets(new.strip(), old.strip())
