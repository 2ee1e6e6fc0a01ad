"""Who shares the next step: a pure decision over the requests on the device."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.engine.state import DenoisingState


def next_batch(active: Sequence[DenoisingState], limit: int) -> list[DenoisingState]:
    """Choose up to ``limit`` compatible requests for the next step.

    The request that has waited longest since its last step decides the compatibility key,
    so groups that can't share a forward take turns and none starves.
    """
    if not active:
        return []
    waited_longest = min(active, key=lambda state: state.last_served)
    companions = [state for state in active if state.key == waited_longest.key]
    return sorted(companions, key=lambda state: state.last_served)[:limit]
