"""Saying an instruction again in other words, after an edit that didn't follow it.

Without a model the instruction stays as it is and a sentence is added, in its own language: the
place, the words letter by letter, or that the change must be seen. A model writes a new one,
which is used only if nothing that matters was lost on the way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from serve_app.edits.question import Question, Reply
from serve_app.edits.quotations import quotations, without_quotations
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import TextTargets

MAX_CHARACTERS = 4_000
"""Longest instruction that is made here; a sentence that doesn't fit is not added."""

MAX_TOKENS = 256
"""Longest instruction that a model is let write."""

Language = Literal["en", "zh", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "zh", "ko")

_SPELLED = 16
"""Longer texts are quoted, but not spelled."""

_INSIST = {
    "en": "Make this change clearly visible, and keep everything else exactly as it is.",
    "zh": "请让这个改动清晰可见,其他部分保持完全不变。",
    "ko": "이 변경이 뚜렷이 보이게 하고 나머지는 그대로 유지해 주세요.",
}
_INSIST_ON_ALL = {
    "en": "Make this change clearly visible in the whole picture.",
    "zh": "请让这个改动在整个画面中清晰可见。",
    "ko": "이 변경이 그림 전체에서 뚜렷이 보이게 해 주세요.",
}
_PLACE = {
    "en": "Make the change {place} of the picture, and nowhere else.",
    "zh": "只在画面的{place}进行改动。",
    "ko": "그림의 {place}만 변경해 주세요.",
}
_EXACT = {
    "en": "The text must read exactly “{text}”.",
    "zh": "文字必须准确写成“{text}”。",
    "ko": "글자는 정확히 “{text}”이어야 합니다.",
}
_EXACT_AND_SPELLED = {
    "en": "The text must read exactly “{text}”, letter by letter: {letters}.",
    "zh": "文字必须准确写成“{text}”,逐字为:{letters}。",
    "ko": "글자는 정확히 “{text}”이어야 하며, 한 글자씩 쓰면 {letters}입니다.",
}
PLACES: dict[str, dict[Language, str]] = {
    "top left": {"en": "in the top left", "zh": "左上方", "ko": "왼쪽 위"},
    "top": {"en": "at the top", "zh": "上方", "ko": "위쪽"},
    "top right": {"en": "in the top right", "zh": "右上方", "ko": "오른쪽 위"},
    "left": {"en": "on the left", "zh": "左侧", "ko": "왼쪽"},
    "centre": {"en": "in the centre", "zh": "中央", "ko": "가운데"},
    "right": {"en": "on the right", "zh": "右侧", "ko": "오른쪽"},
    "bottom left": {"en": "in the bottom left", "zh": "左下方", "ko": "왼쪽 아래"},
    "bottom": {"en": "at the bottom", "zh": "下方", "ko": "아래쪽"},
    "bottom right": {"en": "in the bottom right", "zh": "右下方", "ko": "오른쪽 아래"},
}
"""Where in a picture something is, as ``place_of`` names it."""

_SPECIAL = re.compile(r"<\|[^|>]*\|>")
_LABEL = re.compile(r"^(?:rewritten |new )?instruction\s*:\s*", re.IGNORECASE)
_ENDED = re.compile(r"[.!?。！？…][\"'”’」』)]*$")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


def plain_rewrite(
    prompt: str,
    edit_type: EditType,
    *,
    text: TextTargets,
    place: str | None,
    remedy: str,
) -> str:
    """Add to ``prompt`` what ``remedy`` says, in its language; its own words stay as they are.

    ``rewrite`` insists on the change, ``name_the_place`` names ``place`` (one of ``PLACES``)
    and ``quote_the_text`` the expected text; without a place or a text the two insist, too. The
    same call on the result changes nothing more, nor does one for which there is no room.
    """
    if any(_sentence(language, edit_type, text, place, remedy) in prompt for language in LANGUAGES):
        return prompt
    language = language_of(prompt)
    sentence = _sentence(language, edit_type, text, place, remedy)
    longer = _joined(prompt.rstrip(), sentence, language)
    return longer if len(longer) <= MAX_CHARACTERS else prompt


def place_of(x: float, y: float) -> str:
    """Name the ninth of the picture where a point lies; ``x`` and ``y`` are 0 to 1, from top left.

    Returns one of ``PLACES``.
    """
    row = ("top", "", "bottom")[min(2, int(3 * y))]
    column = ("left", "", "right")[min(2, int(3 * x))]
    return f"{row} {column}".strip() or "centre"


def language_of(prompt: str) -> Language:
    """The language of an instruction by its script; the words it quotes don't count."""
    own = without_quotations(prompt)
    if _HANGUL.search(own):
        return "ko"
    return "zh" if _HAN.search(own) else "en"


def rewriting_question(prompt: str, critique: Sequence[str]) -> Question:
    """Ask a model to write ``prompt`` better, given what was wrong with the last edit."""
    wrong = "".join(f"\n- {_one_line(reason)}" for reason in critique)
    return Question(
        "An image was edited by the instruction below, and the result was wrong."
        f"\n\nInstruction: {_one_line(prompt)}\n\nWhat was wrong:{wrong or ' it was not followed.'}"
        "\n\nRewrite the instruction so that an image editing model follows it: say exactly what "
        "to change and where, and what must stay. Ask for nothing new. Keep its language, and "
        "keep every quoted text exactly. Reply with the new instruction alone, in one paragraph.",
        max_tokens=MAX_TOKENS,
    )


def rewritten(reply: Reply, prompt: str) -> str | None:
    """The new instruction of a ``reply`` to ``rewriting_question``, if it can be trusted.

    ``None`` if it is empty, unchanged, several paragraphs, much longer than ``prompt``, in
    another language, without a text that ``prompt`` quotes, or spells a special token.
    """
    new = _unwrapped(_LABEL.sub("", reply.text.strip()))
    sane = (
        bool(new)
        and new != prompt.strip()
        and len(new.splitlines()) == 1
        and len(new) <= min(MAX_CHARACTERS, 400 + 2 * len(prompt))
        and not _SPECIAL.search(new)
        and language_of(new) == language_of(prompt)
        and all(quoted.text in new for quoted in quotations(prompt))
    )
    return new if sane else None


def _sentence(
    language: Language, edit_type: EditType, text: TextTargets, place: str | None, remedy: str
) -> str:
    if remedy == "name_the_place" and place in PLACES:
        return _PLACE[language].format(place=PLACES[place][language])
    if remedy == "quote_the_text" and text.expected:
        if len(text.expected) > _SPELLED:
            return _EXACT[language].format(text=text.expected)
        letters = "-".join(text.expected.replace(" ", ""))
        return _EXACT_AND_SPELLED[language].format(text=text.expected, letters=letters)
    insist = _INSIST_ON_ALL if edit_type is EditType.SEMANTIC else _INSIST
    return insist[language]


def _joined(prompt: str, sentence: str, language: Language) -> str:
    if not prompt:
        return sentence
    end, gap = ("。", "") if language == "zh" else (".", " ")
    return f"{prompt}{'' if _ENDED.search(prompt) else end}{gap}{sentence}"


def _unwrapped(text: str) -> str:
    """``text`` without quotation marks around all of it."""
    for opening, closing in ('""', "“”", "「」"):
        if len(text) > 1 and text[0] == opening and text[-1] == closing:
            inner = text[1:-1].strip()
            return text if closing in inner else inner
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())
