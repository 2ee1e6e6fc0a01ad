"""What the miniature's scenes are made of, with its names in English, Chinese and Korean.

Colours are sRGB, 0..255. Any two colours of one table differ by more than 12 % of full scale in
some channel, so that a change of colour is a change that the evaluation sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Language = Literal["en", "zh", "ko"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Name:
    """A word of the vocabulary in each language."""

    en: str
    zh: str
    ko: str

    def in_(self, language: Language) -> str:
        """The word in ``language``."""
        name: str = getattr(self, language)
        return name


COLOURS: dict[str, Rgb] = {
    "red": (214, 48, 49),
    "orange": (243, 146, 30),
    "yellow": (248, 222, 60),
    "green": (50, 165, 75),
    "blue": (45, 95, 215),
    "purple": (140, 65, 180),
    "white": (246, 246, 246),
    "black": (32, 32, 36),
}
COLOUR_NAMES = {
    "red": Name("red", "红色", "빨간색"),
    "orange": Name("orange", "橙色", "주황색"),
    "yellow": Name("yellow", "黄色", "노란색"),
    "green": Name("green", "绿色", "초록색"),
    "blue": Name("blue", "蓝色", "파란색"),
    "purple": Name("purple", "紫色", "보라색"),
    "white": Name("white", "白色", "흰색"),
    "black": Name("black", "黑色", "검은색"),
}

SHAPE_NAMES = {
    "circle": Name("circle", "圆形", "원"),
    "square": Name("square", "正方形", "사각형"),
    "triangle": Name("triangle", "三角形", "삼각형"),
    "star": Name("star", "星形", "별"),
    "heart": Name("heart", "心形", "하트"),
    "diamond": Name("diamond", "菱形", "마름모"),
}

# Paler than the objects' colours, so that no object vanishes before a background.
BACKGROUND_COLOURS: dict[str, Rgb] = {
    "pink": (245, 180, 200),
    "grey": (150, 150, 155),
    "sky blue": (140, 190, 240),
    "beige": (235, 215, 160),
    "mint": (150, 220, 175),
    "lavender": (190, 165, 235),
}
BACKGROUND_NAMES = {
    "pink": Name("pink", "粉色", "분홍색"),
    "grey": Name("grey", "灰色", "회색"),
    "sky blue": Name("sky blue", "天蓝色", "하늘색"),
    "beige": Name("beige", "米色", "베이지색"),
    "mint": Name("mint", "薄荷色", "민트색"),
    "lavender": Name("lavender", "淡紫色", "연보라색"),
}

PATTERN_NAMES = {
    "plain": Name("plain", "纯", "단색"),
    "gradient": Name("gradient", "渐变", "그라데이션"),
    "stripes": Name("stripes", "条纹", "줄무늬"),
}

# Row by row from the top: the cells of a grid of three by three.
PLACE_NAMES: tuple[Name, ...] = (
    Name("top left", "左上角", "왼쪽 위"),
    Name("top", "上方", "위쪽"),
    Name("top right", "右上角", "오른쪽 위"),
    Name("left", "左边", "왼쪽"),
    Name("centre", "中间", "가운데"),
    Name("right", "右边", "오른쪽"),
    Name("bottom left", "左下角", "왼쪽 아래"),
    Name("bottom", "下方", "아래쪽"),
    Name("bottom right", "右下角", "오른쪽 아래"),
)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SHORTEST_WORD, LONGEST_WORD = 2, 5
"""What a sign can say, in letters."""

_COMMON_WORDS = """
OPEN SALE EXIT STOP CAFE HOTEL PIZZA TAXI SHOP FREE BOOK MILK BAR TEA PARK BANK FOOD GYM
ZOO BUS INN SPA PUB DELI FISH RICE SOUP CAKE KIDS TOYS ART MUSIC DANCE FILM NEWS POST
WIFI CASH KEYS WINE BEER JUICE FRUIT PASTA SUSHI GRILL BREAD HONEY LEMON PEACH BEACH
POOL GATE LIFT PUSH PULL FIRE QUIET WASH VIP NEW HOT ICE YES GO UP ON OFF
"""
WORDS = tuple(_COMMON_WORDS.split())
"""Words that signs say in the samples; training signs also say letters drawn at random."""
