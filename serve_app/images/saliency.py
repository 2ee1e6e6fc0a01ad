"""What stands out in a picture: where a viewer looks first, without a model.

Crops are placed by it. OpenCV's saliency module is not in the wheels, and one map alone fails
on half of the pictures, so this joins three well-known ones, all in CIE Lab at 256 pixels:

- the background prior of Zhang et al. 2015 ("Minimum Barrier Salient Object Detection at 80
  FPS", the appearance term of MB+): the distance of a pixel's colour from that of each of the
  four borders, whitened; the two nearest count, since sky and ground are different
  backgrounds and a thing may touch a border;
- the frequency-tuned map of Achanta et al. 2009: its distance from the mean of the picture;
- the spectral residual of Hou and Zhang 2007: what the spectrum of a picture does not predict.

The amount of fine texture is a fourth channel beside L, a and b: a smooth thing on gravel
stands out as much as a red one on grey.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.images.geometry import within
from serve_app.images.masks import Box, bounding_box
from serve_app.images.pixels import RGB

Map = NDArray[np.float32]
"""Shape (height, width), float32, 0 (background) to 1 (what stands out most)."""

_SIDE = 256
"""Longer side that the map is computed at, pixels: things are looked for, not details."""

_SMOOTHING = 0.012
"""Sigma that texture is averaged over, as a share of the longer side."""

_BORDER = 0.08
"""Width of a border, as a share of the side across it."""

_COLOUR_FLOOR, _TEXTURE_FLOOR = 4.0, 0.35
"""Deviations below which a border counts as plain: Lab units, and natural log of Lab units."""

_TEXTURE_NOISE = 1.5
"""Lightness deviation that is no texture (noise, JPEG), Lab units."""

_SPECTRAL_SIDE = 64
"""Side that the spectral residual is taken at, pixels; as in the paper."""

_BORDERS, _TUNED, _SPECTRAL = 0.6, 0.25, 0.15
"""Shares of the three maps."""

_CENTRE = 0.2
"""What the centre prior takes off at the corners: a photographer's subject is rarely there."""

_FAINT = 5.0
"""Distance, in deviations of the background, that is still nothing: weaker maps stay weak."""

_STANDS_OUT = 0.4
"""A map whose highest value is below this has nothing that stands out."""

_SPREAD = 0.5
"""What covers a larger share of the picture is no thing in front of a background."""

_SCATTERED, _FILLED, _WEAK = 0.7, 0.45, 0.5
"""Nor is a texture: a box over more than the first share of the picture, of which less than the
second stands out, in a map whose upper end (99th percentile) is below the third. Where that end
is higher there are several things apart, and the box is around them all."""

_SECOND = 0.3
"""Other things count if they weigh at least this share of the heaviest."""


def saliency(pixels: RGB) -> Map:
    """Return how much each pixel of ``pixels`` (height, width, 3) stands out, 0 to 1.

    Nothing that stands out gives low values everywhere; a flat picture zeros. Deterministic.
    """
    height, width, _ = pixels.shape
    small = cv2.resize(pixels, within(pixels, _SIDE), interpolation=cv2.INTER_AREA)
    features = _features(small)
    borders, tuned = _from_borders(features), _from_mean(features)
    # A spectrum has always some residual: it counts where there is anything to see at all.
    spectral = _spectral_residual(features[..., :3]) * borders.max()
    joined = _BORDERS * borders + _TUNED * tuned + _SPECTRAL * spectral
    joined *= _centre_prior(features.shape[:2])
    full = cv2.resize(joined.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    found: Map = np.clip(full, 0.0, 1.0)
    return found


def salient_box(saliency: Map) -> Box | None:
    """Return the smallest box around what stands out in a map (height, width) of 0 to 1.

    The map is cut at Otsu's threshold; the heaviest component counts, and others that weigh
    nearly as much. ``None`` if nothing stands out: the map is low everywhere, high over most
    of the picture, or somewhat high here and there all over it.
    """
    if saliency.max(initial=0.0) < _STANDS_OUT:
        return None
    levels = np.rint(np.clip(saliency, 0.0, 1.0) * 255).astype(np.uint8)
    _, above = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if above.mean() > _SPREAD:
        return None
    count, labels = cv2.connectedComponents(above, connectivity=8)
    weights = np.bincount(labels.ravel(), weights=saliency.ravel(), minlength=count)
    weights[0] = 0.0
    things = (weights >= _SECOND * weights.max())[labels] & (above > 0)
    box = bounding_box(things)
    return None if box is None or _is_texture(saliency, things, box) else box


def _is_texture(saliency: Map, things: NDArray[np.bool_], box: Box) -> bool:
    inside = things[box.area]
    scattered = inside.size > _SCATTERED * things.size and float(inside.mean()) < _FILLED
    return scattered and float(np.quantile(saliency, 0.99)) < _WEAK


def _features(small: RGB) -> NDArray[np.float32]:
    """L, a, b, smoothed, and the log of how much lightness varies nearby; (h, w, 4)."""
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)  # 8 bits: 10x faster
    lab[..., 0] *= 100 / 255
    sigma = max(0.8, _SMOOTHING * max(small.shape[:2]))
    smooth = cv2.GaussianBlur(lab, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    light = lab[..., 0]
    fine = light - cv2.GaussianBlur(light, (0, 0), 1.5, borderType=cv2.BORDER_REFLECT_101)
    energy = cv2.GaussianBlur(fine**2, (0, 0), 1.5 * sigma, borderType=cv2.BORDER_REFLECT_101)
    texture = np.log(np.sqrt(np.maximum(energy, 0.0)) + _TEXTURE_NOISE)
    features: NDArray[np.float32] = np.dstack((smooth, texture)).astype(np.float32)
    return features


def _from_borders(features: NDArray[np.float32]) -> Map:
    """How far each pixel is from the features of the two borders that are nearest to it."""
    distances = np.sort([_distance(features, border) for border in _borders(features)], axis=0)
    return _scaled(distances[:2].mean(axis=0))


def _borders(features: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    height, width = features.shape[:2]
    down, across = max(1, round(_BORDER * height)), max(1, round(_BORDER * width))
    strips = (features[:down], features[-down:], features[:, :across], features[:, -across:])
    for strip in strips:
        yield strip.reshape(-1, features.shape[2])


def _from_mean(features: NDArray[np.float32]) -> Map:
    """How far each pixel is from the mean of the picture."""
    return _scaled(_distance(features, features.reshape(-1, features.shape[2])))


def _distance(features: NDArray[np.float32], sample: NDArray[np.float32]) -> Map:
    """The Mahalanobis distance from ``sample`` (n, channels), in deviations of it."""
    floor = np.diag(np.array([_COLOUR_FLOOR] * 3 + [_TEXTURE_FLOOR]) ** 2)
    mean = sample.mean(axis=0, dtype=np.float64)
    centred = sample - mean
    covariance = centred.T @ centred / len(sample) + floor
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)
    whitened = (features - mean.astype(np.float32)) @ whitening
    distance: Map = np.sqrt(np.einsum("ijk,ijk->ij", whitened, whitened))
    return distance


def _scaled(distance: Map) -> Map:
    """The upper tail as 1; distances below ``_FAINT`` deviations are never blown up."""
    scaled: Map = np.clip(distance / max(float(np.quantile(distance, 0.99)), _FAINT), 0.0, 1.0)
    return scaled


def _spectral_residual(lab: NDArray[np.float32]) -> Map:
    """The residual of the log spectrum over its local mean, back in the picture, 0 to 1."""
    height, width = lab.shape[:2]
    if float(lab.reshape(-1, 3).std(axis=0).max()) < _COLOUR_FLOOR:
        return np.zeros((height, width), np.float32)
    square = (_SPECTRAL_SIDE, _SPECTRAL_SIDE)
    light = cv2.resize(lab[..., 0], square, interpolation=cv2.INTER_AREA).astype(np.float64)
    spectrum = np.fft.fft2(light)
    amplitude = np.log(np.abs(spectrum) + 1e-6)
    residual = amplitude - cv2.blur(amplitude, (3, 3), borderType=cv2.BORDER_REFLECT_101)
    back = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = cv2.GaussianBlur(back, (0, 0), 2.5)
    scaled = np.clip(smooth / max(float(np.quantile(smooth, 0.99)), 1e-12), 0.0, 1.0)
    found: Map = cv2.resize(
        scaled.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return found


def _centre_prior(size: tuple[int, int]) -> Map:
    """1 in the centre, falling to ``1 - _CENTRE`` in the corners."""
    down, across = (
        np.linspace(-1.0, 1.0, length) if length > 1 else np.zeros(1) for length in size
    )
    prior: Map = (1.0 - _CENTRE * (down[:, None] ** 2 + across**2) / 2.0).astype(np.float32)
    return prior
