"""The elements of a brand that a brief names, where none are given: colours and a style."""

from __future__ import annotations

import re
from typing import Any

from serve_app.workflows.assistant.passage import MARK, Passage
from serve_app.workflows.assistant.proposal import Brief, Notes

_MOST_COLOURS = 12
_STYLE_CHARACTERS = 60

_HEX = re.compile(r"#([0-9A-Fa-f]{6})(?![0-9A-Za-z])")

_COLOURS = {
    # The keywords of CSS, and what is nearest to them in Chinese and Korean.
    "navy": "#000080", "藏青": "#000080", "深蓝": "#000080", "네이비": "#000080", "남색": "#000080",
    "blue": "#0000FF", "蓝": "#0000FF", "파란": "#0000FF", "파랑": "#0000FF", "블루": "#0000FF",
    "red": "#FF0000", "红": "#FF0000", "빨간": "#FF0000", "빨강": "#FF0000", "레드": "#FF0000",
    "green": "#008000", "绿": "#008000", "초록": "#008000", "녹색": "#008000", "그린": "#008000",
    "yellow": "#FFFF00", "黄": "#FFFF00", "노란": "#FFFF00", "노랑": "#FFFF00",
    "orange": "#FFA500", "橙": "#FFA500", "주황": "#FFA500", "오렌지": "#FFA500",
    "purple": "#800080", "紫": "#800080", "보라": "#800080",
    "pink": "#FFC0CB", "粉": "#FFC0CB", "분홍": "#FFC0CB", "핑크": "#FFC0CB",
    "gold": "#FFD700", "金": "#FFD700", "금색": "#FFD700", "골드": "#FFD700",
    "silver": "#C0C0C0", "银": "#C0C0C0", "은색": "#C0C0C0", "실버": "#C0C0C0",
    "teal": "#008080", "青": "#008080", "청록": "#008080",
    "turquoise": "#40E0D0", "beige": "#F5F5DC", "米": "#F5F5DC", "베이지": "#F5F5DC",
    "brown": "#A52A2A", "棕": "#A52A2A", "갈색": "#A52A2A",
    "black": "#000000", "黑": "#000000", "검은": "#000000", "검정": "#000000",
    "white": "#FFFFFF", "白": "#FFFFFF", "흰": "#FFFFFF", "하얀": "#FFFFFF",
    "gray": "#808080", "grey": "#808080", "灰": "#808080", "회색": "#808080",
    "violet": "#EE82EE", "maroon": "#800000", "olive": "#808000", "crimson": "#DC143C",
    "coral": "#FF7F50", "ivory": "#FFFFF0", "lavender": "#E6E6FA", "indigo": "#4B0082",
}  # fmt: skip
_NAMED = re.compile(
    r"\b(?:" + "|".join(name for name in _COLOURS if name.isascii()) + r")\b"
    r"|(?:"
    + "|".join(name for name in _COLOURS if not name.isascii() and "一" <= name[0] <= "鿿")
    + r")(?=色)|(?:"
    + "|".join(name for name in _COLOURS if "가" <= name[0] <= "힣")
    + ")",
    re.IGNORECASE,
)
_PALETTE = re.compile(
    r"\b(?:brand|our|company|corporate|house) (?:colou?rs?|palette)\b"
    r"|品牌(?:颜色|色彩|色)|主色调?|企业色"
    r"|브랜드 ?(?:컬러|색상|색깔|색)|메인 ?컬러|우리 ?(?:색상|컬러)"
)
_PALETTE_PHRASE = (
    r"[,，]?\s?(?:\b(?:in|with|using|use) )?(?:\b(?:our|the) )?"
    rf"(?:{_PALETTE.pattern})(?: ?(?:are|is|:|：|是|为|用|는|은|로|으로)){{0,2}}"
    r"(?:(?:[\s,、和与과와&]|\band\b){0,4}"
    rf"(?:#[0-9A-Fa-f]{{6}}|{_NAMED.pattern})(?:色|색)?){{0,12}}"
)
_LOGO_PHRASE = (
    r"[,，]?\s?(?:\band )?\b(?:put|add|place|include|with|show) (?:our|the|my|a) logo\b"
    r"(?: (?:in|at|on|to) (?:the )?"
    r"(?:top|bottom|upper|lower|left|right|cent(?:er|re)|corner|[ -]){1,6})?"
    r"|[,，]?(?:并且?|再)?(?:在[^,，。]{1,8}?)?(?:加上|放上|添加|加|放)"
    r"(?:我们的?|品牌的?)?(?:标志|logo|徽标)"
    r"|[,，]?\s?(?:[가-힣]{1,6} ?[가-힣]{0,4}에 )?로고(?:를|도)? ?"
    r"(?:[가-힣]{1,6} ?[가-힣]{0,4}에 )?"
    r"(?:넣어|추가해|올려|배치해) ?(?:줘|주세요)"
)
BRAND_PHRASE = re.compile(rf"{_PALETTE_PHRASE}|{_LOGO_PHRASE}", re.IGNORECASE)
"""What a brief says of the brand: prompts get the colours by their template, and a logo is never
imagined but composited."""

_REACH = 80
"""Characters after "brand colours" in which their names are looked for."""

_STYLE = re.compile(
    rf"\bstyles?(?: is| should be)? ?[:：] ?([^.;,。\n{MARK}]{{2,{_STYLE_CHARACTERS}}})"
    r"|\b(?:in|with|keep|use) (?:an?|our|the) ((?:[\w-]{2,20},? (?:and )?){1,3})"
    r"(?:brand )?(?:style|look|mood|aesthetic)\b"
    r"|风格[:：是]\s?([^,，。;；\n]{2,20})|([一-鿿]{2,4})风(?:格)?(?!景)"
    r"|스타일[:：]\s?([^,.\n]{2,20})"
    r"|([가-힣]{2,8}(?:하고 [가-힣]{2,8})?(?:한|적인)?) ?(?:스타일|느낌|분위기)",
    re.IGNORECASE,
)
_LOGO = re.compile(r"\blogos?\b|标志|徽标|logo|로고", re.IGNORECASE)
_LOGO_GOES = re.compile(
    r"\b(?:remove|delete|erase|without|no)\b[^.\n]{0,20}\blogo"
    r"|(?:去掉|删除|移除)[^。\n]{0,8}(?:标志|logo)|로고(?:를|을)? ?(?:제거|지워|삭제|빼)",
    re.IGNORECASE,
)
_LOGO_REACH = 32
_ROWS = (
    (
        "top",
        re.compile(
            r"\b(?:top|upper)\b|(?<=[左右])上|上(?=[角方])|顶部|위(?!치)|상단", re.IGNORECASE
        ),
    ),
    (
        "bottom",
        re.compile(
            r"\b(?:bottom|lower)\b|(?<=[左右])下|下(?=[角方])|底部|아래|하단", re.IGNORECASE
        ),
    ),
)
_COLUMNS = (
    ("left", re.compile(r"\bleft\b|左|왼쪽|좌측", re.IGNORECASE)),
    ("right", re.compile(r"\bright\b|右|오른쪽|우측", re.IGNORECASE)),
)
_CENTRE = re.compile(r"\bcent(?:er|re)\b|中央|中间|가운데|중앙", re.IGNORECASE)


def brand_of(brief: Brief, passage: Passage, notes: Notes) -> dict[str, Any]:
    """The brand elements: those given, or those that ``passage`` names, which may be none."""
    if brief.brand is not None:
        brand = dict(brief.brand)
        notes.reasons.append("The brand elements are those that the request gives.")
    else:
        brand = _read(passage, notes)
    if "logo_position" not in brand and (place := _logo_place(passage.masked)):
        brand["logo_position"] = place
        notes.reasons.append(f"The brief says where the logo goes: {place}.")
    if not brand.get("colors"):
        notes.questions.append(
            "Which are the brand's colours? Without `brand.colors` their share is not measured."
        )
    text = passage.masked
    if "logo" not in brand and _LOGO.search(text) and not _LOGO_GOES.search(text):
        notes.questions.append(
            "The brief mentions a logo, but none was given: store it with POST /v1/files and "
            "name its id as `brand.logo`, and its place as `brand.logo_position`. A logo is "
            "never imagined."
        )
    return brand


def _read(passage: Passage, notes: Notes) -> dict[str, Any]:
    brand: dict[str, Any] = {}
    colours = [f"#{found.upper()}" for found in _HEX.findall(passage.masked)]
    named = _named_colours(passage.masked)
    if named:
        shown = ", ".join(f"{name} as {code}" for name, code in named.items())
        notes.reasons.append(f"Brand colours that the brief names are read as in CSS: {shown}.")
        notes.questions.append("Are these the exact brand colours? Correct `brand.colors` if not.")
    if colours:
        notes.reasons.append(f"The brief names the colours {', '.join(dict.fromkeys(colours))}.")
    colours = list(dict.fromkeys([*colours, *named.values()]))[:_MOST_COLOURS]
    if colours:
        brand["colors"] = colours
    style = _STYLE.search(passage.masked)
    if style is not None:
        words = next(filter(None, style.groups())).strip(" ,、和")
        if words:
            brand["style"] = " ".join(words.split())
            notes.reasons.append(f"The brief names a style, “{brand['style']}”: it is the brand's.")
    return brand


def _logo_place(text: str) -> str | None:
    """The place that is named within a few words after the logo, or right before it."""
    found = _LOGO.search(text)
    if found is None:
        return None
    near = text[found.end() : found.end() + _LOGO_REACH]
    if "\uac00" <= text[found.start()] <= "\ud7a3" or not text[found.start()].isascii():
        near = text[max(0, found.start() - _LOGO_REACH // 2) : found.end() + _LOGO_REACH // 2]
    near = re.split(r"[.。;；\n]", near, maxsplit=1)[0]
    row = next((name for name, pattern in _ROWS if pattern.search(near)), "")
    column = next((name for name, pattern in _COLUMNS if pattern.search(near)), "")
    place = f"{row}_{column}".strip("_")
    return place or ("center" if _CENTRE.search(near) else None)


def _named_colours(text: str) -> dict[str, str]:
    """Codes of the colours that are named right after "brand colours", by their names."""
    found = _PALETTE.search(text.casefold())
    if found is None:
        return {}
    after = re.split(r"[.。;；\n]", text[found.end() : found.end() + _REACH], maxsplit=1)[0]
    return {name: _COLOURS[name.casefold()] for name in _NAMED.findall(after)}
