"""Which kind of edit an instruction asks for, by rules that fit in one table.

English, Chinese and Korean. The instruction is cut into clauses; in each clause the rules
are tried in the order of the table, and what a rule matches is spent. So a "replace" that
belongs to quoted words ("replace 'A' with 'B'") is part of a text edit, and one that does
not ("replace the sign that says 'A' with a painting") makes the edit a hybrid.

Several kinds make a hybrid. So does none at all: the parameters of hybrid edits are the
neutral ones, and they promise neither that the rest stays nor that the style changes.

Every pattern is linear in the length of the instruction: gaps are bounded.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from serve_app.edits.request import EditType


@dataclass(frozen=True, slots=True)
class Classification:
    """An edit type, and one plain sentence that says why.

    ``reason`` names rules, never the instruction: it may be logged.
    """

    edit_type: EditType
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """If ``pattern`` occurs in a clause, the clause asks for an edit of ``edit_type``.

    ``label`` completes "The instruction mentions …". A ``weak`` rule ("change", "turn")
    counts only in a clause that no other rule matches.
    """

    edit_type: EditType
    language: Literal["any", "en", "zh", "ko"]
    pattern: re.Pattern[str]
    label: str
    weak: bool = False


# What stands for quoted words in a clause: one private character, removed from prompts.
_Q = "\ue000"

# Vocabulary that several patterns share.
_EN_WORDS = (
    rf"(?:{_Q}|(?:text|texts|words?|letters?|lettering|captions?|titles?|subtitles?|headlines?"
    r"|slogans?|inscriptions?|typos?|spelling|misspelling|wording|fonts?|handwriting)\b)"
)
# Up to five words of one noun phrase: prepositions and relative pronouns end it.
_EN_PHRASE = (
    r"(?:(?!(?:that|which|who|to|with|from|on|in|into|at|next|near|beside|behind|under|over"
    r"|above|below|by|as|of|saying|says|reading|reads|holding|wearing)\b)[\w'-]{1,30} ){0,5}"
)
_EN_SIGN = r"(?:sign|signs|signboard|label|banner|poster|billboard|plate|placard|logo)"
_EN_COLOUR = (
    r"(?:red|orange|yellow|green|blue|purple|violet|pink|black|white|gr[ae]y|brown|golden|gold"
    r"|silver|beige|navy|turquoise|teal|colou?rs?|colou?red)"
)
_EN_ART = (
    r"(?:cartoon|drawing|painting|sketch|illustration|comic|sculpture|statue|caricature|poster"
    r"|mosaic|engraving|pencil|crayon|clay|oils?|ink)"
)
_ZH_WORDS = (
    rf"(?:{_Q}|文字|文本|文案|字样|字体|字幕|标题|标语|错别字|汉字|字母|单词|拼写|(?<![十名])字)"
)
_ZH_ADD = r"添加|增加|加上|加入"
_ZH_REMOVE = r"去掉|去除|删除|删掉|移除|擦除|擦掉|抹去|抹掉|消除"
_ZH_EDIT = rf"(?:{_ZH_ADD}|{_ZH_REMOVE}|替换|换掉|换成|改成|改为)"
_KO_WORDS = rf"(?:{_Q}|글자|글씨|문구|텍스트|문자|제목|자막|단어|문장|철자|오타|맞춤법|캡션)"
_KO_ADD = r"추가|넣어|넣고"
_KO_REMOVE = r"제거|지워|지우|삭제|없애"
_KO_EDIT = rf"(?:{_KO_ADD}|{_KO_REMOVE}|교체|대체|바꿔|바꾸|변경)"
_KO_COLOUR = r"[가-힣]{0,4}색"


def _rule(
    edit_type: EditType,
    language: Literal["any", "en", "zh", "ko"],
    label: str,
    pattern: str,
    weak: bool = False,
) -> Rule:
    return Rule(edit_type, language, re.compile(pattern), label, weak)


_REMOVING = "removing"
_BACKGROUND, _MOVING, _VIEWPOINT = "the background", "moving or sizing", "a viewpoint"
_T, _S, _A = EditType.TEXT, EditType.SEMANTIC, EditType.APPEARANCE

RULES: tuple[Rule, ...] = (
    # Words in the picture, together with the verb that acts on them.
    _rule(_T, "en", "words in the picture",
          r"\b(?:add|insert|place|put|include|write|remove|delete|erase|replace|swap|substitute"
          r"|get rid of|change|make|turn|fix|correct|edit|update|rewrite|translate) "
          rf"{_EN_PHRASE}{_EN_WORDS}"),
    _rule(_T, "en", "words on a sign",
          r"\b(?:change|update|edit|switch|set|make|turn|correct|fix|have) "
          rf"(?:[\w'-]{{1,30}} ){{0,5}}?{_EN_SIGN} (?:[\w'-]{{1,30}} ){{0,5}}?"
          rf"(?:to say|to read|says?|reads?|to(?! (?:an?|the|be|look|{_EN_COLOUR})\b))\b"),
    _rule(_T, "en", "words in the picture",
          rf"\b(?:{_EN_SIGN} (?:says|saying|reads|reading)|spelled|misspelled|typography)\b"),
    _rule(_T, "zh", "words in the picture",
          rf"{_ZH_EDIT}(?:[^在把将写从的]|(?<=[里上中])的){{0,10}}?{_ZH_WORDS}"),
    _rule(_T, "zh", "words in the picture", rf"{_ZH_WORDS}[^在的旁边]{{0,6}}?{_ZH_EDIT}(?:{_Q})?"),
    _rule(_T, "ko", "words in the picture",
          rf"{_KO_WORDS}(?:을|를|은|는|도|만|로|으로) ?(?:[^ ]{{1,12}} ){{0,2}}?{_KO_EDIT}"),
    _rule(_T, "ko", "words in the picture", rf"{_KO_WORDS} ?{_KO_EDIT}"),
    _rule(_T, "ko", "words on a sign",
          rf"(?:간판|표지판|현수막)[가-힣]{{0,2}} (?!{_KO_COLOUR})(?:[^ ]{{1,12}} ){{0,2}}?"
          r"(?:바꿔|바꾸|변경|수정|고쳐|써|적어)"),
    # Words in the picture, whatever is done to them.
    _rule(_T, "any", "words in quotes", _Q),
    _rule(_T, "en", "words in the picture", rf"(?<!\w){_EN_WORDS}"),
    _rule(_T, "zh", "words in the picture", rf"{_ZH_WORDS}|写着|写上|写成|写有|写下|书写|改写"),
    _rule(_T, "ko", "words in the picture",
          rf"{_KO_WORDS}|라고 ?(?:적|쓰|쓴|써)|써 ?(?:줘|주|넣)|적어|쓰여|적힌|적혀|쓰인"),
    # Style, viewpoint, character: the whole picture may change.
    _rule(_S, "en", "a style",
          r"\b(?:styles?|styli[sz]ed?|restyle|ghibli|pixar|disney|anime|manga|watercolou?rs?"
          r"|pixel art|line art|pop art|cyberpunk|steampunk|impressionis[tm]|van gogh|monet"
          r"|lego|claymation|3d render|ukiyo-e|photorealistic|gr[ae]yscale|monochrome|sepia"
          r"|(?:pencil )?outlines?|negative|invert (?:the )?(?:picture|image|photo|colou?rs?))\b"),
    _rule(_S, "en", "the time of day",
          r"\b(?:(?:make|turn) (?:it|this|the [\w]{1,30})(?: into)?(?: an?)? night(?:time)?"
          r"|at night(?:time)?)\b"),
    _rule(_S, "en", "a style",
          rf"\b(?:as|into|like|in) (?:an? )?(?:[\w'-]{{1,30}} )?{_EN_ART}\b"),
    _rule(_S, "en", _VIEWPOINT,
          r"\b(?:rotate|viewpoint|perspective|point of view|camera angle|low angle|high angle"
          r"|(?:front|back|side|top|rear|aerial|eye) view|view(?:ed)? from|zoom out"
          r"|(?:rotate|change|different|another) (?:the )?(?:view|angle)|turn around"
          r"|from (?:behind|above|below|the (?:back|side|front|left|right|top)))\b"),
    _rule(_S, "en", "a character",
          r"\b(?:characters?|mascots?|emojis?|memes?|poses?|figurines?|same person"
          r"|expression sheet)\b"),
    _rule(_S, "en", "the whole picture",
          r"\b(?:turn|transform|convert|make|change|render|redraw|reimagine) "
          r"(?:this|the|my)(?: whole| entire)? (?:photo|image|picture|scene|portrait) "
          r"(?:into|to look|look|as)\b"),
    _rule(_S, "zh", "a style",
          r"风格|画风|卡通|动漫|动画|漫画|水彩|油画|素描|水墨|国画|吉卜力|宫崎骏|像素|赛博朋克|插画"
          r"|手绘|皮克斯|迪士尼|印象派|梵高|黑白(?!相间|条纹|格)|棕褐色老?照片|反色|线稿"),
    _rule(_S, "zh", "the time of day", r"夜晚|夜景"),
    _rule(_S, "zh", _VIEWPOINT,
          r"视角|角度|旋转|俯视|仰视|鸟瞰|转身|镜头|(?:侧面|背面|正面)(?:看|视|图|照)"
          r"|从(?:后面|背后|侧面|正面|上方|上面|下面|下方)(?:看|拍|观)"),
    _rule(_S, "zh", "a character", r"角色|人物形象|表情包|姿势|吉祥物|手办"),
    _rule(_S, "ko", "a style",
          r"(?<!헤어)(?<!헤어 )스타일|화풍|지브리|만화|애니|카툰|수채화|유화|수묵화|스케치|픽셀"
          r"|일러스트|디즈니|픽사|사이버펑크|풍으로|흑백|세피아|(?:색[을상]? ?)?반전|윤곽선"),
    _rule(_S, "ko", "the time of day", r"(?<![가-힣])밤(?:으로| 풍경| 장면)"),
    _rule(_S, "ko", _VIEWPOINT,
          r"시점|각도|앵글|회전|조감도|뒷모습|옆모습"
          r"|(?:뒤|위|옆|아래|정면|측면)에서 (?:본|보는|바라)"),
    _rule(_S, "ko", "a character", r"캐릭터|마스코트|이모티콘|포즈|자세|피규어"),
    # Add, remove, replace: the rest must stay.
    _rule(_A, "en", "adding",
          r"\b(?:add|insert|place|attach|include|wearing|wear|give (?:him|her|them|it|the))\b"),
    _rule(_A, "en", _REMOVING,
          r"\b(?:remove|delete|erase|get rid of|take (?:[\w'-]{1,30} ){0,4}?(?:out|away|off)"
          r"|clean up|crop out)\b"),
    _rule(_A, "en", "replacing", r"\b(?:replace|swap|substitute|exchange)\b"),
    _rule(_A, "en", "a colour",
          r"\b(?:recolou?r|colori[sz]e|(?:change|make|turn|paint|dye) "
          rf"(?:[\w'-]{{1,30}} ){{0,6}}?{_EN_COLOUR})\b"),
    _rule(_A, "en", _BACKGROUND, r"\b(?:backgrounds?|backdrop)\b"),
    _rule(_A, "en", _MOVING,
          r"\b(?:move|shift|enlarge|resize|shrink|bigger|larger|smaller"
          r"|(?:reduce|increase) the size|blur|sharpen|brighten)\b"),
    _rule(_A, "zh", "adding", rf"{_ZH_ADD}|放上|戴上|穿上|加(?=[一两二三几个只顶条副朵])"),
    _rule(_A, "zh", _REMOVING, rf"{_ZH_REMOVE}|移走|拿掉"),
    _rule(_A, "zh", "replacing", r"替换|换掉|更换"),
    _rule(_A, "zh", _MOVING, r"移到|移动|挪到|放大|缩小|变大|变小"),
    _rule(_A, "zh", "a colour",
          r"颜色|(?:变|改|换|涂|染)[成为]?[^,]{0,4}?[红橙黄绿蓝紫黑白灰粉棕金银]色"),
    _rule(_A, "zh", _BACKGROUND, r"背景"),
    _rule(_A, "ko", "adding", rf"{_KO_ADD}|더해|씌워|입혀|그려 ?넣"
          r"|에 (?:[^ ]{1,12} ){1,4}?그려 ?줘"),
    _rule(_A, "ko", _REMOVING, rf"{_KO_REMOVE}|빼 ?(?:줘|주)"),
    _rule(_A, "ko", "replacing", r"교체|대체"),
    _rule(_A, "ko", _MOVING, r"옮겨|옮기|이동|크게|작게|확대|축소"),
    _rule(_A, "ko", "a colour", r"색상|색깔|색(?:으로|을|로)|염색"),
    _rule(_A, "ko", _BACKGROUND, r"배경"),
    # Verbs that say nothing of their own: with a style they are semantic, with words text.
    _rule(_A, "en", "changing a thing", r"\b(?:change|turn|switch|put)\b", weak=True),
    _rule(_A, "zh", "changing a thing", r"换成|换为|变成|改成|改为|变为|换|修改|放", weak=True),
    _rule(_A, "ko", "changing a thing", r"바꿔|바꾸|변경|올려|놓아", weak=True),
)  # fmt: skip

_UNIFY = str.maketrans({"“": '"', "”": '"', "„": '"', "‟": '"', "‘": "'", "’": "'", _Q: None})

_QUOTED = re.compile(
    r'(?<![0-9])"[^"]{1,300}"'  # after a digit it is an inch
    r"|「[^「」]{1,300}」|『[^『』]{1,300}』|《[^《》]{1,300}》|〈[^〈〉]{1,300}〉"
    # A single quote opens and closes outside of words; within them it is an apostrophe.
    r"|(?<![a-z0-9])'(?:[^']|(?<=[a-z0-9])'(?=[a-z0-9])){1,300}?'(?![a-z0-9])"
)
# A quotation that names a style ("in 'Ghibli' style", 《千与千寻》的风格) is not text.
_NAMED_STYLE = re.compile(
    rf"{_Q}(?= ?(?:的|의)? ?(?:styles?\b|风格|画风|스타일|화풍|풍))|(?<=style of ){_Q}"
)
_CLAUSE_END = re.compile(
    r"[.,;:!?。，、；：！？]|\b(?:and|then|while)\b|并且|并|然后|同时|그리고|(?<=[가-힣]고) "
)


def classify(prompt: str) -> Classification:
    """Choose the edit type of ``prompt``, any text. Never raises; same text, same answer.

    Case, Unicode form (NFKC) and white space make no difference.
    """
    kinds: dict[EditType, list[str]] = {}
    for clause in _CLAUSE_END.split(_prepare(prompt)):
        for rule in _matching(clause):
            labels = kinds.setdefault(rule.edit_type, [])
            if rule.label not in labels:
                labels.append(rule.label)
    if not kinds:
        return Classification(
            EditType.HYBRID,
            "The instruction mentions no known kind of change; hybrid has the neutral parameters.",
        )
    mentioned = ", ".join(label for labels in kinds.values() for label in labels)
    if len(kinds) > 1:
        reason = f"The instruction mentions {mentioned}: several kinds of change."
        return Classification(EditType.HYBRID, reason)
    return Classification(next(iter(kinds)), f"The instruction mentions {mentioned}.")


def takes_away(prompt: str) -> bool:
    """Whether an instruction removes a thing, which then is no longer seen in the result."""
    clauses = _CLAUSE_END.split(_prepare(prompt))
    return any(rule.label == _REMOVING for clause in clauses for rule in _matching(clause))


def mentions_background(prompt: str) -> bool:
    """Whether ``prompt`` is about the background, and so about most of the picture."""
    return _mentions(prompt, _BACKGROUND)


def mentions_moving(prompt: str) -> bool:
    """Whether ``prompt`` wants something to be elsewhere, or of another size."""
    return _mentions(prompt, _MOVING)


def mentions_viewpoint(prompt: str) -> bool:
    """Whether ``prompt`` wants the whole to be seen from elsewhere."""
    return _mentions(prompt, _VIEWPOINT)


def _mentions(prompt: str, label: str) -> bool:
    text = _prepare(prompt)
    return any(rule.pattern.search(text) for rule in RULES if rule.label == label)


def _matching(clause: str) -> list[Rule]:
    """The rules that ``clause`` matches, in the order of the table."""
    matches: list[Rule] = []
    for rule in RULES:
        if rule.weak and matches:
            continue
        rest = rule.pattern.sub(" ", clause)
        if rest != clause:
            matches.append(rule)
            clause = rest
    return matches


def _prepare(prompt: str) -> str:
    """Bring ``prompt`` into the one form the patterns are written for."""
    text = unicodedata.normalize("NFKC", prompt).casefold().translate(_UNIFY)
    text = " ".join(text.split())
    text = _QUOTED.sub(lambda _: _Q, text)
    return _NAMED_STYLE.sub("style", text)
