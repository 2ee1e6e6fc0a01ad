"""The separate instructions of a brief, in its order.

Numbers, words of sequence ("then", 然后, 그다음) and the ends of sentences cut; so do commas and
"and" before a verb. Korean verbs that go on ("바꾸고", "지운 다음") get the ending with which an
instruction ends. Quoted words are never cut, and all patterns are linear: gaps are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from serve_app.edits.classification import classify
from serve_app.edits.request import EditType
from serve_app.workflows.assistant.passage import Passage, joined
from serve_app.workflows.assistant.vocabulary import EN_VERB, ZH_VERB, asks_for_change, is_talk

_ZH_STARTS = rf"(?:{ZH_VERB}|在[^,，。]{{1,12}}?(?:添加|增加|加|写|放))"
_VERB_NEXT = rf"(?=(?:please |also )?{EN_VERB}\b)"

_EN_ORDER = (
    r"[,;]?\s{0,3}\b(?:and |but )?"
    r"(?:then\b|after (?:that|this)\b|afterwards?\b|subsequently\b"
    r"|(?:first of all|firstly|first|secondly|second|thirdly|third|fourth|next|finally|lastly|last"
    rf"|to finish|in the end)[,:]?\s{{1,3}}{_VERB_NEXT})[,:]?"
)
_ZH_ORDER = (
    r"[,，、;；]?\s{0,3}(?:然后|接着|接下来|随后|之后|最后|首先|其次|第[一二三四五六七八九十](?:步|[,，、:：])"
    r"|请?(?:先|再)(?=[把将给让添加去删换改写变移在裁剪调擦抹放]))"
    r"(?:再(?=[把将给添加去换改写变]))?[,，、:：]?"
)
_KO_ORDER = (
    r"[,，]?\s{0,3}(?<![가-힣])(?:그리고 ?나서|그리고|그런 ?다음에?|그 ?다음(?:에|으로)?"
    r"|다음(?:에|으로)|그 ?후에|이어서|마지막으로|끝으로|먼저|우선|첫째|둘째|셋째"
    r"|(?:첫|두|세) ?번째로)(?![가-힣])[,，:]?"
)
_ORDER = re.compile(rf"{_EN_ORDER}|{_ZH_ORDER}|{_KO_ORDER}", re.IGNORECASE)
"""Words that say in which order."""

_SENTENCE = re.compile(r"[.!?](?=\s|$)|[。！？；;\n]")
_SOFT = re.compile(
    rf",?\s{{1,3}}and\s{{1,3}}{_VERB_NEXT}|,\s{{0,3}}{_VERB_NEXT}"
    rf"|[,，、]\s{{0,3}}(?:并且|并|同时|也)?(?={_ZH_STARTS})|(?:并且|同时|并)(?={_ZH_STARTS})",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?:(?<=\s)|^|(?<=[:：,，;；。]))(?:step\s)?(\d{1,2})[.)、:：](?!\d)\s{0,3}"
    r"|([一二三四五六七八九十])、|([①-⑳])|\bstep (\d{1,2})\b[:,]?|(?<!\d)(\d{1,2})단계[:,]?",
    re.IGNORECASE,
)
_ZH_DIGITS = "一二三四五六七八九十"

_KO_ENDINGS = {
    "바꾸고": "바꿔 주세요", "바꾼": "바꿔 주세요",
    "지우고": "지워 주세요", "지운": "지워 주세요",
    "넣고": "넣어 주세요", "넣은": "넣어 주세요",
    "없애고": "없애 주세요", "없앤": "없애 주세요",
    "쓰고": "써 주세요", "쓴": "써 주세요",
    "적고": "적어 주세요", "적은": "적어 주세요",
    "만들고": "만들어 주세요", "만든": "만들어 주세요",
    "옮기고": "옮겨 주세요", "옮긴": "옮겨 주세요",
    "올리고": "올려 주세요", "올린": "올려 주세요",
    "고치고": "고쳐 주세요", "고친": "고쳐 주세요",
    "씌우고": "씌워 주세요", "씌운": "씌워 주세요",
    "빼고": "빼 주세요", "뺀": "빼 주세요",
    "키우고": "키워 주세요", "줄이고": "줄여 주세요",
    "추가하고": "추가해 주세요", "추가한": "추가해 주세요",
    "제거하고": "제거해 주세요", "제거한": "제거해 주세요",
    "삭제하고": "삭제해 주세요", "삭제한": "삭제해 주세요",
    "변경하고": "변경해 주세요", "변경한": "변경해 주세요",
    "교체하고": "교체해 주세요", "교체한": "교체해 주세요",
    "수정하고": "수정해 주세요", "수정한": "수정해 주세요",
    "보정하고": "보정해 주세요", "보정한": "보정해 주세요",
    "하고": "해 주세요", "한": "해 주세요",
}  # fmt: skip
_KO_GOES_ON = re.compile(
    "(?:(?P<go>"
    + "|".join(stem for stem in _KO_ENDINGS if stem.endswith("고") and len(stem) > 2)
    + r"|(?<=[게로] )하고|넣고|쓰고|적고|빼고)(?: 나서)?|(?P<after>"
    + "|".join(stem for stem in _KO_ENDINGS if not stem.endswith("고") and stem != "한")
    + r"|(?<=[게로] )한) (?:다음에?|후에?|뒤에?))(?:[,，]?\s{1,3}|[,，])"
)
_KO_UNFINISHED = re.compile(
    "(?:(?P<go>"
    + "|".join(stem for stem in _KO_ENDINGS if stem.endswith("고") and len(stem) > 2)
    + r"|(?<=[게로을를] )하고|넣고|쓰고|적고|빼고)|(?<=[해꿔워줘춰쳐겨려여어아써])서)$"
)
_PRONOUN = re.compile(rf"(?:also )?{EN_VERB} (?:it|them|him|her|its|their)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a brief is cut: ``start`` to ``end`` is dropped, ``ending`` ends what was before."""

    start: int
    end: int
    ending: str = ""
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Instructions:
    """``steps`` ask for changes; ``others`` don't, and are in no step.

    ``ordered`` tells whether the brief says in which order, by numbers or by words.
    """

    steps: tuple[Passage, ...]
    others: tuple[Passage, ...]
    ordered: bool


def instructions_of(passage: Passage) -> Instructions:
    """Cut ``passage`` into instructions; without any, all of it is one."""
    numbers = list(_numbers(passage.masked))
    orders = [_Cut(*found.span()) for found in _ORDER.finditer(passage.masked)]
    cuts = [
        *numbers,
        *orders,
        *(_Cut(*found.span()) for found in _SENTENCE.finditer(passage.masked)),
        *_going_on(passage.masked),
        *(_Cut(*found.span(), soft=True) for found in _SOFT.finditer(passage.masked)),
    ]
    ordered = bool(numbers or orders)
    steps: list[Passage] = []
    others: list[Passage] = []
    for piece, soft in _pieces(passage, sorted(cuts, key=lambda cut: (cut.start, cut.end))):
        if soft and steps and _refers_back(piece):
            steps[-1] = joined(steps[-1], piece, gap=" and ")
        elif asks_for_change(piece) or (ordered and not is_talk(piece)):
            # What stands in an order is an instruction, even with a verb that no rule knows.
            steps.append(piece)
        else:
            others.append(piece)
    if not steps:
        return Instructions((passage.trimmed(),), (), False)
    return Instructions(tuple(steps), tuple(others), ordered)


def sentences_of(passage: Passage) -> list[Passage]:
    """The sentences and lines of ``passage``, trimmed."""
    return passage.split(_SENTENCE)


def finished(passage: Passage) -> Passage:
    """``passage`` with the ending of an instruction, if it ends in a Korean verb that goes on."""
    found = _KO_UNFINISHED.search(passage.masked)
    if found is None:
        return passage
    ending = _KO_ENDINGS[found["go"]] if found["go"] else " 주세요"
    done = passage.part(0, found.start())
    return Passage(done.text + ending, done.masked + ending)


def numbered(passage: Passage) -> list[Passage]:
    """The entries of a list that counts from 1, without what comes before it; or nothing."""
    cuts = list(_numbers(passage.masked))
    if not cuts:
        return []
    start = cuts[0].start
    return passage.part(start).between([(cut.start - start, cut.end - start) for cut in cuts])


def _pieces(passage: Passage, cuts: list[_Cut]) -> Iterator[tuple[Passage, bool]]:
    """What lies between ``cuts``, and whether only a soft cut is before it."""
    end, soft = 0, False
    for cut in (*cuts, _Cut(len(passage.text), len(passage.text))):
        piece = passage.part(end, max(end, cut.start))
        if cut.ending:
            piece = Passage(piece.text + cut.ending, piece.masked + cut.ending)
        piece = piece.trimmed()
        if piece.says_something:
            yield piece, soft
            soft = cut.soft
        else:
            soft = soft and cut.soft
        end = max(end, cut.end)


def _numbers(text: str) -> Iterator[_Cut]:
    """Numbers that count 1, 2, … and so are of a list; nothing unless there are two."""
    cuts: list[_Cut] = []
    for found in _NUMBER.finditer(text):
        if _value(found) == len(cuts) + 1:
            cuts.append(_Cut(*found.span()))
    if len(cuts) > 1:
        yield from cuts


def _value(found: re.Match[str]) -> int:
    plain, chinese, circled, step, korean = found.groups()
    if chinese:
        return _ZH_DIGITS.index(chinese) + 1
    if circled:
        return ord(circled) - ord("①") + 1
    return int(plain or step or korean)


def _going_on(text: str) -> Iterator[_Cut]:
    """Korean verbs after which another instruction comes."""
    for found in _KO_GOES_ON.finditer(text):
        stem = found["go"] or found["after"]
        yield _Cut(*found.span(), ending=_KO_ENDINGS[stem])


def _refers_back(piece: Passage) -> bool:
    """Whether ``piece`` says "it" of what was just named, and not of the whole picture."""
    if _PRONOUN.match(piece.masked) is None:
        return False
    return classify(piece.text).edit_type is not EditType.SEMANTIC
