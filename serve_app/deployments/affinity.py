"""Which replica gets a call: the one its session belongs to.

Ray's consistent hashing sends a session to one replica. The name of the session says what belongs
together: the key of an edit at the shards of the cache, the image at the editors, which keep what
they have encoded. Many edits of one image would leave the other editors idle, so none gets more
than its share (consistent hashing with bounded loads, Mirrokni et al., 2018): what is above it goes
to the next replica of the ring. A session that ends in ``ELSEWHERE`` begins with that one.

Serve copies this module into its own processes: it imports nothing but Ray.
"""

import math
import time
from collections import Counter, defaultdict, deque
from typing import Any

from ray.serve._private.common import ReplicaID, RequestMetadata
from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter
from ray.serve.request_router import PendingRequest, RunningReplica

ELSEWHERE = "~elsewhere"

BALANCE = 1.25
"""A replica's bound, as a multiple of the mean load: within it most sessions stay at home."""

_SENT_WITHIN_S = 0.1
"""A call counts from when its replica is chosen, since others may be routed before it is sent. If
it was not sent within so many seconds, it went elsewhere or was withdrawn."""


class SessionRouter(ConsistentHashRouter):
    """Consistent hashing that tells the calls of one request apart.

    A call is known by its own metadata. Ray (2.60) knows it by the id of the HTTP request it
    belongs to, which the ``n`` edits of one request share: of two that are routed at once it
    would send one and let the other wait for ever.
    """

    def _get_pending_request_matching_internal_request_id(
        self, request_metadata: RequestMetadata | None = None
    ) -> PendingRequest | None:
        for pending in self._pending_requests_to_fulfill:
            if pending.metadata is request_metadata and not pending.future.done():
                return pending
        return None


class AffinityRouter(SessionRouter):
    """Bounded loads on top, and a session's second replica for who asks for it.

    The load is that of this router's own calls: the queue lengths Ray keeps are forgotten after
    ten seconds without a call.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_flight: Counter[ReplicaID] = Counter()
        self._chosen: defaultdict[ReplicaID, deque[float]] = defaultdict(deque)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        super().update_replicas(replicas)
        for known in (self._in_flight, self._chosen):
            for gone in known.keys() - self.curr_replicas.keys():
                del known[gone]

    def on_send_request(self, replica_id: ReplicaID) -> None:
        super().on_send_request(replica_id)
        self._in_flight[replica_id] += 1
        if chosen := self._chosen[replica_id]:
            chosen.popleft()

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        super().on_request_completed(replica_id, internal_request_id)
        self._in_flight[replica_id] = max(0, self._in_flight[replica_id] - 1)

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
        if not ranks:
            return ranks
        loads = {replica_id: self._load(replica_id) for replica_id in self.curr_replicas}
        bound = math.ceil(BALANCE * (sum(loads.values()) + 1) / len(loads))
        ranks.sort(key=lambda rank: loads.get(rank[0].replica_id, 0) >= bound)
        if pending_request and pending_request.metadata.session_id.endswith(ELSEWHERE):
            ranks = ranks[1:] + ranks[:1]
        self._chosen[ranks[0][0].replica_id].append(time.monotonic())
        return ranks

    def _load(self, replica_id: ReplicaID) -> int:
        chosen = self._chosen[replica_id]
        while chosen and chosen[0] < time.monotonic() - _SENT_WITHIN_S:
            chosen.popleft()
        return self._in_flight[replica_id] + len(chosen)
