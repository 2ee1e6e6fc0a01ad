"""What was encoded before is not encoded again, and never taken for something else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from serve_app.config import EngineConfig
from serve_app.edits.job import EditJob
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.encode import encode
from serve_app.engine.encoders import Encoders
from serve_app.engine.engine import Engine
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import CanvasTask, Ticket
from tests.engine.tasks import photo, task
from tests.engine.watched import Watched, small

LARGE = 2**28
SIZES = ((64, 64), (96, 64))


def job(
    plus: Checkpoint, pictures: tuple[int, ...], prompt: str = "x", scale: float = 1.0
) -> CanvasTask:
    """Pictures of one number but another size differ, too."""
    return task(
        plus, tuple(photo(n, *SIZES[n % 2]) for n in pictures), prompt, scale=scale, steps=1
    )


def counted(encoders: Encoders) -> tuple[int, int]:
    return encoders.encoded.prompts, encoders.encoded.images


def run(encoders: Encoders, wanted: CanvasTask) -> list[torch.Tensor]:
    with torch.no_grad():
        positive, negative = encoders.prompts(wanted)
        references = encoders.references(wanted)
    return [references, positive] + ([] if negative is None else [negative])


def test_variants_of_one_image_encode_it_once(plus: Checkpoint) -> None:
    encoders = Encoders(plus, LARGE)
    for n in range(8):
        run(encoders, job(plus, (1,), f"variant {n}"))
    assert counted(encoders) == (8, 1)


def test_an_attempt_with_another_seed_encodes_nothing(plus: Checkpoint) -> None:
    encoders = Encoders(plus, LARGE)
    for seed in range(3):
        run(encoders, replace(job(plus, (1, 2), scale=4.0), seed=seed))
    assert counted(encoders) == (2, 2)  # the prompt and the negative one


def test_the_same_pixels_are_the_same_image_wherever_they_come_from(plus: Checkpoint) -> None:
    encoders = Encoders(plus, LARGE)
    wanted = job(plus, (1,))
    run(encoders, wanted)
    copies = tuple(np.asfortranarray(image) for image in wanted.references)
    run(encoders, replace(wanted, references=copies))
    assert counted(encoders) == (1, 1)


def test_pictures_keep_their_order(plus: Checkpoint) -> None:
    encoders = Encoders(plus, LARGE)
    (first, _), (second, _) = run(encoders, job(plus, (1,))), run(encoders, job(plus, (2,)))
    both, shown = run(encoders, job(plus, (1, 2)))
    swapped, shown_swapped = run(encoders, job(plus, (2, 1)))
    assert torch.equal(both, torch.cat([first, second], dim=1))
    assert torch.equal(swapped, torch.cat([second, first], dim=1))
    assert counted(encoders)[1] == 2
    assert not torch.equal(shown, shown_swapped)  # the text encoder sees them in order, too


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    jobs=st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple),
            st.sampled_from(["", "x", "x ", " ", "a longer prompt"]),
            st.sampled_from([1.0, 4.0]),
        ),
        min_size=2,
        max_size=5,
    ),
    max_bytes=st.sampled_from([100_000, 400_000, LARGE]),
)
def test_results_are_equal_bit_for_bit_however_much_is_remembered(
    plus: Checkpoint, jobs: list[tuple[tuple[int, ...], str, float]], max_bytes: int
) -> None:
    remembering, fresh = Encoders(plus, max_bytes), Encoders(plus, 0)
    for pictures, prompt, scale in [*jobs, *jobs]:
        wanted = job(plus, pictures, prompt, scale)
        for kept, expected in zip(run(remembering, wanted), run(fresh, wanted), strict=True):
            assert torch.equal(kept, expected)
    if max_bytes == LARGE:
        assert remembering.encoded.images == len({n for numbers, _, _ in jobs for n in numbers})
    assert remembering.encoded.images <= fresh.encoded.images
    assert remembering.encoded.prompts <= fresh.encoded.prompts


def test_nothing_is_remembered_without_room(plus: Checkpoint) -> None:
    encoders = Encoders(plus, 0)
    for _ in range(2):
        run(encoders, job(plus, (1,)))
    assert counted(encoders) == (2, 2)


def test_what_was_used_longest_ago_leaves_first(plus: Checkpoint) -> None:
    with torch.no_grad():
        one = Encoders(plus, 0).references(job(plus, (0,))).nbytes
        encoders = Encoders(plus, 2 * one)
        counts = []
        for number in (0, 2, 0, 4, 0, 2):  # of one size
            encoders.references(job(plus, (number,)))
            counts.append(encoders.encoded.images)
    assert counts == [1, 2, 2, 3, 3, 4]


def test_a_result_larger_than_all_room_does_not_push_others_out(plus: Checkpoint) -> None:
    with torch.no_grad():
        one = Encoders(plus, 0).references(job(plus, (0,))).nbytes
        encoders = Encoders(plus, one)
        for number in (0, 1, 0):  # 1 is larger
            encoders.references(job(plus, (number,)))
    assert encoders.encoded.images == 2


@pytest.mark.parametrize("beside", [False, True])
def test_the_loop_encodes_what_edits_have_in_common_once(plus: Checkpoint, beside: bool) -> None:
    loop = DeviceLoop(plus, EngineConfig(), beside=beside)
    crowd = [Watched(replace(small(plus, f"variant {n % 4}"), seed=n)) for n in range(8)]
    try:
        for watched in crowd:
            loop.submit(watched.ticket)
        for watched in crowd:
            watched.result()
        assert counted(loop.encoders) == (4, 1)
    finally:
        loop.close()


async def test_eight_prompts_on_one_image_encode_it_once(engine: Engine) -> None:
    image = photo(1, 75, 51)
    jobs = [EditJob((image,), f"variant {n}", " ", 1.0, 1, n) for n in range(8)]
    await asyncio.gather(*(engine.edit(each) for each in jobs))
    figures = engine.load_figures()
    assert (figures["encoded_images"], figures["encoded_prompts"]) == (1, 8)


@pytest.mark.parametrize("pictures", [(0,), (1,), (2, 0), (1, 2, 0)])
@pytest.mark.parametrize("kind", ["edit", "plus", "plus-2511"])
def test_references_and_noise_are_the_stock_pipelines_bit_for_bit(
    miniatures: dict[str, Checkpoint], kind: str, pictures: tuple[int, ...]
) -> None:
    checkpoint = miniatures[kind]
    if not checkpoint.plus:
        pictures = pictures[:1]
    wanted = replace(job(checkpoint, pictures), seed=2**63 - 1)
    pipeline = checkpoint.pipeline
    images = [
        pipeline.image_processor.preprocess(Image.fromarray(image), *image.shape[:2]).unsqueeze(2)
        for image in wanted.references
    ]
    with torch.no_grad():
        noise, references = pipeline.prepare_latents(
            images if checkpoint.plus else images[0],
            1,
            pipeline.transformer.config.in_channels // 4,
            wanted.height,
            wanted.width,
            checkpoint.dtype,
            pipeline._execution_device,
            torch.Generator("cpu").manual_seed(wanted.seed),
        )
        state = encode(Encoders(checkpoint, LARGE), Ticket(wanted, None))
    assert torch.equal(state.references, references)
    assert torch.equal(state.latents, noise)
