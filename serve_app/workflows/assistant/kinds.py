"""Which workflow a brief asks for, by rules that fit in one table.

As the rules of ``auto`` (``edits.classification``): English, Chinese and Korean, words in
quotation marks don't count, and every pattern is linear in the length of the brief. The rules are
tried in the order of the table, and the first that matches decides: whoever speaks of a test wants
to measure, on whatever platform; whoever speaks of platforms and sizes wants a set, in whatever
versions; and versions alone are made to be compared. All else is a chain, even of one step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_app.workflows.assistant.format_words import FORMAT, SETS
from serve_app.workflows.assistant.passage import Passage
from serve_app.workflows.assistant.proposal import Brief, PlanKind


@dataclass(frozen=True, slots=True)
class KindRule:
    """If ``pattern`` occurs in a brief, it asks for ``kind``; ``label`` is what it mentions."""

    kind: PlanKind
    label: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind, and one sentence that says why."""

    kind: PlanKind
    reason: str


def _rule(kind: PlanKind, label: str, pattern: str) -> KindRule:
    return KindRule(kind, label, re.compile(pattern, re.IGNORECASE))


_TEST, _SETS, _VERSIONS = "a test or comparison", "formats, sizes or platforms", "versions"

RULES: tuple[KindRule, ...] = (
    _rule(PlanKind.VARIANTS, _TEST,
          r"\ba ?[/|-] ?b(?: ?[/|-] ?n)?[- ]?(?:test|split|experiment|variants?|versions?)"
          r"|\bab[- ]test|\bsplit[- ]test|\bmultivariate\b"
          r"|\btest(?:ing)? (?!print|card|tube|drive|pattern)[^.!?\n]{1,80}"
          r"\b(?:against|vs|versus|or)\b"
          r"|\b(?:which|whether|what)\b[^.!?\n]{0,60}\b(?:works?|performs?|converts?|sells?|does|do"
          r"|clicks?|scores?) (?:best|better|more|the best)"
          r"|\b(?:which|what|(?:test|check|see|find out|know|learn)(?:ing)? (?:whether|if))\b"
          r"[^.!?\n]{0,60}\b(?:gets?|wins?|brings?|drives?|attracts?|receives?|earns?|generates?"
          r"|sells?|converts?|performs?|works?) (?:more|most|the most|better|best)\b"
          r"|(?:^|[.!?:;,] ?)(?:which|what)\b[^.!?\n]{0,40}"
          r"\b(?:is|are|looks?|feels?) (?:better|best)\b"
          r"|(?:^|[.!?:;,] ?)(?:do|does|will|would)\b[^.!?\n]{1,60}"
          r"\b(?:sell|work|convert|perform|get|look|do) (?:better|best|more)\b"
          r"|\b(?:people|users|customers) click more\b"
          r"|\bprefers? [^.!?\n]{1,60}\bor\b|\bset up an? (?:experiment|test)\b"
          r"|\bcompare [^.!?\n]{1,80}\b(?:with|against|to|and|vs)\b|\b(?:vs\.?|versus) "),
    _rule(PlanKind.VARIANTS, _TEST,
          r"[aａ] ?[/|]? ?[bｂ] ?(?:测试|对比|实验|测)|对比测试|测试对比|分组测试|变体|对照实验"
          r"|(?:哪[个种版款张一]|什么)[^。!?！？\n]{0,16}"
          r"(?:更好|最好|更高|最高|更多|更受欢迎|更吸引)"
          r"|(?:测试|检验|验证|看看|想知道)[^。!?！？\n]{1,40}(?:是否|会不会|能不能|能否)"
          r"[^。!?！？\n]{0,12}(?:更[多好高]|提[高升])"
          r"|(?:测试|比较|对比)(?:一下)?[^。!?！？\n]{1,40}(?:和|与|跟|还是|或)"
          r"|还是[^。!?！？\n]{1,20}更[^。!?！？\n]{1,6}"),
    _rule(PlanKind.VARIANTS, _TEST,
          r"a ?[/|]? ?b ?(?:테스트|실험|비교)|에이비 ?테스트|시안(?:을|를)? ?비교|비교 ?테스트"
          r"|비교 ?실험"
          r"|(?:어느|어떤|무엇|뭐)[^.!?\n]{0,24}(?:더|가장) ?[가-힣 ]{0,8}(?:나은|나을|낫|좋|높"
          r"|잘|많|효과|받|끌|팔)"
          r"|더 ?[가-힣 ]{0,8}[는은을]지 ?(?:테스트|확인|비교|실험|알아 ?보)"
          r"|(?:와|과|랑|vs\.?|대) [^.!?\n]{1,40}(?:비교|테스트)"),
    _rule(PlanKind.BRAND_SET, _SETS, FORMAT),
    _rule(PlanKind.BRAND_SET, _SETS, SETS),
    _rule(PlanKind.VARIANTS, _VERSIONS,
          r"\b(?:variants?|variations?|alternatives)\b"
          r"|\b(?:two|three|four|five|[2-9]|several|different|some) (?:[\w-]{1,20} )?"
          r"(?:versions|options)\b|\bversions\b"),
    _rule(PlanKind.VARIANTS, _VERSIONS,
          r"[两二三四五几多2-9]个?(?:不同的?)?(?:版本|方案|版|款)|不同(?:的)?(?:版本|方案)"),
    _rule(PlanKind.VARIANTS, _VERSIONS,
          r"시안|변형|(?:두|세|네|여러|[2-9]) ?(?:가지|개)?의? ?(?:버전|안)(?![가-힣]{2})"
          r"|버전(?:들|을|으로)? ?(?:각각|만들)"),
)  # fmt: skip


def choose_kind(brief: Brief, passage: Passage) -> Choice:
    """Choose the kind that ``brief``, whose text is ``passage``, asks for. Never raises."""
    if brief.kind is not None:
        return Choice(brief.kind, f"The kind is {brief.kind}, as the request says.")
    if brief.targets:
        return Choice(PlanKind.BRAND_SET, "`targets` are given: only a brand set has them.")
    found = next((rule for rule in RULES if rule.pattern.search(passage.masked)), None)
    if found is not None and found.label != _VERSIONS:
        return Choice(found.kind, f"The brief mentions {found.label}: kind {found.kind}.")
    if brief.brand is not None:
        return Choice(PlanKind.BRAND_SET, "`brand` is given: a brand set shows its elements.")
    if found is not None:
        return Choice(found.kind, f"The brief mentions {found.label}: kind {found.kind}.")
    return Choice(
        PlanKind.CHAIN,
        "The brief mentions neither a test nor formats: its instructions are a chain.",
    )
