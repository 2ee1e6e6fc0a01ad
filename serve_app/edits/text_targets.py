"""Which words an edit is about: what should be read in the result, and what no longer.

Read from the instruction, in English, Chinese and Korean, where it quotes them: the quotations
become marks, and the patterns below say what stands around them. What no pattern knows stays
unknown; a guess would reject good edits. Every gap is bounded, so all patterns are linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_app.edits.quotations import quotations, without_quotations


@dataclass(frozen=True, slots=True)
class TextTargets:
    """``expected`` should be readable in the result and ``old`` gone; ``None`` where not known."""

    expected: str | None = None
    old: str | None = None


NO_TEXT = TextTargets()
"""Nothing is known of any words."""

# One private character stands for a quotation.
_Q = "\ue000"
_GAP = rf"[^{_Q}.。;；]"
_OLD, _NEW = "old", "new"


def _pattern(pattern: str, *roles: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """What the quotations in ``pattern``, written as Q, are: ``roles`` in their order."""
    return re.compile(pattern.replace("Q", f"({_Q})").replace("~", _GAP)), roles


# Tried in this order; a quotation that one has taken is not looked at again.
_PATTERNS = (
    # Two quotations: one becomes the other.
    _pattern(r"\b(?:change|replace|swap|switch|turn|update|edit|correct|fix|rename|translate|make)\b"
             r"~{0,60}Q~{0,40}?\b(?:to|with|into|by|as|for|say|says|read|reads)\b~{0,40}?Q",
             _OLD, _NEW),
    _pattern(r"\bfrom\b~{0,30}Q~{0,20}\b(?:to|into)\b~{0,30}Q", _OLD, _NEW),
    _pattern(r"Q~{0,20}\binstead of\b~{0,30}Q", _NEW, _OLD),
    _pattern(r"Q~{0,16}?(?:改成|改为|改作|换成|换为|替换成|替换为|更改为|修改为|变成|变为|更换为)~{0,10}Q",
             _OLD, _NEW),
    _pattern(r"Q(?:을|를|은|는|에서|이라는|라는)?~{0,20}Q(?:으로|로)? ?~{0,12}?"
             r"(?:바꿔|바꾸|변경|교체|수정|고쳐|대체)", _OLD, _NEW),
    # One that has to go.
    _pattern(r"\b(?:remove|delete|erase|get rid of|take out|drop|clear)\b~{0,60}Q", _OLD),
    _pattern(r"\b(?:replace|swap|substitute)\b~{0,60}Q~{0,30}?\b(?:with|by|for)\b", _OLD),
    _pattern(r"(?:去掉|去除|删除|删掉|移除|擦除|擦掉|抹去|抹掉|消除)~{0,20}Q", _OLD),
    _pattern(r"[把将]~{0,16}Q~{0,12}?(?:去掉|去除|删除|删掉|移除|擦除|擦掉|抹去|抹掉|消除)", _OLD),
    _pattern(r"Q~{0,16}?(?:지워|지우|제거|삭제|없애)", _OLD),
    # One that has to come. "The sign that says 'A'" only describes.
    _pattern(r"(?<!that )(?<!which )(?<!currently )\b(?:say|says|saying|read|reads|reading|spell|"
             r"spells|display|show)\b~{0,16}Q", _NEW),
    _pattern(r"\b(?:change|update|edit|switch|set|turn|correct|fix|make|translate)\b~{0,60}?"
             r"\b(?:to|into|as)\b~{0,30}?Q", _NEW),
    _pattern(r"\b(?:write|add|put|insert|place|print|paint|engrave|include|type|letter)\b~{0,40}?Q",
             _NEW),
    _pattern(r"(?:改成|改为|改作|换成|换为|替换成|替换为|更改为|修改为|变成|变为|写上|写着|写成|写|显示|"
             r"添加|增加|加上|加入|印上)~{0,16}Q", _NEW),
    _pattern(r"Q(?:이?라고) ?~{0,12}?(?:적|쓰|써|쓴|표시|추가|넣|바꿔|바꾸|변경)", _NEW),
    _pattern(r"Q~{0,12}?(?:으로|로) ?~{0,12}?(?:바꿔|바꾸|변경|교체|수정|고쳐|대체)", _NEW),
    _pattern(r"Q~{0,16}?(?:적어|적으|써 ?줘|써 ?주|써 ?넣|쓰|추가|넣어|새겨)", _NEW),
)  # fmt: skip

_NAMED_STYLE = re.compile(rf"{_Q}(?= ?(?:的|의)? ?(?:styles?\b|风格|画风|스타일|화풍|풍))")

# Without quotation marks only capitals at the end are sure: "change the sign to OPEN".
_CAPITALS = re.compile(
    r"\b(?:sign|signboard|label|banner|poster|billboard|text|word|words|caption|title|headline)\b"
    r"[^.;]{0,40}?\b(?:to|say|says|read|reads) (?:say |read )?"
    r"([A-Z0-9$€£][A-Z0-9 $€£%&.,:!?'/-]{0,60}[A-Z0-9!?%])[.!]?\s*$"
)


def text_targets(prompt: str) -> TextTargets:
    """Read the targets from an instruction, as far as it quotes them."""
    quoted = quotations(prompt)
    if not quoted:
        found = _CAPITALS.search(prompt)
        return TextTargets(found[1].strip()) if found and _has_letters(found[1]) else NO_TEXT
    template = without_quotations(prompt, _Q).casefold()
    template = _NAMED_STYLE.sub("\ue001", template)
    texts = {place: one.text.strip() for place, one in zip(_places(template), quoted, strict=True)}
    roles: dict[str, str] = {}
    for pattern, names in _PATTERNS:
        for found in pattern.finditer(template):
            places = [found.start(group) for group in range(1, len(names) + 1)]
            if all(place in texts for place in places):
                for place, name in zip(places, names, strict=True):
                    roles.setdefault(name, texts.pop(place))
    return TextTargets(roles.get(_NEW), roles.get(_OLD))


def wanted_text(prompt: str, expected: str | None, old: str | None) -> TextTargets:
    """The words that were named, whichever of them; if none were, those that ``prompt`` quotes."""
    if expected is not None or old is not None:
        return TextTargets(expected, old)
    return text_targets(prompt)


def _places(template: str) -> list[int]:
    """Where the marks are, of texts and of the names of styles."""
    return [place for place, letter in enumerate(template) if letter in "\ue000\ue001"]


def _has_letters(text: str) -> bool:
    return sum(letter.isalpha() for letter in text) >= 2
