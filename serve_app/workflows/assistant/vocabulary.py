"""Words that tell an instruction from other text, in English, Chinese and Korean."""

from __future__ import annotations

import re

from serve_app.edits.classification import classify
from serve_app.workflows.assistant.passage import Passage

EN_VERB = (
    r"(?:add|insert|put|place|attach|include|remove|delete|erase|clean up|get rid of|take out"
    r"|take away|replace|swap|substitute|exchange|change|turn|make|switch|transform|convert"
    r"|render|redraw|restyle|recolou?r|colou?ri[sz]e|paint|dye|write|draw|give|move|shift|rotate"
    r"|flip|crop|enlarge|resize|shrink|reduce|increase|blur|sharpen|brighten|darken|lighten"
    r"|fix|correct|edit|update|rewrite|translate|apply|retouch|adjust|fill|extend|hide|decorate"
    r"|soften|zoom|improve|enhance|use|set)"
)
"""Verbs that begin an instruction."""

_EN_MORE = r"(?:show|keep|create|generate|produce|design|adapt|cover|warm|cool|print)"
ZH_VERB = (
    r"(?:把|将|给|让|添加|增加|加上|加入|加(?=[一两二三几个上])|放上|去掉|去除|删除|删掉|移除|擦除"
    r"|擦掉|抹去|抹掉|消除|替换|换成|换掉|更换|换(?=[一个成])|改成|改为|修改|变成|变为|转换|转为"
    r"|画成|写上|写成|写|调整|调亮|调暗|裁掉|剪掉|提亮|提高|降低|模糊|锐化|旋转|移动|放大|缩小|裁剪"
    r"|修复|翻译|戴上|穿上)"
)
"""Words that begin a Chinese instruction, or its predicate."""

_ZH_MORE = r"(?:制作|做成|做|生成|用|保留|出)"
_KO_VERB = (
    r"(?:줘|주세요|주십시오|바꿔|바꾸|변경|추가|넣어|넣고|제거|지워|지우|삭제|없애|교체|대체|써"
    r"|적어|그려|만들|옮겨|옮기|회전|확대|축소|수정|고쳐|올려|더해|씌워|입혀|보정|적용|하기|해라)"
)
_INSTRUCTS = re.compile(
    rf"\b(?:{EN_VERB}|{_EN_MORE})\b|{ZH_VERB}|{_ZH_MORE}|{_KO_VERB}", re.IGNORECASE
)
_TALK = re.compile(
    r"^(?:hi|hello|hey|dear|thanks|thank you|this is|that is|these are|here is|here are|here's"
    r"|we are|we're|we have|we sell|i am|i'm|i have|our (?:shop|brand|company|product|team)"
    r"|the (?:photo|picture|image) shows?)\b"
    r"|^(?:please|请|帮我|请帮我|麻烦|부탁(?:해요|드립니다|드려요|해))$"
    r"|^(?:你好|您好|大家好|谢谢|这是|这张(?:图|照片)是|我们是|我们有|我是)"
    r"|^(?:안녕|감사|고마)|(?:입니다|이에요|예요|습니다)$",
    re.IGNORECASE,
)


def _any_of(words: str) -> str:
    return "|".join(sorted(words.split(), key=len, reverse=True))


_EN_PLAIN = _any_of(
    "hi hello hey dear team everyone there thanks thank please can could you i we me us would "
    "like need want make create generate produce design prepare give get have export save "
    "resize resized adapt crop fit fits fitting work works scale format convert turn render "
    "adjust use this that these those the our my your a an some few several many all both each "
    "every new nice good ready suitable different various of it them one ones photo photos "
    "picture pictures image images graphic graphics visual visuals version versions variant "
    "variants variation variations set sets pack post posts asset assets file files size sizes "
    "formats two three four five for to in into as at with and or so then also social media "
    "web website online"
)
_ZH_PLAIN = _any_of(
    "你好 您好 大家好 谢谢 请 帮 我们 我 你 需要 想要 让 把 将 给 为 这 那 些 几 一 两 三 四 张 "
    "套 组 个 种 照片 图片 图像 图 画面 版本 版 制作 做 生成 设计 准备 出 来 调整 改 变 换 成 "
    "缩放 裁剪 导出 适合 适配 适应 用于 用 的 和 与 及 到 在 尺寸 大小 规格 不同 各"
)
_KO_PLAIN = _any_of(
    "안녕하세요 감사합니다 부탁드립니다 부탁해요 이 그 우리 저희 좀 사진 이미지 그림 버전 세트 "
    "크기 사이즈 여러 다양한 다른 가지 개 장 필요 조정 변경 제작 준비 만들 어 해 하 고 줘 주 "
    "세요 요 바꿔 바꾸 맞게 맞춰 맞추 내보내 용 을 를 은 는 가 에 으로 로 과 와 의 도 및 그리고"
)
_ONLY_PICTURES = re.compile(
    rf"(?:(?<![a-z])(?:{_EN_PLAIN})(?![a-z])|{_ZH_PLAIN}|{_KO_PLAIN}"
    r"|\d{1,5} ?[x×*] ?\d{1,5}(?!\d)|[\s,.;:!?，。；：、！？&+-])++",
    re.IGNORECASE,
)
"""Words with which pictures are asked for, and which say nothing of how they should look."""

_UNKNOWN = classify("").reason


def instructs(passage: Passage) -> bool:
    """Whether a verb of ``passage`` asks for a change."""
    return _INSTRUCTS.search(passage.masked) is not None


def asks_for_change(passage: Passage) -> bool:
    """Whether ``passage`` is an instruction, with a verb or without ("Ghibli style, please").

    Greetings and statements about the picture ("This is our shop") are none.
    """
    if instructs(passage):
        return True
    return not is_talk(passage) and classify(passage.text).reason != _UNKNOWN


def only_asks_for_pictures(passage: Passage) -> bool:
    """Whether ``passage`` says nothing of how pictures should look ("Please make two versions")."""
    return _ONLY_PICTURES.fullmatch(passage.masked) is not None


def is_talk(passage: Passage) -> bool:
    """Whether ``passage`` is a greeting, a courtesy, or says what the picture shows."""
    return _TALK.search(passage.masked) is not None
