"""How changes are put in English, Chinese and Korean: the wordings of every kind.

Braces hold what a change is about; in Korean, ``[after consonant/after vowel]`` is a particle
that follows from the word before it.
"""

from __future__ import annotations

from serve_app.engine.miniature.vocabulary import Language

_EN: dict[str, tuple[str, ...]] = {
    "recolour": (
        "make the {subject} {colour}",
        "change the {subject} to {colour}",
        "turn the {subject} {colour}",
        "paint the {subject} {colour}",
        "recolour the {subject} {colour}",
        "change the colour of the {subject} to {colour}",
    ),
    "remove": (
        "remove the {subject}",
        "delete the {subject}",
        "erase the {subject}",
        "take the {subject} away",
        "get rid of the {subject}",
    ),
    "add": (
        "add a {subject} at the {place}",
        "put a {subject} at the {place}",
        "place a {subject} at the {place}",
        "insert a {subject} at the {place}",
        "add a {subject} in the {place} of the picture",
    ),
    "background": (
        "change the background to {background}",
        "make the background {background}",
        "turn the background into {background}",
        "replace the background with {background}",
    ),
    "move": (
        "move the {subject} to the {place}",
        "put the {subject} at the {place} instead",
        "shift the {subject} to the {place}",
    ),
    "bigger": (
        "make the {subject} bigger",
        "enlarge the {subject}",
        "make the {subject} larger",
    ),
    "smaller": (
        "make the {subject} smaller",
        "shrink the {subject}",
        "reduce the size of the {subject}",
    ),
    "swap": (
        "swap the colours of the {subject} and the {other}",
        "exchange the colours of the {subject} and the {other}",
        "swap the colour of the {subject} with that of the {other}",
    ),
    "grey": ("make it greyscale", "turn the picture into greyscale style", "greyscale style"),
    "sepia": ("make it sepia", "turn the picture into sepia style", "sepia style"),
    "inverted": ("invert the picture", "inverted style", "make it a negative"),
    "outline": (
        "make it a pencil outline",
        "turn the picture into a pencil drawing",
        "pencil outline style",
    ),
    "night": ("make it night", "night style", "turn the picture into a night scene"),
    "word": (
        "change the sign to '{word}'",
        "make the sign say '{word}'",
        "change the text on the sign to '{word}'",
        'the sign should read "{word}"',
        "write '{word}' on the sign",
    ),
    "word and background": (
        "change the sign to '{word}' and the background to {background}",
        "make the background {background} and the sign say '{word}'",
    ),
}

_ZH: dict[str, tuple[str, ...]] = {
    "recolour": (
        "把{subject}变成{colour}",
        "将{subject}改成{colour}",
        "把{subject}涂成{colour}",
        "把{subject}的颜色换成{colour}",
        "让{subject}变为{colour}",
    ),
    "remove": ("去掉{subject}", "删除{subject}", "把{subject}移除", "擦掉{subject}"),
    "add": (
        "在{place}添加一个{subject}",
        "在{place}加上一个{subject}",
        "在图片{place}放一个{subject}",
    ),
    "background": (
        "把背景换成{background}",
        "将背景改成{background}",
        "把背景变成{background}",
        "背景改为{background}",
    ),
    "move": ("把{subject}移到{place}", "将{subject}移动到{place}", "把{subject}挪到{place}"),
    "bigger": ("把{subject}放大", "让{subject}变大", "将{subject}变大一些"),
    "smaller": ("把{subject}缩小", "让{subject}变小", "将{subject}变小一些"),
    "swap": (
        "交换{subject}和{other}的颜色",
        "把{subject}和{other}的颜色互换",
        "将{subject}与{other}的颜色对调",
    ),
    "grey": ("变成黑白风格", "转换为黑白画面", "黑白风格"),
    "sepia": ("变成棕褐色风格", "转换为棕褐色老照片", "棕褐色风格"),
    "inverted": ("变成反色风格", "把画面反色", "反色风格"),
    "outline": ("变成铅笔线稿", "转换为铅笔素描", "铅笔线稿风格"),
    "night": ("变成夜晚", "转换为夜晚场景", "夜晚风格"),
    "word": (
        '把牌子上的字改成"{word}"',
        "将牌子改成“{word}”",
        "让牌子写上'{word}'",
        '把文字换成"{word}"',
    ),
    "word and background": (
        '把牌子上的字改成"{word}",背景换成{background}',
        '将背景改成{background},并把文字换成"{word}"',
    ),
}

_KO: dict[str, tuple[str, ...]] = {
    "recolour": (
        "{subject}[을/를] {colour}[으로/로] 바꿔줘",
        "{subject}[을/를] {colour}[으로/로] 칠해줘",
        "{subject}의 색을 {colour}[으로/로] 변경해줘",
        "{subject}[을/를] {colour}[으로/로] 만들어줘",
    ),
    "remove": ("{subject}[을/를] 지워줘", "{subject}[을/를] 제거해줘", "{subject}[을/를] 없애줘"),
    "add": (
        "{place}에 {subject}[을/를] 추가해줘",
        "{place}에 {subject}[을/를] 넣어줘",
        "{place}에 {subject}[을/를] 그려줘",
    ),
    "background": (
        "배경을 {background}[으로/로] 바꿔줘",
        "배경을 {background}[으로/로] 변경해줘",
        "배경을 {background}[으로/로] 만들어줘",
    ),
    "move": (
        "{subject}[을/를] {place}[으로/로] 옮겨줘",
        "{subject}[을/를] {place}[으로/로] 이동해줘",
    ),
    "bigger": (
        "{subject}[을/를] 더 크게 해줘",
        "{subject}[을/를] 크게 만들어줘",
        "{subject}[을/를] 확대해줘",
    ),
    "smaller": (
        "{subject}[을/를] 더 작게 해줘",
        "{subject}[을/를] 작게 만들어줘",
        "{subject}[을/를] 축소해줘",
    ),
    "swap": (
        "{subject}[과/와] {other}의 색을 서로 바꿔줘",
        "{subject}[과/와] {other}의 색을 교환해줘",
    ),
    "grey": ("흑백 스타일로 바꿔줘", "흑백으로 만들어줘", "흑백 스타일"),
    "sepia": ("세피아 스타일로 바꿔줘", "세피아로 만들어줘", "세피아 스타일"),
    "inverted": ("반전 스타일로 바꿔줘", "색을 반전해줘", "반전 스타일"),
    "outline": ("연필 윤곽선 스타일로 바꿔줘", "연필 스케치로 만들어줘", "연필 윤곽선 스타일"),
    "night": ("밤으로 바꿔줘", "밤 풍경으로 만들어줘", "밤 스타일"),
    "word": (
        "간판의 글자를 '{word}'[으로/로] 바꿔줘",
        '간판을 "{word}"[으로/로] 변경해줘',
        "간판에 '{word}'라고 써줘",
    ),
    "word and background": (
        "간판의 글자를 '{word}'[으로/로] 바꾸고 배경을 {background}[으로/로] 바꿔줘",
        "배경을 {background}[으로/로] 바꾸고 간판에 '{word}'라고 써줘",
    ),
}

WORDINGS: dict[Language, dict[str, tuple[str, ...]]] = {"en": _EN, "zh": _ZH, "ko": _KO}

# Asked for what it can't draw, the miniature learns to leave the picture alone, so that the
# validator says that nothing happened instead of somebody getting a random edit.
BEYOND: dict[Language, tuple[str, ...]] = {
    "en": (
        "make it a Ghibli scene",
        "add a dog on the left",
        "make the person smile",
        "turn the cat into a tiger",
        "add sunglasses to the man",
        "make it snow",
        "give her a hat",
        "add a painting on the wall",
        "rotate the car",
        "make the sky cloudy",
        "turn it into an oil painting of a horse",
        "open the window",
    ),
    "zh": (
        "变成吉卜力场景",
        "加一只狗",
        "让人物微笑",
        "给她戴上帽子",
        "让天空下雪",
        "墙上挂一幅画",
    ),
    "ko": (
        "지브리 장면으로 만들어줘",
        "강아지를 추가해줘",
        "웃게 해줘",
        "모자를 씌워줘",
        "눈이 오게 해줘",
        "벽에 그림을 걸어줘",
    ),
}

BEYOND_HELD_OUT: dict[Language, tuple[str, ...]] = {
    "en": ("add clouds to the sky", "make the dog wear a scarf", "turn the house into a castle"),
    "zh": ("把汽车变成飞机", "给小狗穿上毛衣", "让房子变成城堡"),
    "ko": ("집을 성으로 바꿔줘", "강아지에게 옷을 입혀줘", "하늘에 구름을 그려줘"),
}
"""The same for evaluation: training never says these."""
