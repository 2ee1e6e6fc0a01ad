"""What the router's choice among many editors costs: the service's own code, without a cluster."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from ray.serve._private.common import (
    DeploymentHandleSource,
    DeploymentID,
    ReplicaID,
    RequestMetadata,
)
from ray.serve.request_router import PendingRequest

from serve_app.deployments.affinity import AffinityRouter

CALLS = 400
IN_FLIGHT = 2
"""Calls at each editor meanwhile, of this router."""


@dataclass(slots=True)
class _Distant:
    """A replica as a router knows it, with nothing behind it."""

    replica_id: ReplicaID
    node_id: str = "node"
    availability_zone: str | None = None
    multiplexed_model_ids: set[str] = field(default_factory=set)
    max_ongoing_requests: int = 64

    async def get_queue_len(self, *, deadline_s: float) -> int:  # noqa: ARG002 - Serve's signature
        return IN_FLIGHT


def choice_s(editors: int) -> float:
    """CPU seconds in which a router chooses among so many editors, a call."""
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    return asyncio.run(_choice_s(editors))


async def _choice_s(editors: int) -> float:
    deployment = DeploymentID("Editor", "qwen-edit")
    router = AffinityRouter(
        deployment_id=deployment,
        handle_source=DeploymentHandleSource.REPLICA,
        event_loop=asyncio.get_running_loop(),
    )
    router.initialize_state(num_fallback_replicas=editors - 1)
    replicas = [_Distant(ReplicaID(f"editor-{number}", deployment)) for number in range(editors)]
    router.update_replicas(replicas)
    for replica in replicas * IN_FLIGHT:
        router.on_send_request(replica.replica_id)
    calls = [
        PendingRequest(
            args=[],
            kwargs={},
            metadata=RequestMetadata(
                f"request-{number}", f"{number}", session_id=f"image-{number}"
            ),
        )
        for number in range(CALLS)
    ]
    before = time.process_time()
    for call in calls:
        ranks = await router.choose_replicas(replicas, call)
        chosen = ranks[0][0].replica_id
        router.on_send_request(chosen)
        router.on_request_completed(chosen, call.metadata.internal_request_id)
    return (time.process_time() - before) / CALLS
