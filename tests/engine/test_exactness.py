"""The engine's promise: what it makes is what the stock pipeline makes, in any company."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.policies import ProcessorSharing
from serve_app.engine.decode import decode
from serve_app.engine.denoise import Batch, advance, predict
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.encode import encode
from serve_app.engine.encoders import Encoders
from serve_app.engine.load import Checkpoint
from serve_app.engine.policy import Work
from serve_app.engine.state import CanvasTask, DenoisingState, Ticket
from tests.engine.loops import in_turns
from tests.engine.stock import run_stock
from tests.engine.tasks import PROMPTS, photo, task


def assert_equals_stock(checkpoint: Checkpoint, loop: DeviceLoop, job: CanvasTask) -> None:
    ticket = Ticket(job, None)
    loop.submit(ticket)
    result = ticket.future.result(timeout=120)
    latents, pixels = run_stock(checkpoint, job)
    torch.testing.assert_close(result.latents, latents, atol=1e-5, rtol=0)
    assert np.abs(result.pixels.astype(int) - pixels.astype(int)).max() <= 1


@pytest.mark.parametrize("kind", ["edit", "plus", "plus-2511"])
@pytest.mark.parametrize("steps", [1, 4, 7])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_one_request_equals_the_stock_pipeline(
    miniatures: dict[str, Checkpoint], kind: str, steps: int, scale: float
) -> None:
    checkpoint = miniatures[kind]
    loop = in_turns(checkpoint, 4)
    try:
        assert_equals_stock(
            checkpoint, loop, task(checkpoint, (photo(1),), steps=steps, scale=scale)
        )
    finally:
        loop.close()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompts_of_any_length_and_language_equal_the_stock_pipeline(
    plus: Checkpoint, device_loop: DeviceLoop, prompt: str
) -> None:
    assert_equals_stock(plus, device_loop, task(plus, (photo(2),), prompt))


@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("kind", ["plus", "plus-2511"])
def test_two_images_of_different_shapes_equal_the_stock_pipeline(
    miniatures: dict[str, Checkpoint], kind: str, scale: float
) -> None:
    checkpoint = miniatures[kind]
    images = (photo(3, 160, 96), photo(4, 128, 128))
    loop = in_turns(checkpoint, 4)
    try:
        assert_equals_stock(checkpoint, loop, task(checkpoint, images, scale=scale))
    finally:
        loop.close()


def test_stacked_requests_equal_the_stock_pipeline(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    jobs = [
        task(plus, (photo(n),), prompt, steps=3 + n, scale=1.0 if n == 2 else 3.5, seed=n)
        for n, prompt in enumerate(PROMPTS)
    ]
    tickets = [Ticket(job, None) for job in jobs]
    for ticket in tickets:
        device_loop.submit(ticket)
    # All of them before the stock pipeline decodes: a VAE serves one caller at a time.
    results = [ticket.future.result(timeout=120) for ticket in tickets]
    for job, result in zip(jobs, results, strict=True):
        latents, pixels = run_stock(plus, job)
        torch.testing.assert_close(result.latents, latents, atol=1e-4, rtol=0)
        assert np.abs(result.pixels.astype(int) - pixels.astype(int)).max() <= 1


@dataclass(frozen=True)
class Arrival:
    """A request of a mix: when it comes, and whether it leaves before its end."""

    at_step: int
    prompt: int
    steps: int
    scale: float
    shape: int
    leaves_after: int | None


arrivals = st.builds(
    Arrival,
    at_step=st.integers(0, 6),
    prompt=st.integers(0, len(PROMPTS) - 1),
    steps=st.integers(1, 7),
    scale=st.sampled_from([1.0, 2.5, 4.0, 7.0]),
    shape=st.integers(0, 1),
    leaves_after=st.one_of(st.none(), st.integers(0, 3)),
)
SHAPES = ((128, 128), (160, 96))


mixes = given(mix=st.lists(arrivals, min_size=1, max_size=7), limit=st.integers(1, 5))


@settings(max_examples=8, deadline=None)
@mixes
def test_a_result_does_not_depend_on_who_else_is_in_the_batch(
    plus: Checkpoint, mix: list[Arrival], limit: int
) -> None:
    _check_mix(plus, mix, limit)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@mixes
def test_a_result_does_not_depend_on_who_else_is_in_the_batch_at_length(
    miniatures: dict[str, Checkpoint], mix: list[Arrival], limit: int
) -> None:
    _check_mix(miniatures["plus-2511"], mix, limit)


def _check_mix(checkpoint: Checkpoint, mix: list[Arrival], limit: int) -> None:
    """Requests join and leave between steps as drawn; each must end as it does alone."""
    with torch.no_grad():
        together = _run_mix(checkpoint, mix, limit)
        for index, arrival in enumerate(mix):
            if arrival.leaves_after is not None:
                continue
            alone = _encoded(checkpoint, index, arrival)
            while not alone.done:
                _step(checkpoint, [alone])
            shared = together[index]
            torch.testing.assert_close(shared.latents, alone.latents, atol=1e-4, rtol=0)
            pixels = [decode(checkpoint, s.latents, s)[0].astype(int) for s in (shared, alone)]
            assert np.abs(pixels[0] - pixels[1]).max() <= 1


def _encoded(checkpoint: Checkpoint, index: int, arrival: Arrival) -> DenoisingState:
    job = task(
        checkpoint,
        (photo(index, *SHAPES[arrival.shape]),),
        PROMPTS[arrival.prompt],
        steps=arrival.steps,
        scale=arrival.scale,
        seed=index,
    )
    return encode(Encoders(checkpoint, 0), Ticket(job, None))


def _step(checkpoint: Checkpoint, states: list[DenoisingState]) -> None:
    velocities = predict(checkpoint.pipeline.transformer, Batch.of(states))
    for state, velocity in zip(states, velocities, strict=True):
        advance(state, velocity)


def _run_mix(checkpoint: Checkpoint, mix: list[Arrival], limit: int) -> dict[int, DenoisingState]:
    policy = ProcessorSharing(limit)
    states: dict[int, DenoisingState] = {}
    works: dict[Work, int] = {}
    clock = 0
    while len(states) < len(mix) or any(_running(mix[i], s) for i, s in states.items()):
        for index, arrival in enumerate(mix):
            if index not in states and arrival.at_step <= clock:
                state = states[index] = _encoded(checkpoint, index, arrival)
                works[Work(state.key, state.key.tokens, 1, arrival.steps, clock)] = index
        clock += 1
        present = [work for work, i in works.items() if _running(mix[i], states[i])]
        chosen = policy.choose(present, clock)
        if chosen:
            _step(checkpoint, [states[works[work]] for work in chosen])
        policy.charge(chosen, present, 1.0)
    return states


def _running(arrival: Arrival, state: DenoisingState) -> bool:
    left = arrival.leaves_after is not None and state.step >= arrival.leaves_after
    return not state.done and not left


@settings(max_examples=10, deadline=None)
@given(
    prompts=st.lists(st.integers(0, len(PROMPTS) - 1), min_size=1, max_size=4),
    scales=st.lists(st.sampled_from([1.0, 3.5, 7.0]), min_size=4, max_size=4),
)
def test_guidance_is_the_same_in_one_forward_or_two(
    plus: Checkpoint, prompts: list[int], scales: list[float]
) -> None:
    mix = [
        Arrival(0, prompt, 3, scale, 0, None)
        for prompt, scale in zip(prompts, scales, strict=False)
    ]
    with torch.no_grad():
        states = [_encoded(plus, n, arrival) for n, arrival in enumerate(mix)]
        ways = [Batch.of(states, stack_guidance) for stack_guidance in (True, False)]
        guided = any(state.negative is not None for state in states)
        assert [len(way.forwards) for way in ways] == [1, 1 + guided]
        stacked, apart = (predict(plus.pipeline.transformer, way) for way in ways)
    for one, other in zip(stacked, apart, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
