"""What a test is to be decided by, as the brief says it."""

from __future__ import annotations

import re

from serve_app.workflows.assistant.passage import Passage

_CLICKS = r"\bclick(?:s|ed|-?through)?\b|\bctr\b|点击|클릭"
_ENGAGEMENTS = (
    r"\bengag\w{0,8}|\blikes\b|\bshares\b|\bcomments\b"
    r"|点赞|互动|收藏|转发|评论|참여|좋아요|댓글|공유"
)
_CONVERSIONS = (
    r"\bconver(?:t|ts|sions?)\b|\bsales?\b(?! (?:sign|tag|banner))|\bpurchases?\b|\bsells?\b"
    r"|\borders?\b|\bsign-?ups?\b|\bbuys?\b"
    r"|转化|购买|下单|销量|成交|구매|전환|판매|주문|가입"
)
_METRICS = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("clicks", _CLICKS),
        ("engagements", _ENGAGEMENTS),
        ("conversions", _CONVERSIONS),
    )
)

_EN_NAME = (
    r"(?:clicks?(?:-through(?: rates?)?)?|ctr|engagement|likes|conversions?|sales|purchases|orders"
    r"|sign-?ups)(?: rates?)?\b"
)
_ZH_NAME = r"(?:点击率?|点赞|互动率?|转化率?|购买率?|销量)"
_KO_NAME = r"(?:클릭(?:률|수)?|참여(?:율|도)?|구매(?:율)?|전환(?:율)?|판매(?:량)?)"

PHRASE = re.compile(
    rf"[,;]? ?\b(?:we|i) (?:want|need) (?:more|better) {_EN_NAME}"
    r"|\b(?:measure|track|watch|(?:the )?(?:goal|success metric|metric|kpi) (?:is|should be|:))"
    rf"(?: by| for)? (?:the |more )?{_EN_NAME}"
    r"|(?:[,，]\s{0,2})?"
    r"\b(?:by|on|for|to (?:get|drive|increase|improve|raise)|measured by|based on) "
    rf"(?:more |the |our |most |better |higher |highest ){{0,2}}{_EN_NAME}"
    rf"|(?:[,，]\s{{0,2}})?(?:以|按|看){_ZH_NAME}(?:为准|衡量|来?判断)?|(?:目标|指标)是?{_ZH_NAME}"
    rf"|(?:[,，]\s{{0,2}})?{_KO_NAME}(?:을|를|이|가)? ?"
    r"(?:기준(?:으로)?|늘리|높이|올리)[가-힣]{0,6}",
    re.IGNORECASE,
)
"""A phrase that names the metric and nothing of the picture."""


def metric_of(passage: Passage) -> tuple[str, str]:
    """The metric that ``passage`` mentions, the first in it, and a sentence that says why."""
    places = {
        name: found.start()
        for name, pattern in _METRICS
        if (found := pattern.search(passage.masked))
    }
    if not places:
        return "conversions", "The brief names no metric: conversions, which a test is mostly for."
    name = min(places, key=places.__getitem__)
    return name, f"The brief mentions {name}: they are the success metric."
