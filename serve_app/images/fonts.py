"""Fonts by name: files of a folder, or Pillow's own. Where a font comes from stays in here."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from serve_app.errors import ConfigurationError, InvalidRequest

SizedFont = ImageFont.FreeTypeFont

BUILT_IN = "built-in"
"""What Pillow's own font is called: Latin letters without most accents, and no others."""

_SUFFIXES = frozenset({".ttf", ".otf", ".ttc"})

_NO_CHARACTER = "\U0010ffff"
"""A code point that Unicode keeps free: a font draws it as what it has no glyph for."""

_COMPARED_AT = 24
"""Size at which glyphs are compared, pixels."""


@dataclass(frozen=True, slots=True)
class Font:
    """A typeface, not yet of a size."""

    name: str
    _file: Path | None = None

    def at(self, size: int) -> SizedFont:
        """The font with an em of ``size`` pixels."""
        return _sized(self._file, size)

    def lacks(self, text: str) -> str:
        """Return the characters of ``text`` that this font can't draw, each once, in order.

        Spaces, line breaks, combining marks and other characters without an own glyph are
        never missing.
        """
        return "".join(
            it for it in dict.fromkeys(text) if _has_glyph(it) and _missing(self._file, it)
        )


def font_names(folder: Path) -> list[str]:
    """Return the names (file stems) of the fonts in ``folder`` and below it, sorted."""
    return sorted({file.stem for file in _files(folder)}, key=str.casefold)


def find_font(folder: Path | None, name: str | None) -> Font:
    """Return the font called ``name``, in either case, of ``folder``; ``None`` is Pillow's own.

    Raises ``InvalidRequest`` (``brand.font``), with names that are near, if there is none or
    it can't be read.
    """
    if name is None:
        return Font(BUILT_IN)
    if folder is None:
        raise InvalidRequest(
            "This service has no fonts of its own: leave `font` out.", "brand.font"
        )
    for file in _files(folder):
        if file.stem.casefold() == name.casefold():
            return _readable(file)
    raise InvalidRequest(_unknown(name, font_names(folder)), "brand.font")


def _unknown(name: str, names: list[str]) -> str:
    """Tell which names there are that look like ``name``, or else the first few."""
    if not names:
        return f"There is no font {name!r}, nor any other: leave `font` out."
    folded = {it.casefold(): it for it in names}
    near = [folded[it] for it in difflib.get_close_matches(name.casefold(), folded, 5, 0.5)]
    named = near or names[:5]
    rest = "." if len(named) == len(folded) else " and others."
    return f"There is no font {name!r}; there are {', '.join(named)}{rest}"


def _readable(file: Path) -> Font:
    font = Font(file.stem, file)
    try:
        font.at(_COMPARED_AT)
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"The font {file.stem!r} can't be read: name another.", "brand.font"
        ) from error
    return font


def _files(folder: Path) -> Iterator[Path]:
    """The fonts in ``folder``, in one order; none if there is no such folder."""
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in _SUFFIXES and file.is_file():
            yield file


@lru_cache(maxsize=64)
def _sized(file: Path | None, size: int) -> SizedFont:
    font = ImageFont.load_default(size) if file is None else ImageFont.truetype(file, size)
    if not isinstance(font, SizedFont):
        raise ConfigurationError("Pillow must be built with FreeType to draw text.")
    return font


def _has_glyph(character: str) -> bool:
    """Whether ``character`` is drawn by itself: no space, control or mark upon another."""
    kind = unicodedata.category(character)
    return kind[0] not in "ZM" and kind not in ("Cc", "Cf")


@lru_cache(maxsize=8192)
def _missing(file: Path | None, character: str) -> bool:
    """Whether ``character`` is drawn as a character that can't exist."""
    return _drawn(file, character) == _drawn(file, _NO_CHARACTER)


@lru_cache(maxsize=1024)
def _drawn(file: Path | None, character: str) -> tuple[tuple[int, ...], bytes]:
    mask = _sized(file, _COMPARED_AT).getmask(character)
    return tuple(mask.size), bytes(mask)
