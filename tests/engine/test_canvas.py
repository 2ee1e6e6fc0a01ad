"""Canvases of drawn jobs, and the identity check: encode, decode, and nothing has moved."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import (
    QwenImageResample,
    QwenImageResidualBlock,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift, zoom
from skimage import data
from skimage.registration import phase_cross_correlation

from serve_app.edits.job import EditJob
from serve_app.edits.request import ExactSize
from serve_app.engine.canvas import Layout
from serve_app.engine.decode import decode
from serve_app.engine.encode import encode
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import Ticket
from serve_app.images.pixels import RGB
from tests.engine.tasks import photo


def job(*images: RGB, **changes: object) -> EditJob:
    made = EditJob(images, "x", " ", 1.0, 1, 0)
    return replace(made, **changes)  # type: ignore[arg-type]


# Layouts

sides = st.integers(32, 200)


@given(sizes=st.lists(st.tuples(sides, sides), min_size=1, max_size=4))
def test_a_task_is_what_its_layout_says(plus: Checkpoint, sizes: list[tuple[int, int]]) -> None:
    wanted = job(*(photo(n, *size) for n, size in enumerate(sizes)))
    layout = Layout.of(wanted, plus)
    task = layout.task(wanted)
    assert [image.shape[1::-1] for image in task.references] == [c.size for c in layout.references]
    assert (task.width, task.height) == layout.references[0].size
    assert all(side % plus.multiple == 0 for image in task.references for side in image.shape[:2])
    assert len(task.conditions) == len(sizes)
    assert layout.size == sizes[0]
    canvas = np.zeros((task.height, task.width, 3), dtype=np.uint8)
    assert layout.restore(canvas).shape == (sizes[0][1], sizes[0][0], 3)


def test_an_exact_size_sets_the_output_canvas_and_leaves_the_reference(plus: Checkpoint) -> None:
    wanted = job(photo(1, 120, 60), size=ExactSize(60, 120))
    layout = Layout.of(wanted, plus)
    assert layout.output.height > layout.output.width
    assert layout.references == Layout.of(job(photo(1, 120, 60)), plus).references
    assert layout.size == (60, 120)


def test_the_first_edit_family_shows_its_encoder_the_reference_itself(
    miniatures: dict[str, Checkpoint],
) -> None:
    wanted = job(photo(1, 120, 60))
    task = Layout.of(wanted, miniatures["edit"]).task(wanted)
    assert task.conditions == task.references


# The identity check

REFERENCE_LEVEL = 20.0


@pytest.fixture(scope="module")
def blurring(plus: Checkpoint) -> Checkpoint:
    """The miniature with a VAE whose weights are set by hand to reconstruct, blurred.

    Its own VAE is random. Training one to reconstruct takes minutes; this one needs no
    luck: three times it averages 2x2 pixels, and three times it interpolates them, both
    symmetric about a pixel's centre, with all residual branches at zero. The norms are
    harmless beside a large constant channel (``REFERENCE_LEVEL``), and SiLU is exact on
    pairs of opposite sign: silu(x) - silu(-x) = x.
    """
    vae = AutoencoderKLQwenImage.from_config(plus.pipeline.vae.config).eval()
    average = torch.zeros(3, 3)
    average[:2, :2] = 1 / 4
    interpolate = torch.outer(*(torch.tensor([1.0, 2.0, 1.0]) / 4,) * 2)
    carried, colours = range(7), range(3)  # red, green, blue; their negatives; the constant
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            parameter.fill_(1.0 if name.endswith("gamma") else 0.0)
        for module in vae.modules():
            if isinstance(module, QwenImageResample):
                for channel in carried:
                    kernel = average if module.mode.startswith("down") else interpolate
                    module.resample[1].weight[channel, channel] = kernel
            shortcut = getattr(module, "conv_shortcut", None)
            if isinstance(module, QwenImageResidualBlock) and hasattr(shortcut, "weight"):
                for channel in carried:
                    shortcut.weight[channel, channel] = 1.0
        for half in (vae.encoder, vae.decoder):
            half.conv_in.bias[6] = REFERENCE_LEVEL
            gain = REFERENCE_LEVEL / half.conv_out.weight.shape[1] ** 0.5
            for colour in colours:
                for sign, channel in ((1.0, colour), (-1.0, colour + 3)):
                    half.conv_in.weight[channel, colour, -1, 1, 1] = sign
                    half.conv_out.weight[colour, channel, -1, 1, 1] = sign * gain
        for colour in colours:
            vae.quant_conv.weight[colour, colour] = 1.0
            vae.post_quant_conv.weight[colour, colour] = 1.0
    pipeline = copy.copy(plus.pipeline)
    pipeline.vae = vae
    return replace(plus, pipeline=pipeline, vae_area=512 * 512)


def round_trip(checkpoint: Checkpoint, image: RGB) -> RGB:
    """Take an image through the engine's own path, but for the denoising."""
    wanted = job(image)
    layout = Layout.of(wanted, checkpoint)
    with torch.no_grad():
        state = encode(checkpoint, Ticket(layout.task(wanted), None))
        pixels, finite = decode(checkpoint, state.references, state)
    assert finite
    return layout.restore(pixels)


def displacement(image: RGB, other: RGB) -> NDArray[np.float64]:
    """How far ``other`` is shifted against ``image``: (down, right) in pixels.

    Plain cross-correlation of windowed, blurred luma: with whitening the highest
    frequencies, which are noise here, would decide, and find no shift anywhere.
    """

    def prepared(pixels: RGB) -> NDArray[np.float64]:
        luma = gaussian_filter(pixels @ np.array([0.299, 0.587, 0.114]), 4.0)
        window = np.outer(*(np.hanning(side) for side in luma.shape))
        return (luma - luma.mean()) * window

    found, _, _ = phase_cross_correlation(
        prepared(other), prepared(image), upsample_factor=20, normalization=None
    )
    return np.asarray(found)


def quadrants(image: RGB) -> list[RGB]:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    tops, lefts = (slice(height), slice(height, None)), (slice(width), slice(width, None))
    return [image[rows, columns] for rows in tops for columns in lefts]


def displacements(image: RGB, other: RGB) -> NDArray[np.float64]:
    """Of the whole and of its four quadrants, which a change of scale would pull apart."""
    parts = zip([image, *quadrants(image)], [other, *quadrants(other)], strict=True)
    return np.array([displacement(*pair) for pair in parts])


PHOTOS = {
    "451x300": lambda: data.chelsea(),
    "387x243": lambda: data.chelsea()[17:260, 31:418],
    "211x389": lambda: data.astronaut()[3:392, 100:311],
}
photos = pytest.mark.parametrize("name", PHOTOS)


@photos
def test_an_identity_edit_shifts_nothing_by_half_a_pixel(blurring: Checkpoint, name: str) -> None:
    image = PHOTOS[name]()
    restored = round_trip(blurring, image)
    assert restored.shape == image.shape
    assert np.abs(restored.astype(float) - image).mean() < 20  # it does reconstruct
    assert np.abs(displacements(image, restored)).max() < 0.5


@photos
def test_the_check_would_see_a_shift(name: str) -> None:
    image = PHOTOS[name]()
    moved = shift(image.astype(float), (0.8, -0.6, 0), order=1, mode="nearest").astype(np.uint8)
    found = displacements(image, moved)
    np.testing.assert_allclose(found, np.broadcast_to((0.8, -0.6), found.shape), atol=0.2)


@photos
def test_the_check_would_see_a_change_of_scale(name: str) -> None:
    """Two percent, less than the 3.4 of the stock pipeline's canvases."""
    image = PHOTOS[name]()
    height, width, _ = image.shape
    wide = np.asarray(zoom(image.astype(float), (1, 1.02, 1), order=1), dtype=np.uint8)
    assert np.abs(displacements(image, wide[:height, :width])[1:]).max() > 0.5
