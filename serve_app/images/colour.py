"""Every colour mode of the accepted containers as 8-bit sRGB.

What becomes of a mode:

- 1-bit, grey, palette: their colours, exactly.
- 16-bit grey: ``round(value / 257)``, so that 65535 is 255 and 257 is 1. 16-bit colour
  arrives here as 8 bits already: Pillow keeps the high byte.
- CMYK and YCCK: through the embedded profile, else ``255 * (1 - ink) * (1 - black)``.
- transparency (RGBA, LA, tRNS): flattened on white, in sRGB as browsers do. The single
  transparent colour of a PNG in 2 or 4-bit grey or 16-bit colour is taken as opaque.
- an embedded ICC profile is converted to sRGB; a broken one is as good as none.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from serve_app.images.pixels import RGB

#: The largest profile looked at, bytes. Printers' CMYK profiles have about 2 MB.
_PROFILE_BYTES = 4 * 2**20
#: A profile that moves no colour by more levels than this is sRGB under another name.
_SRGB_TOLERANCE = 2
_PROFILE_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}


def to_srgb(image: Image.Image) -> RGB:
    """Return the pixels of a loaded ``image``: (height, width, 3), uint8, opaque sRGB."""
    opaque, alpha = split_alpha(image)
    colour = _through_profile(opaque, image.info.get("icc_profile")).convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", colour.size, "white")
        white.paste(colour, mask=alpha)
        colour = white
    return np.asarray(colour)


def split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Part ``image`` into colour of a mode that profiles know, and opacity (``L``) if any."""
    if image.mode.startswith("I"):
        return _grey_from_16_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    if image.mode in _PROFILE_SPACES:
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _grey_from_16_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Scale 16-bit grey; Pillow's own conversion to ``L`` clips at 255 instead."""
    values = np.asarray(image).astype(np.uint32)
    grey = Image.fromarray(((values + 128) // 257).clip(0, 255).astype(np.uint8))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey, None
    return grey, Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))


def _through_profile(image: Image.Image, profile: object) -> Image.Image:
    """Convert from an embedded ``profile`` to sRGB, if it is sound and fits the pixels."""
    if not isinstance(profile, bytes) or not 128 <= len(profile) <= _PROFILE_BYTES:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _PROFILE_SPACES.get(image.mode):
            return image
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), image.mode, "RGB"
        )
        if image.mode == "RGB" and _is_identity(transform):
            return image
        return ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # the profile is broken; the pixels are not


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform leaves a 17-level grid of colours as it is."""
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(17, -1, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform))
    return bool(np.abs(moved.astype(int) - grid).max() <= _SRGB_TOLERANCE)
