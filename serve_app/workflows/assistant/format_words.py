"""How briefs name platforms, formats and sizes, in English, Chinese and Korean."""

from __future__ import annotations

import re

# Not \b, which is no border between a Latin letter and a Chinese or Korean one.
_L, _R = r"(?<![a-z0-9])", r"(?![a-z0-9])"


def _word(words: str) -> str:
    return rf"{_L}(?:{words}){_R}"


INSTAGRAM = rf"(?:{_word('instagram|insta|ig')}|인스타그램|인스타|{_L}ins(?=[快故帖的贴]))"
STORY = rf"(?:{_word('story|stories')}|快拍|故事|限时动态|스토리)"
POST = rf"(?:{_word('posts?|feed|square')}|帖子|贴文|帖文|帖|게시물|포스트|피드)"
BLOG = rf"(?:{_word('blogs?')}|博客|블로그)"
HEADER = (
    rf"(?:{_word('headers?|banners?|cover(?: image)?|hero')}|头图|横幅|封面|题图|헤더|배너|커버)"
)
THUMBNAIL = rf"(?:{_word('thumb(?:nail)?s?')}|缩略图|썸네일|섬네일)"
TWITTER = (
    rf"(?:{_L}twitter(?! logo| icon| bird){_R}|{_word('tweets?|x[ /-](?:cards?|posts?)')}"
    rf"|推特|推文|{_L}x ?卡片|트위터|엑스 ?카드|{_L}x ?카드)"
)
BETWEEN = r"[^.;。；\n]{0,24}?"
"""Words between a platform and its format."""

EN_PLATFORM = r"(?:facebook|linkedin|tiktok|pinterest|youtube|snapchat|whatsapp|reddit)"
ZH_PLATFORM = r"(?:小红书|微信|公众号|朋友圈|抖音|微博|知乎|淘宝)"
KO_PLATFORM = r"(?:페이스북|링크드인|틱톡|유튜브|카카오톡|네이버)"

_LOOSE = r"(?:various|different|multiple|several|many|our|the usual)"
_INTO = ("in", "to", "into", "at")
_PICTURES = ("photo", "picture", "image", "banner", "poster", "graphic", "ad", "design", "visual")
_BEFORE_SIZES = (
    *("for", "export", "need", "want", "make", "create", "prepare"),
    *(f"{it} {into}" for it in ("it", "this", "them", "these") for into in _INTO),
    *(f"{one}{end} {into}" for one in _PICTURES for end in ("", "s") for into in _INTO),
    *(f"{does} {into}" for does in ("export", "resize", "crop", "scale", "fit") for into in _INTO),
)
_AFTER_ONE = "|".join(rf"(?<=\b{before} )" for before in _BEFORE_SIZES)
_EN_SIZES = rf"(?=\b{_LOOSE} )(?:^|{_AFTER_ONE}){_LOOSE} (?:[\w-]{{1,20}} ){{0,2}}sizes?\b"
"""Sizes of the picture, and not of what it shows: "make the two dogs different sizes"."""

_EN_SETS = (
    r"(?:\b(?:social[- ]media|social|brand(?:ed)?|marketing|campaign) (?:sets?|packs?|kits?|assets?"
    r"|images?|posts?|formats?|sizes?|visuals?|graphics|banners?|channels?)\b"
    rf"|\b(?:all|every|each|{_LOOSE}) "
    r"(?:[\w-]{1,20} ){0,2}(?:formats?|platforms?|channels?|aspect ratios?|placements?)\b"
    rf"|\b(?:all|every|each) (?:[\w-]{{1,20}} ){{0,2}}sizes?\b|{_EN_SIZES}"
    r"|\bfor (?:all (?:our )?)?socials?\b|\bsocial media\b|\bmulti-?platform\b"
    r"|(?<!\d)\d{2,5} ?[x×*] ?\d{2,5}(?!\d))"
)
_ZH_SETS = (
    r"(?:(?:所有|全部|各个)的?(?:尺寸|规格|平台|渠道|比例|格式)|各平台|全平台"
    r"|(?:各种|多种|不同|多个)的?(?:平台|渠道|格式)"
    # Sizes of the picture, and not of what it shows, as above.
    r"|(?:(?<=[图片报面][做变改调换][成为])|(?<![变改做换调][成为]))"
    r"(?:各种|多种|不同|多个)的?(?:尺寸|规格|比例)"
    r"|多平台|多尺寸|社交媒体|社媒|新媒体|品牌(?:套图|套装|素材|物料)|套图)"
)
_KO_SETS = (
    r"(?:(?:모든|각|전) ?(?:가지 ?)?(?:사이즈|크기|규격|플랫폼|채널|비율|포맷|형식)"
    r"|(?:다양한|여러|각종|다른) ?(?:가지 ?)?(?:플랫폼|채널|포맷|형식)"
    r"|(?:(?<=사진을 )|(?<=이미지를 )|(?<=그림을 )|(?<=배너를 )|(?<=포스터를 )"
    r"|(?<![을를] )(?<!서로 ))"
    r"(?:다양한|여러|각종|다른) ?(?:가지 ?)?(?:사이즈|크기|규격|비율)"
    r"|소셜 ?미디어|sns(?= ?(?:용|세트|이미지|게시|홍보|에))"
    r"|브랜드 ?(?:세트|이미지|키트|소재)|홍보 ?세트|멀티 ?플랫폼)"
)
SETS = rf"{_EN_SETS}|{_ZH_SETS}|{_KO_SETS}"
"""Formats without their names: "all sizes", 各种尺寸, 다양한 사이즈; and sizes in pixels."""

FORMAT = (
    rf"{INSTAGRAM}{BETWEEN}(?:{STORY}|{POST})|\b(?:for|on|to) (?:our )?(?:instagram|insta)\b"
    r"|\bfor (?:twitter|our blog|the blog)\b|\btwitter (?:cards?|posts?|banners?|headers?)\b"
    rf"|{_word('x (?:cards?|posts?)')}|推特|推文|{_L}x ?卡片|트위터|엑스 ?카드|{_L}x ?카드"
    rf"|{BLOG}{BETWEEN}(?:{HEADER}|{THUMBNAIL})|{THUMBNAIL}|\bstory format\b|스토리용"
    rf"|{_L}(?:instagram|insta|ig|ins) ?用"
    rf"|인스타(?:그램)?(?:용|에|과|와| 및)|{ZH_PLATFORM}|\bfor (?:our )?{EN_PLATFORM}\b"
    rf"|{KO_PLATFORM} ?(?:용|광고|게시물|에)"
    r"|\b(?:instagram_story|instagram_post|twitter_card|blog_header|blog_thumbnail)\b"
)
"""A format for which pictures are wanted. A platform alone is none: its logo may be meant."""

_AND = r"(?:,|、|，|\+|&|plus|and|or|和|与|及|와|과|및)"
_ONE = (
    rf"(?:{INSTAGRAM} ?(?:用的?|的|용)?(?: ?{_AND}? ?(?:{STORY}|{POST})){{0,3}}"
    rf"|{TWITTER}(?: ?(?:cards?|posts?|banners?|headers?|卡片|帖子?|카드))?"
    rf"|{BLOG} ?(?:做|的|用)?(?: ?{_AND}? ?(?:{HEADER}|{THUMBNAIL})){{1,3}}|{THUMBNAIL}"
    r"|(?:(?<=\bfor )|(?<=\bfor our )|(?<=\bfor the )|(?<=\bfor my ))blog\b"
    rf"|\bstory format|스토리용|{ZH_PLATFORM}(?:用的?|上的?|的|做)?(?:头图|封面|笔记)?"
    rf"|{KO_PLATFORM}|\b{EN_PLATFORM}\b|{SETS})"
)
_ANY_SIZE = r"\d{1,5} ?[x×*] ?\d{1,5}(?!\d)"
_MAKING = (
    r"(?:\b(?:please )?"
    r"(?:create|make|prepare|design|produce|generate|build|we need|i need|we want|i want|give me)\b"
    r" (?:me |us )?"
    r"|\b(?:resize|export|adapt|crop|fit) (?:this |the |our )?(?:[\w-]{1,20} ){0,3}?"
    r"(?=for|to|into|in)"
    r"|(?:请|帮我|需要|为|给我|给|在|用于|适合|做|制作|生成|设计|出){1,3}(?:一套|一组|一张|几张)?)?"
)
_BEFORE = r"(?:\b(?:for|as|in|into|on|to fit|to) )?(?:(?:an?|the|our|my|all|both) ){0,2}"
_AFTER = (
    r"(?: (?:versions?|images?|pictures?|graphics?|sizes?))?"
    r"(?:用的?|的?图片?|的?(?:版本|素材)|都要|发布的图片?"
    r"|용(?:으로)?|에 맞(?:게|춰|는 크기로)|별로|에 올릴(?: ?(?:사진|이미지))?|으로|로|의|를|을)?"
    r"(?: ?(?:(?:이미지|사진|버전|세트)(?:를|을)? ?)?(?:만들어|제작해|준비해) ?(?:줘|주세요))?"
)
FORMAT_PHRASE = re.compile(
    rf"{_MAKING}{_BEFORE}{_ONE}{_AFTER}"
    rf"(?: ?{_AND} ?(?:and )?(?:(?:an?|the|our) )?(?:{_ONE}|{_ANY_SIZE}){_AFTER}){{0,8}}"
    r"(?: (?:for|of|from|out of)(?= ))?(?:,? please,?)?",
    re.IGNORECASE,
)
"""A phrase that says formats and nothing of the picture: no prompt should contain it."""
