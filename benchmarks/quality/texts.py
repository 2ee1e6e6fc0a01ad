"""Good edits of words: on a sign in the photo, in the same letters at the same place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from benchmarks.quality import regions
from benchmarks.quality.edit import Edit, Kind, Lettered, Make
from benchmarks.quality.lab import Alpha
from benchmarks.quality.lettering import Sign
from benchmarks.quality.photos import Photo
from benchmarks.quality.words import Language, change_of_words, details
from serve_app.edits.request import EditType
from serve_app.edits.text_targets import TextTargets
from serve_app.images.masks import bounding_box, from_box

_PROMPTS: dict[Language, tuple[str, ...]] = {
    Language.EN: (
        "Change the sign from '{old}' to '{new}'.",
        'Replace "{old}" with "{new}" on the sign.',
        'Change the text "{old}" to "{new}"',
    ),
    Language.ZH: (
        "把“{old}”改成“{new}”",
        "将牌子上的“{old}”替换为“{new}”",
    ),
    Language.KO: (
        "'{old}'을(를) '{new}'(으)로 바꿔 주세요",
        '간판의 "{old}"를 "{new}"로 바꿔줘',
    ),
}
_ADDITION = {
    Language.EN: "Add the text '{new}' to the sign.",
    Language.ZH: "在牌子上添加文字“{new}”",
    Language.KO: "간판에 '{new}'라고 써 주세요",
}
_REMOVAL = {
    Language.EN: "Remove the text '{old}' from the sign.",
    Language.ZH: "去掉牌子上的“{old}”",
    Language.KO: "간판에서 '{old}'를 지워 주세요",
}
_INKS = (("red", (206, 24, 30)), ("white", (250, 250, 248)), ("blue", (30, 70, 190)))


def exchange(language: Language) -> Make:
    """Edits that put other words in the place of some; two or three lines, one of them edited."""

    def exchanged(photo: Photo, random: Generator) -> Edit:
        lettered = _lettered(photo, language, random)
        new = lettered.lines[lettered.edited]
        prompts = _PROMPTS[language]
        prompt = prompts[int(random.integers(len(prompts)))].format(old=lettered.old, new=new)
        return _edit(lettered, lettered.old, new, prompt)

    return exchanged


def any_exchange(photo: Photo, random: Generator) -> Edit:
    """``exchange`` in some language."""
    return exchange(_language(random))(photo, random)


def exchange_masked(photo: Photo, random: Generator) -> Edit:
    """``any_exchange`` with a box around the line as its mask."""
    edit = any_exchange(photo, random)
    box = bounding_box(regions.dilated(edit.touched, 0.004))
    if box is None:
        raise ValueError("the words to exchange are nowhere")
    return replace(edit, mask=from_box(box, edit.touched.shape[1], edit.touched.shape[0]))


def exchange_with_room(photo: Photo, random: Generator) -> Edit:
    """``any_exchange`` on a sign whose last line is empty, and stays so."""
    language = _language(random)
    lettered = _lettered(photo, language, random, spare=True)
    new = lettered.lines[lettered.edited]
    prompt = _PROMPTS[language][0].format(old=lettered.old, new=new)
    return _edit(lettered, lettered.old, new, prompt)


def add_line(photo: Photo, random: Generator) -> Edit:
    """Write a line where the sign has room for it."""
    language = _language(random)
    lettered = replace(_lettered(photo, language, random), old="")
    new = lettered.lines[lettered.edited]
    return _edit(lettered, None, new, _ADDITION[language].format(new=new))


def remove_line(photo: Photo, random: Generator) -> Edit:
    """Wipe a line off the sign."""
    language = _language(random)
    lettered = _lettered(photo, language, random)
    lines = _with_line(lettered.lines, lettered.edited, "")
    prompt = _REMOVAL[language].format(old=lettered.old)
    return _edit(replace(lettered, lines=lines), lettered.old, None, prompt)


def caption(photo: Photo, random: Generator) -> Edit:
    """Write on the photo itself."""
    language = _language(random)
    _, new = change_of_words(language, random)
    sign = Sign.hang(photo.pixels, (new,), language, random, grey=not photo.coloured, board=False)
    lettered = Lettered(sign, photo.pixels, (new,), 0, "")
    edited = sign.draw(photo.pixels, (new,))
    touched = _around(sign, photo.pixels.shape, (new,))
    prompt = _ADDITION[language].replace("on the sign", "on the photo").format(new=new)
    return Edit(photo.pixels, edited, prompt, touched, text=TextTargets(new), lettered=lettered)


def repaint(photo: Photo, random: Generator) -> Edit:
    """Paint the words in another colour; they read as before."""
    lettered = _lettered(photo, _language(random), random)
    sign, lines = lettered.sign, lettered.lines
    board = np.array(sign.board or (0, 0, 0))
    inks = [
        (name, ink)
        for name, ink in _INKS
        if abs(float((board - ink).mean())) > 60 and np.abs(np.subtract(ink, sign.ink)).sum() > 150
    ]
    name, ink = inks[int(random.integers(len(inks)))] if inks else ("orange", (236, 130, 20))
    original = sign.draw(lettered.photo, lines)
    edited = sign.draw(lettered.photo, lines, ink=ink)
    text = TextTargets(lines[lettered.edited])
    touched = _around(sign, original.shape, lines)
    return Edit(original, edited, f"Make the letters on the sign {name}.", touched, text=text)


def _lettered(
    photo: Photo, language: Language, random: Generator, *, spare: bool = False
) -> Lettered:
    """Hang a sign of two or three lines, one of which is to change, and maybe an empty one."""
    old, new = change_of_words(language, random)
    kept = details(language, int(random.integers(1, 3)), random)
    at = 0 if random.random() < 0.6 else len(kept)
    lines = (*kept[:at], new, *kept[at:], *([""] if spare else []))
    fitting = ["\n".join(lines), "\n".join(_with_line(lines, at, old))]
    sign = Sign.hang(photo.pixels, fitting, language, random, grey=not photo.coloured)
    return Lettered(sign, photo.pixels, lines, at, old)


def _edit(lettered: Lettered, old: str | None, new: str | None, prompt: str) -> Edit:
    sign, photo = lettered.sign, lettered.photo
    before = _with_line(lettered.lines, lettered.edited, lettered.old)
    blank = ("",) * len(before)
    changed = (
        _around(sign, photo.shape, _with_line(blank, lettered.edited, lines[lettered.edited]))
        for lines in (before, lettered.lines)
    )
    return Edit(
        original=sign.draw(photo, before),
        edited=sign.draw(photo, lettered.lines),
        prompt=prompt,
        touched=np.maximum(*changed),
        text=TextTargets(new, old),
        lettered=lettered,
    )


def _around(sign: Sign, shape: tuple[int, ...], lines: tuple[str, ...]) -> Alpha:
    written = sign.letters(shape, lines)
    near: Alpha = regions.dilated(written, 0.15 * sign.letter / max(shape)).astype(np.float32)
    return near


def _with_line(lines: tuple[str, ...], at: int, line: str) -> tuple[str, ...]:
    return (*lines[:at], line, *lines[at + 1 :])


def _language(random: Generator) -> Language:
    languages = tuple(Language)
    return languages[int(random.integers(len(languages)))]


def _has_room(photo: Photo) -> bool:
    return photo.plain


KINDS = tuple(
    Kind(name, EditType.TEXT, make, _has_room)
    for name, make in (
        ("exchange_en", exchange(Language.EN)),
        ("exchange_zh", exchange(Language.ZH)),
        ("exchange_ko", exchange(Language.KO)),
        ("exchange_masked", exchange_masked),
        ("exchange_with_room", exchange_with_room),
        ("add_line", add_line),
        ("remove_line", remove_line),
        ("caption", caption),
        ("repaint", repaint),
    )
)
