"""A list that stands before the name of what it lists: "spring, summer and winter versions"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_app.workflows.assistant.passage import MARK, Passage, joined

_HEADS = (
    re.compile(
        r" (?:versions?|variants?|variations?|editions?|options?|themes?|looks?|moods?|styles"
        r"|alternatives?|backgrounds)\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?:的)?(?:这?[两二三四五六2-6]个?(?:不同的)?)?(?:版本|版|变体|风格|主题|方案|款"
        r"|背景(?=[两二三四五]))"
    ),
    re.compile(
        r" ?(?:(?:두|세|네|[2-6]) ?(?:가지|개) ?)?(?:버전|시안|변형|테마|에디션|스타일"
        r"|안(?=[을으]))"
    ),
)
_REACH = 160
"""Characters before its name in which a list is looked for."""

_EN_STOP = (
    r"(?:make|create|generate|produce|design|prepare|give|show|do|try|need|want|with|of|in|for|the"
    r"|a|an|me|us|our|two|three|four|five|\d|into|as|to|has|have|its?|this|please|:)"
)
_EN_FIRST = re.compile(rf"^(?:.{{0,{_REACH}}}\b{_EN_STOP} )?(?=\S)", re.IGNORECASE | re.DOTALL)
_EN_BREAK = re.compile(r",\s?(?:and |or )?| (?:and|or|&) ", re.IGNORECASE)
_ZH_FIRST = re.compile(
    r"^(?:.{0,160}(?:制作|做成|做|出|生成|变成|改成|成|用|为|要|的|把|给我|来))?(?=\S)", re.DOTALL
)
_ZH_BREAK = re.compile(r"[、,，]\s?|[和与或及]")
_KO_FIRST = re.compile(r"^(?:.{0,160}\s)?(?=\S)", re.DOTALL)
_KO_BREAK = re.compile(
    rf"[,，]\s?(?:그리고 )?|(?<=[가-힣{MARK}])와\s|(?<=[가-힣{MARK}]{{1}})과\s|(?<=[가-힣])랑\s"
    r"| (?:그리고|및|또는) "
)
_FORMS = tuple(
    zip(
        _HEADS,
        (_EN_BREAK, _ZH_BREAK, _KO_BREAK),
        (_EN_FIRST, _ZH_FIRST, _KO_FIRST),
        (" version", "版本", " 버전"),
        strict=True,
    )
)
_PHRASE_END = re.compile(r"[:：;；(（]\s?")
_MOST_ITEM = 40
_ARTICLE = re.compile(r"\b(?:an?|the|this|our|one) $", re.IGNORECASE)
_COUNT = re.compile(r"\b(?:two|three|four|five|[2-9]|different|separate) $", re.IGNORECASE)
_KO_MADE = re.compile(r"(?:들?을|를)? ?만들(?:어서?|고)?\W{0,3}$")
_KO_MAKE = "으로 만들어 주세요"
_VOWEL = re.compile("[aeiou]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Listed:
    """``items`` and the words around their list; ``name`` is what each of them is."""

    before: Passage
    items: tuple[Passage, ...]
    name: str
    after: Passage

    def placed(self, item: Passage) -> Passage:
        """The sentence with ``item`` alone in place of the list."""
        before, after = self.before, self.after
        if self.name == " 버전" and _KO_MADE.match(after.masked):
            after = Passage(_KO_MAKE, _KO_MAKE)
        if self.name == " version":
            counted = _COUNT.search(before.masked)
            before = before if counted is None else before.part(0, counted.start())
            if _ARTICLE.search(before.masked) is None:
                article = "an " if _VOWEL.match(item.masked) else "a "
                before = joined(before, Passage(article, article), gap="")
        return joined(before, item, Passage(self.name, self.name), after, gap="").trimmed()


def listed_before(sentence: Passage) -> Listed | None:
    """Find such a list in ``sentence``, of two items or more and the last before its name."""
    for head, breaks, first, name in _FORMS:
        for found in head.finditer(sentence.masked):
            start = max(0, found.start() - _REACH, *_ends_before(sentence, found.start()))
            reach = sentence.part(start, found.start())
            spans = _tight([one.span() for one in breaks.finditer(reach.masked)], len(reach.text))
            if not spans:
                continue
            opening = reach.part(0, spans[0][0])
            lead = first.match(opening.masked)
            skipped = 0 if lead is None else lead.end()
            items = [opening.part(skipped).trimmed()]
            ends = [span[0] for span in spans[1:]] + [len(reach.text)]
            items += [
                reach.part(span[1], end).trimmed() for span, end in zip(spans, ends, strict=True)
            ]
            if all(item.says_something and len(item.text) <= _MOST_ITEM for item in items):
                before = sentence.part(0, start + skipped)
                return Listed(before, tuple(items), name, sentence.part(found.end()))
    return None


def _ends_before(sentence: Passage, end: int) -> list[int]:
    """Where phrases end before ``end``: no list goes on over a colon."""
    start = max(0, end - _REACH)
    return [start + one.end() for one in _PHRASE_END.finditer(sentence.masked[start:end])]


def _tight(spans: list[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """The last of ``spans`` that are near each other: further away is another phrase."""
    kept: list[tuple[int, int]] = []
    for span in reversed(spans):
        if end - span[1] > _MOST_ITEM:
            break
        kept.append(span)
        end = span[0]
    return kept[::-1]
