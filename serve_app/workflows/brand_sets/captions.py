"""Whether a brand set's captions can be written: known before anything is edited."""

from __future__ import annotations

from serve_app.config import BrandConfig
from serve_app.errors import InvalidRequest
from serve_app.images.caption import fits
from serve_app.images.fonts import find_font
from serve_app.workflows.brand_sets.plan import BrandSet


def check_captions(brand_set: BrandSet, config: BrandConfig) -> None:
    """Raise ``InvalidRequest`` for a font that there is not, or a caption that it can't write.

    It looks for fonts and measures words: up to seconds for a thousand captions.
    """
    captions: dict[str, int] = {}
    for index, variation in enumerate(brand_set.variations):
        if variation.caption is not None:
            captions.setdefault(variation.caption, index)
    if brand_set.brand.font is None and not captions:
        return
    font = find_font(config.fonts, brand_set.brand.font)
    lacking = set(font.lacks("".join(captions)))
    sizes = sorted({(target.width, target.height) for target in brand_set.targets})
    for caption, index in captions.items():
        param = f"variations.{index}.caption"
        if missing := [character for character in dict.fromkeys(caption) if character in lacking]:
            raise InvalidRequest(
                f"The font can't draw {''.join(missing[:10])!r} of this caption: name another "
                "one as `brand.font`.",
                param,
            )
        for width, height in sizes:
            if not fits(caption, font, width, height):
                raise InvalidRequest(
                    f"The caption is too long for a picture of {width}x{height}: shorten it.",
                    param,
                )
