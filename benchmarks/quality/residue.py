"""What every edit carries beside the change that was asked: the way through model and file.

The model works on a canvas whose sides are multiples of 32, so a picture is resampled to it and
back. Its VAE (8x, 16 channels) smooths the finest texture, adds a little soft grain and moves
the colours by less than a level; its reconstructions of photos have a PSNR of about 33 dB. At
last the result is saved, often as JPEG.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image

from benchmarks.quality.lab import rounded
from serve_app.images.pixels import RGB

MULTIPLE = 32
"""Sides of the model's canvas, pixels."""

_PSNR_DB = (34.0, 38.5)
"""What a VAE leaves of a photo; smooth photos come out better than asked for."""

_MOST_SMOOTHING = 0.6
"""Share of the finest texture that may go, however smooth a photo is."""

_PILLOW_LANCZOS = -1
_ENLARGING = (cv2.INTER_LANCZOS4, cv2.INTER_CUBIC, _PILLOW_LANCZOS)
_REDUCING = (*_ENLARGING, cv2.INTER_AREA)


@dataclass(frozen=True, slots=True)
class Residue:
    """One such way, drawn once, so that it can be gone again exactly.

    ``zoom`` is the canvas's side over the picture's, before it is rounded up. ``psnr_db`` is
    of the VAE alone.
    ``offset`` is added to R, G and B, in levels. ``quality`` is JPEG's, ``None`` for PNG.
    """

    zoom: float
    there: int
    back: int
    psnr_db: float
    grain: float
    offset: tuple[float, float, float]
    quality: int | None
    seed: int

    @classmethod
    def draw(cls, random: Generator) -> Residue:
        """Draw a way from what is usual."""
        red, green, blue = random.uniform(-0.7, 0.7, 3)
        return cls(
            zoom=float(random.uniform(1.0, 1.25)),
            there=int(random.choice(_ENLARGING)),
            back=int(random.choice(_REDUCING)),
            psnr_db=float(random.uniform(*_PSNR_DB)),
            grain=float(random.uniform(0.4, 1.1)),
            offset=(float(red), float(green), float(blue)),
            quality=int(random.integers(88, 96)) if random.random() < 0.5 else None,
            seed=int(random.integers(1 << 32)),
        )

    def through_model(self, pixels: RGB) -> RGB:
        """Return ``pixels`` as an otherwise perfect model gives them back, at their size."""
        height, width, _ = pixels.shape
        canvas = _resampled(pixels, self._canvas(width, height), self.there)
        return _resampled(self._through_vae(canvas), (width, height), self.back)

    def through_file(self, pixels: RGB) -> RGB:
        """Return ``pixels`` as they are read back from the saved file."""
        return pixels if self.quality is None else through_jpeg(pixels, self.quality)

    def _canvas(self, width: int, height: int) -> tuple[int, int]:
        across, down = (-(-round(side * self.zoom) // MULTIPLE) for side in (width, height))
        return across * MULTIPLE, down * MULTIPLE

    def _through_vae(self, pixels: RGB) -> RGB:
        exact = pixels.astype(np.float32)
        noise = np.random.default_rng(self.seed).standard_normal(exact.shape, np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), 1.0)
        smoothing = cv2.GaussianBlur(exact, (0, 0), 1.0) - exact
        error_rms = 255.0 / 10 ** (self.psnr_db / 20)
        texture_rms = float(np.sqrt(np.mean(smoothing**2)))
        share = min(_MOST_SMOOTHING, error_rms / max(texture_rms, 1e-6))
        grain = noise * (self.grain / float(noise.std()))
        return rounded(exact + share * smoothing + grain + np.array(self.offset, np.float32))


def through_jpeg(pixels: RGB, quality: int) -> RGB:
    """Return ``pixels`` as a JPEG of ``quality`` (1 to 100) holds them."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.array(image.convert("RGB"))


def _resampled(pixels: RGB, size: tuple[int, int], how: int) -> RGB:
    if how == _PILLOW_LANCZOS:
        return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    resampled: RGB = cv2.resize(pixels, size, interpolation=how)
    return resampled
