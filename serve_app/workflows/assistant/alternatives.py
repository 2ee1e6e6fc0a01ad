"""The separate ideas that a brief wants compared, or as a series: what differs, and what is shared.

The forms are tried in this order, and the first that yields two ideas or more counts:

1. labels: "A: …; B: …", "Variant A: …", A版：…, A안은 …;
2. "one with …, one with …", 一个…一个…, 하나는 … 다른 하나는 …;
3. a list after its name, or a numbered one: "Versions: …; …", "1. … 2. …";
4. a list before its name: "spring, summer and winter versions", 春、夏两个版本, 봄, 여름 버전;
5. what is set against each other: "… vs …", "… or …", 还是, 아니면.

An idea that leaves out what it shares with the first is completed by ``completed``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from serve_app.workflows.assistant.comparing import ABOUT_IT, COMPARED, TESTED
from serve_app.workflows.assistant.completion import completed
from serve_app.workflows.assistant.instructions import numbered, sentences_of
from serve_app.workflows.assistant.listing import Listed, listed_before
from serve_app.workflows.assistant.passage import MARK, Passage
from serve_app.workflows.assistant.proposal import MOST_EDITS

_LABEL = re.compile(
    r"(?:^|(?<=[\s,;:.，；：。、(]))"
    r"(?:(?:variants?|versions?|options?|variations?|变体|版本|方案|选项|시안|버전|옵션)\s?)?"
    r"([A-H])\s?"
    r"(?:(?:版本|方案|版|组|案|안|버전)\s?(?:用|是|为|은|는|:|：|=)|[:：=])\s{0,3}",
    re.IGNORECASE,
)
_HEADED = re.compile(
    r"(?:\b(?:versions?|variants?|variations?|options?|alternatives|ideas|themes)\b"
    r"|\b(?:two|three|four|[2-6]) [\w-]{2,20}"
    r"|版本|变体|方案|主题|버전|시안|변형|옵션|테마)[^:：.。\n]{0,12}[:：]",
    re.IGNORECASE,
)
_ONE = re.compile(
    r"[,;]?\s?(?:and |or |the )?\b(?:one|another|the other|a second|a third)"
    r"(?: one| version| variant| option)? "
    r"(?=(?:with|in|showing|on|at|as|where|that|has|using|without)\b)"
    r"|[,，;；]?\s?(?:另一[个版张种款]|另外一[个版]|一[个版张种款](?=[是用有为,，把将加换在带写]))"
    r"(?:是|用|有|为)?"
    r"|[,，]?\s?(?:그리고 )?(?:하나는|다른 하나는|또 하나는|나머지 하나는|또 다른 하나는) ?",
    re.IGNORECASE,
)
_SEMICOLONS = re.compile(r"[;；\n]")
_COMMAS = re.compile(
    r"\s?[,，、]\s{0,3}(?:(?:and|or) )?|\s(?:and|or|&)\s|\s(?:그리고|또는|및)\s|[和与或及]"
    rf"|(?<=[가-힣{MARK}])와\s|(?<=[가-힣{MARK}]{{2}})과\s",
    re.IGNORECASE,
)

# From the one that says most clearly that two things are compared to the one that says least.
_BETWEEN = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\s?[,，]?\s?(?<![a-z])(?:vs\.?|versus)(?![a-z])\s{0,3}|\sagainst\s",
        r"\s?[,，]?\s?(?:还是|对比(?!测试)|或者|或)\s?|,?\s(?:아니면|또는|혹은|대)\s|,\s(?:or )?"
        r"|,?\sor\s|、",
        rf"\sand\s|[和与跟]|(?<=[가-힣{MARK}])와\s|(?<=[가-힣{MARK}]{{2}})과\s|(?<=[가-힣])랑\s",
        r"\s(?:with|to)\s",
    )
)
# "And" belongs to an instruction that is tested as a whole ("Add a hat and a scarf and test it"),
# and "to" to any instruction that is not compared ("Change the door to green").
_IN_A_WHOLE, _IN_A_TEST, _IN_A_COMPARISON = _BETWEEN[:2], _BETWEEN[:3], _BETWEEN
_ONLY_VERSIONS = re.compile(
    r"^(?:please )?(?:make|create|generate|produce|design|prepare|try|we need|i want|i need)\b"
    r"[^.\n]{0,24}\b(?:variants?|versions?|options?|variations?|alternatives)\b[^.\n]{0,40}$"
    r"|^[^。\n]{0,8}(?:做|制作|出|来|要)[^。\n]{0,8}(?:版本|版|方案|变体)$"
    r"|^.{0,12}(?:버전|시안|안)(?:을|를)? ?(?:만들어|제작해|준비해) ?(?:줘|주세요)$",
    re.IGNORECASE,
)
"""A sentence that asks for versions and says nothing of the picture."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the ideas, and the name that the brief gives it, if it does.

    ``words`` tell it from the others.
    """

    idea: Passage
    words: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Alternatives:
    """``ideas`` that differ, at least two, and the ``shared`` sentences around them.

    ``form`` completes "The ideas are …".
    """

    ideas: tuple[Alternative, ...]
    shared: tuple[Passage, ...]
    form: str


def alternatives_of(passage: Passage, cleaned: Passage) -> Alternatives | None:
    """Find the ideas in ``cleaned``, which is ``passage`` without the words about the test itself.

    ``passage`` still tells whether anything is compared. ``None`` if there are fewer than two, or
    more than ``MOST_EDITS``: then it is no list of ideas.
    """
    found = (
        _labelled(cleaned)
        or _one_and_one(cleaned)
        or _headed(cleaned)
        or _before_their_name(cleaned)
        or _against(cleaned, _dividers(passage))
    )
    if found is None or not 2 <= len(found.ideas) <= MOST_EDITS:
        return None
    shared = tuple(one for one in found.shared if _ONLY_VERSIONS.search(one.masked) is None)
    return replace(found, shared=shared)


def _labelled(passage: Passage) -> Alternatives | None:
    labels = list(_LABEL.finditer(passage.masked))
    names = [found[1].upper() for found in labels]
    if len(names) < 2 or len(set(names)) < len(names):
        return None
    ends = [found.start() for found in labels[1:]] + [len(passage.text)]
    ideas = [
        passage.part(found.end(), end).trimmed() for found, end in zip(labels, ends, strict=True)
    ]
    # What follows the last one is about all of them.
    last, *after = sentences_of(ideas[-1]) or [ideas[-1]]
    ideas[-1] = last
    if not all(idea.says_something for idea in ideas):
        return None
    shared = (*sentences_of(passage.part(0, labels[0].start())), *after)
    named = zip(ideas, names, strict=True)
    return Alternatives(
        tuple(Alternative(idea, idea.line, name) for idea, name in named), shared, "labelled"
    )


def _headed(passage: Passage) -> Alternatives | None:
    found = _HEADED.search(passage.masked)
    entries = numbered(passage if found is None else passage.part(found.end()))
    if len(entries) > 1:
        start = passage.masked.find(entries[0].masked)
        shared = sentences_of(passage.part(0, start)) if found is None else ()
        return _plain(entries, tuple(one for one in shared if len(one.text) > 3), "numbered")
    if found is None:
        return None
    rest = passage.part(found.end())
    parts = rest.split(_SEMICOLONS)
    if len(parts) < 2:
        first, *others = sentences_of(rest) or [rest]
        return _plain(first.split(_COMMAS), tuple(others), "a list after its name")
    return _plain(parts, (), "a list after its name")


def _one_and_one(passage: Passage) -> Alternatives | None:
    spans = [found.span() for found in _ONE.finditer(passage.masked)]
    if len(spans) < 2:
        return None
    start = spans[0][0]
    ideas = passage.part(start).between([(a - start, b - start) for a, b in spans])
    return _plain(ideas, tuple(sentences_of(passage.part(0, start))), "told one by one")


def _dividers(passage: Passage) -> tuple[re.Pattern[str], ...]:
    """What stands between ideas, if ``passage`` is about a test or a comparison at all."""
    if not TESTED.search(passage.masked):
        return ()
    if COMPARED.search(passage.masked):
        return _IN_A_COMPARISON
    return _IN_A_WHOLE if ABOUT_IT.search(passage.masked) else _IN_A_TEST


def _against(passage: Passage, dividers: Sequence[re.Pattern[str]]) -> Alternatives | None:
    sentences = sentences_of(passage)
    for pattern in dividers:
        for index, sentence in enumerate(sentences):
            parts = sentence.split(pattern)
            if len(parts) > 1:
                others = (*sentences[:index], *sentences[index + 1 :])
                return _plain(completed(parts), others, "set against each other")
    return None


def _before_their_name(passage: Passage) -> Alternatives | None:
    sentences = sentences_of(passage)
    for index, sentence in enumerate(sentences):
        found: Listed | None = listed_before(sentence)
        if found is not None:
            others = (*sentences[:index], *sentences[index + 1 :])
            ideas = tuple(Alternative(found.placed(item), item.line) for item in found.items)
            return Alternatives(ideas, others, "a list before its name")
    return None


def _plain(ideas: list[Passage], shared: tuple[Passage, ...], form: str) -> Alternatives | None:
    if len(ideas) < 2:
        return None
    return Alternatives(tuple(Alternative(idea, idea.line) for idea in ideas), shared, form)
