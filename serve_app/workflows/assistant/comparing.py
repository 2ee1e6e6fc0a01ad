"""What a brief says of the test itself, and not of the picture."""

from __future__ import annotations

import re

_EN_ASKING = (
    r"(?:\b(?:please |let's |and )?(?:(?:can|could) you )?"
    r"(?:(?:i|we)(?: want| need| would like|'d like) to )?"
    r"(?:run|make|do|set up|prepare|create|try|start|use)? ?(?:me |us )?(?:for )?"
    r"(?:an? |some |two |the )?)?"
)
_EN_TEST = (
    r"\b(?:a ?[/|-] ?b|split|multivariate)[- ]?(?:tests?|testing|split|experiments?)\b"
    r"(?: (?:of|for|with|on|between|whether|comparing|if|to see))?[:：]?"
)
_EN_DOUBT = (
    r"\b(?:we're not sure|we are not sure|i'm not sure|i am not sure"
    r"|(?:i|we) (?:wonder|want to know|would like to know)) (?:which|what|whether|if)\b"
)
_EN_DOES = r"(?:works?|performs?|converts?|sells?|does|do|gets?|wins?|brings?|drives?|is)"
_EN_WHICH = (
    r"(?:,? and |\bto )?(?:\btest|\bsee|\bfind out|\bcheck|\bknow|\blearn)?(?:ing)? ?"
    r"\b(?:which|what|whether(?: to)?)"
    r"(?: (?:one|version|variant|of them|of these|option|of the two))?"
    rf"(?: {_EN_DOES}(?: (?:best|better|the most|the best|more|most))?"
    r"(?: (?:clicks?|engagement|likes|sales|conversions?|purchases))?)?\b[:：]?"
)
_ENGLISH = (
    rf"{_EN_ASKING}{_EN_TEST}|{_EN_DOUBT}|{_EN_WHICH}"
    r"|\bdo (?:people|users|customers|they) prefer\b|\bset up an? (?:experiment|test)\b"
    r"|\b(?:works?|performs?|converts?|sells?|does) (?:better|best|more)\b"
    r"|\b(?:please )?(?:test|compare)(?:ing)?\b(?: (?:the following|these|between))?[:：]?"
)

_ZH_MORE = r"(?:更好|最好|更高|最高|更多|更受欢迎|更吸引人?)"
_CHINESE = (
    r"(?:我们?)?(?:想要?|需要|请)?(?:帮我)?(?:做|进行|来)?(?:一?个)?"
    r"(?:[aａ] ?[/|]? ?[bｂ] ?(?:测试|对比|实验)|对比测试|分组测试|对照实验)[:：]?"
    r"|(?:请|想)?(?:帮我)?(?:测试|比较|对比)(?:一下)?[:：]?"
    r"|(?:我们?)?想(?:知道|看看|了解)(?:一下)?"
    rf"|[,，]?(?:看看?)?哪[个种版款张一](?:[^,，。!?！？\n]{{0,12}}?{_ZH_MORE})?"
    r"|(?:效果)?[更最]好(?=[,，。!?！？\s]|$)|更[^,，。!?！？\n]{0,6}(?:[吗呢]?$|[?？])"
)

_KO_PLEASE = r"(?:줘|주세요|볼래요?|보고 ?싶어요?|고 ?싶어요?|려고)"
_KOREAN = (
    r"[,，]? ?(?:a ?[/|]? ?b|에이비) ?(?:테스트|실험|비교)(?:를|을|로|용)? ?"
    rf"(?:(?:진행|준비|만들|실시)?[해하어] ?{_KO_PLEASE})?[가-힣]{{0,4}}[:：]?"
    r"|시안(?:을|를)? ?비교(?:해 ?(?:줘|주세요|볼래요))?[:：]?"
    r"|[,，]?\s?(?:비교|테스트)(?:하고 ?싶(?:어요|습니다|어)|$)"
    r"|(?:을|를|으로|로)? ?(?:비교|테스트)(?:를|을)? ?해 ?"
    r"(?:줘|주세요|보고 ?싶어요?|볼래요?|봐 ?줘|봐 ?주세요)"
    r"|(?:중(?:에서?)? ?)?(?:어느|어떤) ?(?:것|게|쪽|버전|디자인|시안)?[이가을를]? ?"
    r"[가-힣 ]{0,10}?(?:더|가장) ?[가-힣 ]{0,16}"
)

TEST_PHRASE = re.compile(rf"{_ENGLISH}|{_CHINESE}|{_KOREAN}", re.IGNORECASE)
"""A phrase about the test: no prompt should contain it."""

TESTED = re.compile(
    r"\b(?:test|compare|vs|versus|against|better|best|whether|which|prefers?|experiment|split|a/b)\b"
    r"|测试|对比|比较|还是|哪|테스트|비교|시안|어느|어떤|아니면",
    re.IGNORECASE,
)
"""A word that says that things are compared: only then is "or" between two of them."""
