"""What a brief says of the test itself, and not of the picture."""

from __future__ import annotations

import re

from serve_app.workflows.assistant.passage import Passage

_EN_ASKING = (
    r"(?:\b(?:please |let's |and |then ){0,2}(?:(?:can|could) you )?"
    r"(?:(?:i|we)(?: want| need| would like|'d like) to )?"
    r"(?:run|make|do|set up|prepare|create|try|start|use)? ?(?:me |us )?(?:for )?"
    r"(?:an? |some |two |the )?)?"
)
_EN_IT = r"(?: (?:it|them|this|that|these|both)(?=\s{0,2}(?:[,.;:!?]|$)))?"
_EN_TEST = (
    r"\b(?:a ?[/|-] ?b|split|multivariate)[- ]?(?:tests?|testing|split|experiments?)\b"
    rf"(?: (?:of|for|with|on|between|whether|comparing|if|to see)\b|{_EN_IT})[:：]?"
)
_EN_DOUBT = (
    r"\b(?:we're not sure|we are not sure|i'm not sure|i am not sure"
    r"|(?:i|we) (?:wonder|want to know|would like to know)) (?:which|what|whether|if)\b"
)
_EN_DOES = (
    r"(?:works?|performs?|converts?|sells?|does|do|gets?|wins?|brings?|drives?|attracts?|receives?"
    r"|earns?|generates?|looks?|feels?|is|are)"
)
_EN_OF_WHAT = (
    r"(?:clicks?|click-?throughs?|likes|shares|comments|reactions|engagement|interest|attention"
    r"|views|visits|visitors|traffic|followers|leads|bookings|sign-?ups|sales|orders|conversions?"
    r"|purchases|buyers|customers|people)"
)
_EN_BETTER = rf"(?:(?:the )?(?:better|best|more|most)(?: {_EN_OF_WHAT}\b)?)"
_EN_FOR_WHOM = r"(?: (?:for|on|with|in) (?:our|my|the|this) (?:[\w'-]{1,20} ?){1,3}(?=[:：,]))?"
_EN_WHICH_ONE = (
    r"(?:,? and |\bto |\bthen )?(?:\btest|\bsee|\bfind out|\bcheck|\bknow|\blearn)?(?:ing)? ?"
    r"\b(?:which|what)(?: of (?:these|those|the|our|them))?(?: [\w'-]{1,20}){0,3}?"
    rf" {_EN_DOES} {_EN_BETTER}\b{_EN_FOR_WHOM}[:：]?"
)
_EN_IF = (
    r"(?:,? and |\bto )?\b(?:test|see|find out|check|know|learn|measure)(?:ing)? (?:if|whether)\b"
    r"(?! to\b)"
)
_EN_WHICH = (
    r"(?:,? and |\bto )?(?:\btest|\bsee|\bfind out|\bcheck|\bknow|\blearn)?(?:ing)? ?"
    r"\b(?:which|what|whether(?: to)?)"
    r"(?: (?:one|version|variant|of them|of these|option|of the two))?"
    rf"(?: {_EN_DOES}(?: (?:best|better|the most|the best|more|most))?"
    r"(?: (?:clicks?|engagement|likes|sales|conversions?|purchases))?)?\b[:：]?"
)
_ENGLISH = (
    rf"{_EN_ASKING}{_EN_TEST}|{_EN_DOUBT}|{_EN_WHICH_ONE}|{_EN_IF}|{_EN_WHICH}"
    r"|(?:^|(?<=[.!?] ))(?:does|do|will|would) (?=[^.!?\n]{1,60}\b(?:better|best|more)\b)"
    r"|\b(?:people|users|customers) click(?: more)?(?: on)?\b"
    r"|\bdo (?:people|users|customers|they) prefer\b|\bset up an? (?:experiment|test)\b"
    rf"|\b{_EN_DOES} {_EN_BETTER}\b"
    r"|(?:\b(?:and|then) ){0,2}\b(?:please )?(?:test|compare)(?:ing)?\b"
    rf"(?: (?:the following|these|between)\b|{_EN_IT})[:：]?"
)

_ZH_MORE = r"(?:更好看?|最好看?|更高|最高|更多|更受欢迎|更吸引人?)"
_ZH_OF_WHAT = r"(?:的?(?:点击率?|点赞|互动率?|关注|转化率?|购买率?|销量|订单))"
_CHINESE = (
    r"(?:[,，]?(?:并且?|然后|再))?(?:我们?)?(?:想要?|需要|请)?(?:帮我)?(?:对(?:它|其|此))?"
    r"(?:做|进行|来)?(?:一?个)?"
    r"(?:[aａ] ?[/|]? ?[bｂ] ?(?:测试|对比|实验)|对比测试|分组测试|对照实验)[:：]?"
    r"|(?:请|想)?(?:帮我)?(?:测试|比较|对比)(?:一下)?[:：]?"
    r"|(?:我们?)?想(?:知道|看看|了解)(?:一下)?"
    rf"|(?:是否|会不会|能不能|能否)[^,，。!?！？\n]{{0,8}}?(?:更[多好高]|提[高升])"
    rf"{_ZH_OF_WHAT}?"
    r"|[,，]?(?:对[^,，。:：\n]{1,12}(?:来说|而言)[,，]?)?(?:看看?)?"
    rf"(?:哪[个种版款张一]|什么(?=[^,，。!?！？\n]{{0,12}}?{_ZH_MORE}))"
    rf"(?:[^,，。!?！？\n]{{0,12}}?{_ZH_MORE}{_ZH_OF_WHAT}?)?"
    r"|(?:效果)?[更最]好(?=[,，。!?！？\s]|$)|更[^,，。!?！？\n]{0,6}(?:[吗呢]?$|[?？])"
)

_KO_PLEASE = r"(?:줘|주세요|볼래요?|보고 ?싶어요?|고 ?싶어요?|려고)"
_KO_OF_WHAT = r"(?:클릭|구매|참여|반응|전환|판매|주문|좋아요|조회)(?:률|율|수)?(?:을|를|이|가)?"
_KOREAN = (
    rf"(?:[이가] )?(?:{_KO_OF_WHAT} ?)?더 ?[가-힣 ]{{0,8}}?[는은을]지 ?"
    r"(?:테스트|확인|비교|실험|알아 ?보)[가-힣 ]{0,12}"
    r"|[,，]? ?(?:(?:이걸|이것을|그걸|그것을|이를) )?(?:a ?[/|]? ?b|에이비) ?(?:테스트|실험|비교)"
    r"(?:를|을|로|용)? ?"
    rf"(?:(?:진행|준비|만들|실시)?[해하어] ?{_KO_PLEASE})?[가-힣]{{0,4}}[:：]?"
    r"|시안(?:을|를)? ?비교(?:해 ?(?:줘|주세요|볼래요))?[:：]?"
    r"|[,，]?\s?(?:비교|테스트)(?:하고 ?싶(?:어요|습니다|어)|$)"
    r"|(?:을|를|으로|로)? ?(?:비교|테스트)(?:를|을)? ?해 ?"
    r"(?:줘|주세요|보고 ?싶어요?|볼래요?|봐 ?줘|봐 ?주세요)"
    r"|(?:중(?:에서?)? ?|(?:^|(?<=[.!?,] ))(?:[가-힣]{1,8} ){0,2}[가-힣]{1,8}에(?:는|게는)? )?"
    r"(?:(?:어느|어떤) ?(?:것|게|쪽|버전|디자인|시안)?[이가을를]?|무엇이|뭐가) ?"
    r"[가-힣 ]{0,10}?(?:더|가장) ?[가-힣 ]{0,16}[:：]?"
)

TEST_PHRASE = re.compile(rf"{_ENGLISH}|{_CHINESE}|{_KOREAN}", re.IGNORECASE)
"""A phrase about the test: no prompt should contain it."""

_EN_SUBJECT = rf"(?!{_EN_DOES} )[\w'-]{{2,20}}"
_SUBJECT = re.compile(
    r"\b(?:which|what) (?:of (?:these|those|the|our) )?"
    r"(?!(?:of|ones?|versions?|variants?|options?|designs?|pictures?|photos?|images?)\b)"
    rf"({_EN_SUBJECT}(?: {_EN_SUBJECT})?) {_EN_DOES} {_EN_BETTER}\b"
    r"|(?:哪[个种款]|什么)(背景|颜色|标题|按钮|文案|字体|风格|色调|底色|口号)"
    r"|(?:어느|어떤) (배경|색상?|색깔|문구|제목|버튼|글꼴|스타일)(?=[이가은는을를 ])",
    re.IGNORECASE,
)

ABOUT_IT = re.compile(
    r"\b(?:test|compare)(?:ing)? (?:it|this)(?=\s{0,2}(?:[,.;:!?]|$))", re.IGNORECASE
)
"""A test of what was just said, which is one idea however many words it has."""

COMPARED = re.compile(r"\bcompar", re.IGNORECASE)
"""A word after which "with" and "to" stand between ideas."""

TESTED = re.compile(
    r"\b(?:test|compare|vs|versus|against|better|best|whether|which|prefers?|experiment|split|a/b)\b"
    r"|\bwhat (?:gets?|sells?|brings?|drives?|attracts?)\b|\b(?:check|see|find out|know|learn) if\b"
    r"|测试|对比|比较|还是|哪|테스트|비교|시안|어느|어떤|아니면",
    re.IGNORECASE,
)
"""A word that says that things are compared: only then is "or" between two of them."""


def subject_of(passage: Passage) -> str | None:
    """What of the picture ``passage`` asks about: "which background works better"."""
    found = _SUBJECT.search(passage.masked)
    if found is None or found.lastindex is None:
        return None
    return passage.part(*found.span(found.lastindex)).line
