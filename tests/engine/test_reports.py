"""Progress and previews, as a listener is told of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from serve_app.engine.decode import decode
from serve_app.engine.device_loop import DeviceLoop
from serve_app.engine.encode import encode
from serve_app.engine.encoders import Encoders
from serve_app.engine.load import Checkpoint
from serve_app.engine.state import Ticket
from tests.engine.watched import FAULT, WIDE, Watched, assert_failed_cleanly, small


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_progress_counts_every_step_once_in_order(
    plus: Checkpoint, device_loop: DeviceLoop, steps: int
) -> None:
    watched = Watched(small(plus, steps=steps))
    device_loop.submit(watched.ticket)
    watched.result()
    assert [(step.step, step.total) for step in watched.steps] == [
        (n, steps) for n in range(1, steps + 1)
    ]
    assert watched.previews == {}


@pytest.mark.parametrize(
    ("steps", "previews", "planned"), [(8, 3, [2, 4, 6]), (4, 1, [2]), (2, 3, [1]), (1, 3, [])]
)
def test_previews_come_spread_over_the_steps_and_never_at_the_last(
    plus: Checkpoint, device_loop: DeviceLoop, steps: int, previews: int, planned: list[int]
) -> None:
    watched = Watched(replace(small(plus, size=WIDE, steps=steps), partial_images=previews))
    device_loop.submit(watched.ticket)
    watched.result()
    seen = watched.previews
    assert list(seen) == planned
    assert all(pixels.shape == (64, 96, 3) for pixels in seen.values())
    assert all(pixels.dtype == np.uint8 for pixels in seen.values())


def test_a_preview_shows_where_the_edit_is_heading_and_not_its_noise(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    job = replace(small(plus, steps=6), partial_images=1)
    watched = Watched(job)
    device_loop.submit(watched.ticket)
    final = watched.result().pixels
    (preview,) = watched.previews.values()
    with torch.no_grad():
        start = encode(Encoders(plus, 0), Ticket(job, None))
        noise, _ = decode(plus, start.latents, start)
    assert not np.array_equal(preview, noise)
    distance = np.abs(preview.astype(int) - final).mean()
    assert distance < np.abs(noise.astype(int) - final).mean()


def test_a_listener_that_raises_fails_its_own_request_alone(
    plus: Checkpoint, device_loop: DeviceLoop
) -> None:
    def fault() -> None:
        raise RuntimeError(FAULT)

    mate = Watched(small(plus, seed=2))
    doomed = Watched(small(plus, steps=5), {2: fault, 1: lambda: device_loop.submit(mate.ticket)})
    device_loop.submit(doomed.ticket)
    assert_failed_cleanly(doomed.ticket)
    mate.result()
    assert len(doomed.steps) == 2
