"""What stands on signs in English, Chinese and Korean, and how it gets misspelt."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from numpy.random import Generator
from rapidfuzz.distance import Levenshtein


class Language(StrEnum):
    """By its ISO 639-1 code."""

    EN = "en"
    ZH = "zh"
    KO = "ko"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``headings`` are what gets edited, ``details`` what stands beside; or ``prices``."""

    headings: tuple[str, ...]
    details: tuple[str, ...]
    prices: tuple[str, ...]


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split(","))


VOCABULARIES = {
    Language.EN: Vocabulary(
        _listed(
            "OPEN,CLOSED,BAKERY,COFFEE,PARKING,ENTRANCE,MUSEUM,LIBRARY,FRESH BREAD,ICE CREAM,"
            "Flower Shop,Grand Hotel,Bookstore,Live Music,Garden Cafe,Pizza House,Happy Hour,"
            "Art Gallery,Bike Rental,Night Market,Fish Market,Barber Shop,Welcome,Sold Out,"
            "SUMMER SALE,WET PAINT"
        ),
        _listed(
            "Tue to Sunday,9 am to 6 pm,12 Main Street,Since 1987,Second floor,Please knock,"
            "Cash only,Ring the bell,Near the park,Made by hand,Every day,Mind the step"
        ),
        _listed("$4.50,$4.80,$12.90,$19.95,$7.25,$36.00,$108"),
    ),
    Language.ZH: Vocabulary(
        _listed(
            "营业中,暂停营业,今日特价,欢迎光临,新鲜水果,免费停车,禁止吸烟,北京烤鸭,咖啡厅,图书馆,"
            "手工面包,中医诊所,老街茶馆,火车站,海鲜市场,儿童公园,春季大促销,会员专享,鲜花店,"
            "自行车出租,音乐学校,美术馆"
        ),
        _listed(
            "周一至周五,上午九点开门,人民路18号,二楼左转,欢迎品尝,请勿拍照,现做现卖,谢绝还价,"
            "电话预约,始于1987年"
        ),
        _listed("38元,168元,每斤12元,25元,899元"),
    ),
    Language.KO: Vocabulary(
        _listed(
            "영업중,휴무일,커피하우스,어서오세요,오늘의특가,신선한과일,무료주차,도서관,전통찻집,"
            "수제빵집,한국식당,바다시장,어린이공원,봄맞이세일,서울미용실,주차금지,자전거대여,"
            "음악학원,미술관,꽃가게"
        ),
        _listed(
            "월요일 휴무,오전 아홉시,이층 왼쪽,전화 예약,매일 굽는 빵,현금 가능,포장 됩니다,"
            "사진 금지,중앙로 18"
        ),
        ("4,500원", "12,000원", "3,800원", "25,000원"),
    ),
}
"""Three to fourteen characters each."""

_PRICES = 0.15
"""Share of edits that change a price, where old and new are much alike."""

_ALIKE = ("O0QD", "I1L", "Z2", "S5", "B8", "UV", "CG")
"""Characters that even a person takes for each other: exchanging them is no visible error."""

_SOUNDS = 588, 28
"""Hangul syllables (Unicode 3.12): steps between first consonants, and between vowels."""


def change_of_words(language: Language, random: Generator) -> tuple[str, str]:
    """Draw what stands there and what shall stand there."""
    vocabulary = VOCABULARIES[language]
    words = vocabulary.prices if random.random() < _PRICES else vocabulary.headings
    old, new = random.choice(len(words), 2, replace=False)
    return words[int(old)], words[int(new)]


_TRIES = 500
"""Errors drawn before another way is taken; usually the first few do."""


def details(language: Language, count: int, random: Generator) -> tuple[str, ...]:
    """Draw ``count`` lines that stand beside and are kept."""
    lines = VOCABULARIES[language].details
    return tuple(lines[int(index)] for index in random.choice(len(lines), count, replace=False))


def misspelt(text: str, language: Language, random: Generator) -> tuple[str, str, str]:
    """Return ``text`` with one, with two or three, and with at least half of it wrong.

    Each builds on the one before. Case, spaces and punctuation count for nothing here, as in
    reading: what differs is letters, figures and signs.
    """
    slight = _worse(text, text, language, random)
    medium = _worse(text, slight, language, random)
    strong = medium
    for _ in range(len(letters(text)) // 2):
        strong = _worse(text, strong, language, random)
    return slight, medium, strong


def letters(text: str) -> str:
    """What counts of ``text``: its letters and figures without case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())


def _worse(right: str, wrong: str, language: Language, random: Generator) -> str:
    """``wrong`` with one more error, which takes it farther from ``right`` in any case."""
    reached = Levenshtein.distance(letters(right), letters(wrong))
    if reached >= len(letters(right)):
        return wrong
    for _ in range(_TRIES):
        worse = _with_error(wrong, language, random)
        if Levenshtein.distance(letters(right), letters(worse)) > reached and letters(worse):
            return worse
    # Words that are wrong in most places already get no farther by an error within.
    odd = next(it for it in "".join(VOCABULARIES[language].headings) if it not in right)
    while Levenshtein.distance(letters(right), letters(wrong)) <= reached:
        wrong += odd
    return wrong


def _with_error(text: str, language: Language, random: Generator) -> str:
    """One character exchanged, left out, put in, or swapped with the next."""
    at = _place(text, random)
    before, here, after = text[:at], text[at], text[at + 1 :]
    other = _other(here, language, random)
    wrong = (
        before + other + after,
        before + after,
        before + other + here + after,
        before + after[:1] + here + after[1:],
    )
    return wrong[int(random.integers(len(wrong)))]


def _place(text: str, random: Generator) -> int:
    places = [index for index, character in enumerate(text) if character.isalnum()]
    return places[int(random.integers(len(places)))]


def _other(character: str, language: Language, random: Generator) -> str:
    """Another character that could stand there, and that nobody takes for the same."""
    if character.isdigit():
        choices = "0123456789"
    elif language is Language.KO and random.random() < 0.5:
        return _sounding_otherwise(character, random)
    elif language is Language.EN:
        choices = "ABDEFHKLMNOPRSTWXY" if character.isupper() else "abdefhkmnoprstwxy"
    else:
        choices = "".join(VOCABULARIES[language].headings)
    others = [other for other in choices if other != character and not _alike(other, character)]
    return others[int(random.integers(len(others)))]


def _sounding_otherwise(syllable: str, random: Generator) -> str:
    """The syllable with another first consonant or vowel."""
    first, vowel = _SOUNDS
    code = ord(syllable) - ord("가")
    consonants, vowels, rest = code // first, code // vowel % 21, code % vowel
    if random.random() < 0.5:
        consonants = (consonants + int(random.integers(1, 19))) % 19
    else:
        vowels = (vowels + int(random.integers(1, 21))) % 21
    return chr(ord("가") + consonants * first + vowels * vowel + rest)


def _alike(one: str, other: str) -> bool:
    return any(one.upper() in group and other.upper() in group for group in _ALIKE)
