"""One picture in frames of other proportions: cropped to what matters, or continued; not stretched.

A crop is as large as the aspect allows, so it slides along one axis only. Where it would cut
what stands out (``saliency``), the whole picture is put on a larger canvas instead. The canvas
beside it is filled with the mirrored picture, the more blurred the farther away: it has no
seam, gives a model that paints it over the colours to start from, and can stay as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.geometry import resize, within
from serve_app.images.masks import Box
from serve_app.images.pixels import RGB
from serve_app.images.saliency import Map, saliency, salient_box

_SIDE = 256
"""Longer side at which saliency is computed, pixels."""

_CENTRED = 0.5
"""What a centred thing is worth beside keeping all saliency, which is worth 1."""

_MARGIN = 0.02
"""Room that is left around what stands out, as a share of the picture's side."""

_KEPT = 0.5
"""Least share of a picture without a subject that a crop keeps, else the picture is padded."""

_BLURS = (0.0, 0.012, 0.035, 0.08)
"""Sigmas of the continuation from the picture's edge outwards, shares of the canvas' side."""

_REACH = 0.12
"""Where the last of ``_BLURS`` is reached, as a share of the canvas' side."""


class Fit(StrEnum):
    """How a picture comes into a frame of another aspect."""

    AUTO = "auto"
    """Crop where what stands out stays whole, else pad."""
    CROP = "crop"
    """Cut off what is too much."""
    PAD = "pad"
    """Keep all, on a larger canvas."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The proportions of a target, in any unit, and how a picture comes into them.

    Raises ``ValueError`` unless both lengths are at least 1.
    """

    aspect_width: int
    aspect_height: int
    fit: Fit = Fit.AUTO

    def __post_init__(self) -> None:
        _require_positive(self.aspect_width, self.aspect_height)


@dataclass(frozen=True, slots=True, eq=False)
class Framed:
    """``pixels`` (height, width, 3) in the aspect of a frame, at the picture's own scale.

    ``how`` is ``CROP`` or ``PAD``. ``box`` is the part of the picture that was kept, or where
    the whole picture lies on the padded canvas.
    """

    pixels: RGB
    how: Fit
    box: Box


def framed(pixels: RGB, frame: Frame) -> Framed:
    """Bring ``pixels`` (height, width, 3) into the aspect of ``frame``, without resampling.

    A picture that has this aspect is cropped to itself: it comes back as it is. Padding keeps
    one side of the picture, so the other grows with the frame's aspect: bound it before.
    """
    box = _chosen_crop(pixels, frame)
    if box is None:
        return _padded(pixels, _canvas_size(pixels, frame.aspect_width, frame.aspect_height))
    return Framed(np.ascontiguousarray(pixels[box.area]), Fit.CROP, box)


def fitted(pixels: RGB, width: int, height: int, fit: Fit = Fit.CROP) -> RGB:
    """Return ``pixels`` as exactly ``width`` x ``height``: framed, and resampled by Lanczos.

    Both axes have one scale, to the rounding of the frame. Where the canvas would be larger
    than the result, the picture is shrunk before it is padded, which comes to the same. Raises
    ``ValueError`` for a length below 1.
    """
    box = _chosen_crop(pixels, Frame(width, height, fit))
    if box is not None:
        return resize(np.ascontiguousarray(pixels[box.area]), (width, height))
    canvas = _canvas_size(pixels, width, height)
    if canvas[0] * canvas[1] <= width * height:
        return resize(_padded(pixels, canvas).pixels, (width, height))
    own_width, own_height = _size(pixels)
    scale = min(width / own_width, height / own_height)
    inner = max(1, round(own_width * scale)), max(1, round(own_height * scale))
    return _padded(resize(pixels, inner), (width, height)).pixels


def crop_box(pixels: RGB, width: int, height: int) -> Box:
    """Return the largest box of the aspect ``width``:``height`` in ``pixels``, well placed.

    It holds what stands out whole if that can be, as near to its middle as the rest of the
    saliency lets it; in a picture where nothing stands out it lies in the centre.
    Deterministic. Raises ``ValueError`` for a length below 1.
    """
    _require_positive(width, height)
    return _Interest.of(pixels).crop(_crop_size(pixels, width, height))


# Cropping.


def _chosen_crop(pixels: RGB, frame: Frame) -> Box | None:
    """The crop that ``frame`` asks for; ``None`` if the picture is to be padded."""
    size = frame.aspect_width, frame.aspect_height
    crop = _crop_size(pixels, *size)
    if crop == _size(pixels) == _canvas_size(pixels, *size):
        return Box(0, 0, *crop)
    if frame.fit is Fit.PAD:
        return None
    looked_at = _Interest.of(pixels)
    if frame.fit is Fit.AUTO and not looked_at.fits(crop):
        return None
    return looked_at.crop(crop)


@dataclass(frozen=True, slots=True, eq=False)
class _Interest:
    """What a picture of ``size`` (width, height) has to look at.

    ``map`` is its saliency at most ``_SIDE`` pixels large, ``thing`` what stands out, in pixels
    of the picture.
    """

    size: tuple[int, int]
    map: Map
    thing: Box | None

    @classmethod
    def of(cls, pixels: RGB) -> _Interest:
        width, height = _size(pixels)
        small = within(pixels, _SIDE)
        shrunk = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
        found = saliency(shrunk)
        box = salient_box(found)
        if box is None:
            return cls((width, height), found, None)
        across, down = width / small[0], height / small[1]
        thing = Box(
            int(box.left * across),
            int(box.top * down),
            min(width, -int(-box.right * across // 1)),
            min(height, -int(-box.bottom * down // 1)),
        )
        return cls((width, height), found, thing)

    def fits(self, crop: tuple[int, int]) -> bool:
        """Whether a ``crop`` (width, height) of the picture would leave whole what matters."""
        width, height = self.size
        if self.thing is None:
            return crop[0] * crop[1] >= _KEPT * width * height
        left, top, right, bottom = self.thing
        return right - left <= crop[0] and bottom - top <= crop[1]

    def crop(self, size: tuple[int, int]) -> Box:
        """Place a crop of ``size`` (width, height)."""
        thing = self.thing
        left = _placed(
            self.map.sum(axis=0), self.size[0], size[0], thing and (thing.left, thing.right)
        )
        top = _placed(
            self.map.sum(axis=1), self.size[1], size[1], thing and (thing.top, thing.bottom)
        )
        return Box(left, top, left + size[0], top + size[1])


def _placed(
    profile: NDArray[np.float32], length: int, kept: int, thing: tuple[int, int] | None
) -> int:
    """Return where ``kept`` of ``length`` pixels begin on an axis with this saliency ``profile``.

    ``thing`` is where what stands out begins and ends on the axis.
    """
    if kept >= length:
        return 0
    starts = np.arange(length - kept + 1)
    middle = (length - kept) / 2
    if thing is None:
        return round(middle)
    sums = np.concatenate(([0.0], np.cumsum(profile, dtype=np.float64)))
    grid = np.linspace(0.0, length, len(sums))
    held = np.interp(starts + kept, grid, sums) - np.interp(starts, grid, sums)
    margin = round(_MARGIN * length)
    begin, end = max(0, thing[0] - margin), min(length, thing[1] + margin)
    whole = np.minimum(starts + kept, end) - np.maximum(starts, begin)
    off_centre = np.abs(starts + kept / 2 - (begin + end) / 2) / kept
    score = held / max(float(sums[-1]), 1e-9) - _CENTRED * off_centre
    score[whole < whole.max()] = -np.inf
    best = np.flatnonzero(score >= score.max() - 1e-9)
    return int(best[np.argmin(np.abs(best - middle))])


def _crop_size(pixels: RGB, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the largest box of the aspect ``width``:``height``."""
    own_width, own_height = _size(pixels)
    if own_width * height >= own_height * width:
        return min(own_width, max(1, round(own_height * width / height))), own_height
    return own_width, min(own_height, max(1, round(own_width * height / width)))


# Padding.


def _canvas_size(pixels: RGB, width: int, height: int) -> tuple[int, int]:
    """(width, height) of the smallest canvas of the aspect ``width``:``height`` that holds all."""
    own_width, own_height = _size(pixels)
    if own_width * height >= own_height * width:
        return own_width, max(own_height, round(own_width * height / width))
    return max(own_width, round(own_height * width / height)), own_height


def _padded(pixels: RGB, canvas: tuple[int, int]) -> Framed:
    """Lay ``pixels`` in the middle of a ``canvas`` (width, height) that is as long on one axis."""
    width, height = _size(pixels)
    left, top = (canvas[0] - width) // 2, (canvas[1] - height) // 2
    box = Box(left, top, left + width, top + height)
    if canvas[1] > height:
        turned = _continued(pixels.transpose(1, 0, 2), top, canvas[1] - box.bottom)
        return Framed(np.ascontiguousarray(turned.transpose(1, 0, 2)), Fit.PAD, box)
    return Framed(_continued(pixels, left, canvas[0] - box.right), Fit.PAD, box)


def _continued(pixels: RGB, before: int, after: int) -> RGB:
    """Return ``pixels`` (height, width, 3) with columns on both sides that continue them."""
    height, width, _ = pixels.shape
    canvas: RGB = np.pad(pixels, ((0, 0), (before, after), (0, 0)), mode="symmetric")
    side = max(canvas.shape[:2])
    for begin, end in ((0, before), (before + width, before + width + after)):
        columns = np.arange(begin, end)
        away = np.maximum(before - columns, columns - (before + width - 1))
        level = np.minimum(1.0, away / (_REACH * side)) * (len(_BLURS) - 1)
        mixed = np.zeros((height, end - begin, 3), np.float32)
        for number, sigma in enumerate(_BLURS):
            weight = np.clip(1.0 - np.abs(level - number), 0.0, 1.0).astype(np.float32)
            used = np.flatnonzero(weight)
            if used.size:
                part = slice(int(used[0]), int(used[-1]) + 1)
                blurred = _blurred(canvas, sigma * side, begin + part.start, begin + part.stop)
                mixed[:, part] += blurred * weight[part, None]
        canvas[:, begin:end] = np.rint(mixed)
    return canvas


def _blurred(canvas: RGB, sigma: float, begin: int, end: int) -> RGB:
    """The columns ``begin`` to ``end`` after a Gaussian blur, made at a size where it is cheap."""
    if sigma < 0.3:
        return canvas[:, begin:end]
    reach = round(3 * sigma)
    left, right = max(0, begin - reach), min(canvas.shape[1], end + reach)
    region = np.ascontiguousarray(canvas[:, left:right])
    factor = max(1, int(sigma / 4))
    height, width, _ = region.shape
    size = max(1, round(width / factor)), max(1, round(height / factor))
    small = cv2.resize(region, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REFLECT)
    blurred: RGB = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return blurred[:, begin - left : end - left]


def _size(pixels: RGB) -> tuple[int, int]:
    height, width, _ = pixels.shape
    return width, height


def _require_positive(*lengths: int) -> None:
    if min(lengths) < 1:
        raise ValueError("width and height must be at least 1")
