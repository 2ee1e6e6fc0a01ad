"""Which editor gets an edit: the one that had the same image before, or the one after it.

An editor keeps what it has encoded. Ray's consistent hashing sends a session to one replica,
for which the name of the image serves as the session. It goes on to the next replica of the
ring only from one with ``max_ongoing_requests``; ours refuse earlier, in their own words. A
session that ends in ``ELSEWHERE`` begins there.

Serve copies this module into its own processes: it imports nothing but Ray.
"""

from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter
from ray.serve.request_router import PendingRequest, RunningReplica

ELSEWHERE = "~elsewhere"


class AffinityRouter(ConsistentHashRouter):
    """Consistent hashing that can be asked for the second replica of a session's ranking."""

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
        return ranks
