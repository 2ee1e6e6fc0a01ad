"""Which editor gets an edit: the one that had the same image before, unless it is busy.

An editor keeps what it has encoded. Ray's consistent hashing sends a session to one replica,
for which the name of the image serves as the session. Many edits of one image would leave the
other replicas idle, so none gets more than its share (consistent hashing with bounded loads,
Mirrokni et al., 2018): what is above it goes to the next replica of the ring. A session that
ends in ``ELSEWHERE`` begins with that one.

Serve copies this module into its own processes: it imports nothing but Ray.
"""

import math

from ray.serve._private.common import RequestMetadata
from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter
from ray.serve.request_router import PendingRequest, RunningReplica

ELSEWHERE = "~elsewhere"

_BALANCE = 1.25
"""A replica's bound, as a multiple of the mean load: within it most sessions stay at home."""


class AffinityRouter(ConsistentHashRouter):
    """Consistent hashing with bounded loads, which can be asked for a session's second replica.

    A call is known by its own metadata. Ray (2.60) knows it by the id of the HTTP request it
    belongs to, which the ``n`` edits of one request share: of two that are routed at once it
    would send one and let the other wait for ever.
    """

    def _routing_key(self, pending_request: PendingRequest | None) -> str | None:
        key: str | None = super()._routing_key(pending_request)
        return key and key.removesuffix(ELSEWHERE)

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        ranks: list[list[RunningReplica]]
        ranks = await super().choose_replicas(candidate_replicas, pending_request)
        if pending_request and pending_request.metadata.session_id.endswith(ELSEWHERE):
            return ranks[1:] + ranks[:1]
        loads = {
            replica.replica_id: self.replica_queue_len_cache.get(replica.replica_id) or 0
            for replica in candidate_replicas
        }
        bound = math.ceil(_BALANCE * (sum(loads.values()) + 1) / max(1, len(loads)))
        ranks.sort(key=lambda rank: loads.get(rank[0].replica_id, 0) >= bound)
        if ranks:
            # Counted already here: many may be routed before the first of them is sent. What
            # that counts twice is corrected by the replica's own answer.
            self.on_send_request(ranks[0][0].replica_id)
        return ranks

    def _get_pending_request_matching_internal_request_id(
        self, request_metadata: RequestMetadata | None = None
    ) -> PendingRequest | None:
        for pending in self._pending_requests_to_fulfill:
            if pending.metadata is request_metadata and not pending.future.done():
                return pending
        return None
