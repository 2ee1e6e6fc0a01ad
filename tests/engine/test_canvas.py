"""Canvases of drawn jobs, and the identity check: encode, decode, and nothing has moved."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import (
    QwenImageResample,
    QwenImageResidualBlock,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, shift, zoom
from skimage import data
from skimage.registration import phase_cross_correlation

from serve_app.config import EngineConfig
from serve_app.edits.job import EditJob
from serve_app.edits.request import EditRequest, ExactSize, LoraUse, OutputSize
from serve_app.engine.canvas import Layout
from serve_app.engine.decode import decode
from serve_app.engine.encode import compatibility_key, encode
from serve_app.engine.encoders import Encoders
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import Ticket
from serve_app.errors import UnusableMask
from serve_app.images.compositing import dilated, feather_radius
from serve_app.images.masks import Box, EditMask, from_box
from serve_app.images.pixels import RGB, DecodedImage
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


def test_an_adapter_goes_with_the_task(plus: Checkpoint) -> None:
    wanted = job(photo(1, 60, 60), lora=LoraUse("ink", 0.5))
    assert Layout.of(wanted, plus).task(wanted).lora == LoraUse("ink", 0.5)


# Company

# Few sizes, some of which have one canvas: that draws meet is what matters.
company_sizes = st.sampled_from(
    [(128, 128), (120, 126), (64, 64), (128, 96), (96, 128), (300, 200)]
)
requests = st.builds(
    EditRequest,
    st.lists(company_sizes, min_size=1, max_size=3).map(
        lambda sizes: tuple(
            DecodedImage(photo(n, *size), f"img-{n}") for n, size in enumerate(sizes)
        )
    ),
    st.sampled_from(["make it blue", "make it red"]),
    size=st.sampled_from(["auto", "native", ExactSize(128, 128), ExactSize(64, 100)]),
    lora=st.none() | st.builds(LoraUse, st.sampled_from(["ink", "oil"]), st.sampled_from([0.5, 1])),
)


@pytest.fixture(scope="module")
def engine(plus: Checkpoint) -> Iterator[Engine]:
    engine = Engine(plus, EngineConfig())
    yield engine
    engine.close()


@given(one=requests, other=requests, few_steps=st.tuples(st.booleans(), st.booleans()))
def test_company_is_who_can_share_a_step(
    engine: Engine,
    plus: Checkpoint,
    one: EditRequest,
    other: EditRequest,
    few_steps: tuple[bool, bool],
) -> None:
    """Whether they are drafts is not known of requests."""
    keys = []
    for request, few_step in zip((one, other), few_steps, strict=True):
        images = [image.pixels for image in request.images]
        wanted = job(*images, size=request.size, lora=request.lora, few_step=few_step)
        task = Layout.of(wanted, plus).task(wanted)
        keys.append(compatibility_key(plus, task)._replace(few_step=False))
    assert (engine.company(one) == engine.company(other)) == (keys[0] == keys[1])
    assert hash(engine.company(one)) == hash(engine.company(replace(one, prompt="x", seed=1)))


def test_what_does_not_change_the_step_keeps_company(engine: Engine) -> None:
    image = DecodedImage(photo(1, 128, 128), "img-1")
    plain = EditRequest((image,), "x")
    mask = EditMask.of_box(Box(0, 0, 9, 9), 128, 128)
    for other in (
        replace(plain, images=(DecodedImage(photo(2, 128, 128), "img-2"),)),
        replace(plain, mask=mask),
        replace(plain, num_inference_steps=9, true_cfg_scale=1.0, seed=3, user="shop"),
    ):
        assert engine.company(other) == engine.company(plain)
    assert engine.company(replace(plain, images=(image, image))) != engine.company(plain)


# Masks


@pytest.mark.parametrize("size", [(128, 128), (120, 130), (301, 203), (40, 33), (1000, 130)])
def test_a_mask_lies_on_the_canvas_as_its_image_does(
    plus: Checkpoint, size: tuple[int, int]
) -> None:
    """Shown by an image that is white where editable, and black where it is kept."""
    width, height = size
    blots = np.random.default_rng(0).random((height // 20 + 1, width // 20 + 1)) < 0.3
    editable = blots.repeat(20, axis=0).repeat(20, axis=1)[:height, :width]
    white = np.repeat(np.uint8(255) * editable[..., None], 3, axis=2)
    wanted = job(white, mask=editable)
    task = Layout.of(wanted, plus).task(wanted)
    assert task.mask is not None
    assert task.mask.shape == (task.height, task.width)
    placed = task.references[0].max(axis=2)
    # Lanczos reaches over an edge by less than half of the difference.
    assert not np.any(placed[~task.mask] > 127)
    # A canvas pixel of which only a sliver is editable lies beside one that shows it.
    assert np.all(maximum_filter(placed, 3)[task.mask] > 0)


def test_the_padding_of_a_canvas_goes_with_what_it_repeats(plus: Checkpoint) -> None:
    editable = np.zeros((120, 130), dtype=np.bool_)
    editable[30:60, 100:] = True
    wanted = job(photo(1, 130, 120), mask=editable)
    mask = Layout.of(wanted, plus).task(wanted).mask
    assert mask is not None
    assert mask.shape == (128, 160)
    assert np.array_equal(mask[:120, :130], editable)
    assert mask[30:60, 130:].all()
    assert mask.sum() == 30 * 60


@settings(deadline=None)
@given(width=sides, height=st.integers(32, 400), place=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_no_editable_pixel_gets_lost_on_the_canvas(
    plus: Checkpoint, width: int, height: int, place: tuple[float, float]
) -> None:
    y, x = round(place[0] * (height - 1)), round(place[1] * (width - 1))
    wanted = job(photo(1, width, height), mask=from_box(Box(x, y, x + 1, y + 1), width, height))
    layout = Layout.of(wanted, plus)
    mask = layout.task(wanted).mask
    assert mask is not None
    scale = layout.output.content_height / height, layout.output.content_width / width
    assert mask[int((y + 0.5) * scale[0]), int((x + 0.5) * scale[1])]


def test_without_a_mask_the_whole_canvas_is_the_result(plus: Checkpoint) -> None:
    wanted = job(photo(1, 128, 128))
    layout = Layout.of(wanted, plus)
    assert layout.task(wanted).mask is None
    assert np.array_equal(layout.restore(photo(2, 128, 128)), photo(2, 128, 128))


@pytest.mark.parametrize("size", [(128, 128), (301, 203), (40, 33)])
def test_outside_of_the_mask_the_result_is_the_input_and_not_a_resampled_one(
    plus: Checkpoint, size: tuple[int, int]
) -> None:
    width, height = size
    mask = from_box(Box(0, 0, width // 2, height // 2), width, height)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    wanted = job(noise, mask=mask)
    layout = Layout.of(wanted, plus)
    black = np.zeros((layout.output.height, layout.output.width, 3), dtype=np.uint8)
    result = layout.restore(black)
    far = ~dilated(mask, feather_radius(width, height))
    assert np.array_equal(result[far], noise[far])
    assert not result[mask].any()


@pytest.mark.parametrize("size", ["native", ExactSize(64, 64), ExactSize(203, 301)])
def test_a_mask_goes_with_no_size_but_the_images_own(plus: Checkpoint, size: OutputSize) -> None:
    mask = np.ones((203, 301), dtype=np.bool_)
    with pytest.raises(UnusableMask) as refusal:
        Layout.of(job(photo(1, 301, 203), mask=mask, size=size), plus)
    assert refusal.value.param == "size"
    assert "301x203" in refusal.value.message


def test_the_mask_is_measured_against_the_first_image(plus: Checkpoint) -> None:
    images = (photo(1, 60, 40), photo(2, 40, 60))
    Layout.of(job(*images, mask=np.ones((40, 60), dtype=np.bool_)), plus)
    with pytest.raises(UnusableMask):
        Layout.of(job(*images, mask=np.ones((60, 40), dtype=np.bool_)), plus)


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
        state = encode(Encoders(checkpoint, max_bytes=0), Ticket(layout.task(wanted), None))
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
