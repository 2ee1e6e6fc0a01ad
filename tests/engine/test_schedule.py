"""Who shares the next step: drawn crowds, and drawn crowds served until they are done."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.schedule import next_batch
from serve_app.engine.state import CanvasTask, CompatibilityKey, DenoisingState, Ticket

KEYS = tuple(
    CompatibilityKey(((1, side, side), (1, side, side)), torch.float32) for side in (4, 6, 8)
)
NOTHING = torch.empty(0)


def waiting(key: int, last_served: int, steps: int = 1) -> DenoisingState:
    task = CanvasTask((), (), 64, 64, "x", " ", 1.0, steps, 0)
    return DenoisingState(
        ticket=Ticket(task, None),
        key=KEYS[key],
        latents=NOTHING,
        references=NOTHING,
        positive=NOTHING,
        negative=None,
        scheduler=None,
        timesteps=torch.zeros(steps),
        preview_steps=(),
        last_served=last_served,
    )


crowds = st.lists(
    st.builds(waiting, st.integers(0, len(KEYS) - 1), st.integers(0, 9)), min_size=1, max_size=12
)
limits = st.integers(1, 6)


@given(crowd=crowds, limit=limits)
def test_a_batch_is_compatible_within_the_limit_and_has_the_longest_waiting(
    crowd: list[DenoisingState], limit: int
) -> None:
    batch = next_batch(crowd, limit)
    assert 1 <= len(batch) <= limit
    assert len({id(state) for state in batch}) == len(batch)
    assert all(any(state is member for member in crowd) for state in batch)
    assert len({state.key for state in batch}) == 1
    assert min(state.last_served for state in batch) == min(state.last_served for state in crowd)


@given(crowd=crowds, limit=limits)
def test_no_place_stays_empty_while_a_companion_waits(
    crowd: list[DenoisingState], limit: int
) -> None:
    batch = next_batch(crowd, limit)
    companions = sum(state.key == batch[0].key for state in crowd)
    assert len(batch) == min(limit, companions)


def test_nobody_waiting_is_an_empty_batch() -> None:
    assert next_batch([], 4) == []


@given(
    arrivals=st.lists(
        st.tuples(st.integers(0, len(KEYS) - 1), st.integers(1, 5), st.integers(0, 20)),
        min_size=1,
        max_size=12,
    ),
    limit=limits,
)
def test_repeated_service_starves_nobody(arrivals: list[tuple[int, int, int]], limit: int) -> None:
    """Newcomers are as if just served. Nobody then waits longer than once round the others."""
    coming = sorted(arrivals, key=lambda arrival: arrival[2])
    crowd: list[DenoisingState] = []
    waited: Counter[int] = Counter()
    clock = 0
    while coming or crowd:
        while coming and coming[0][2] <= clock:
            key, steps, _ = coming.pop(0)
            crowd.append(waiting(key, clock, steps))
        clock += 1
        batch = next_batch(crowd, limit)
        for state in crowd:
            waited[id(state)] += 1
        for state in batch:
            state.step += 1
            state.last_served = clock
            waited[id(state)] = 0
        assert all(waited[id(state)] <= len(arrivals) for state in crowd)
        crowd = [state for state in crowd if not state.done]
