"""The loads that the service and its simulation are both given, and what they come to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.scale.calibrating import Keys
from benchmarks.scale.requests import Kind, Request, arrivals
from benchmarks.traces import percentile

KINDS = (Kind(4, weight=5), Kind(8, weight=3), Kind(16, weight=2))
REPEATS = 0.15
CLIENTS = 10
REQUESTS = 150


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: by ``clients`` that wait, or at ``share`` of what those got through.

    So many ``deaths`` of an editor are spread over it.
    """

    name: str
    seed: int
    share: float = 0.0
    clients: int | None = None
    deaths: int = 0

    def requests(self, turn: int, capacity: float, keys: Keys) -> list[Request]:
        """Photos that nobody has sent before, but for the repeats among them."""
        rate = self.share * capacity or 1.0
        seed = 1000 * turn + self.seed
        requests = list(arrivals(seed, rate, REQUESTS / rate, KINDS, REPEATS))
        first = keys.take(len(requests)).start
        for request in requests:
            request.key = request.subject = first + request.key
        return requests

    def kill_at(self, requests: Sequence[Request]) -> list[float]:
        """When an editor dies, seconds from the start."""
        return [requests[-1].at * (number + 0.5) / self.deaths for number in range(self.deaths)]


LOADS = (
    Load("saturated", 101, clients=CLIENTS),
    Load("at 50 %", 102, 0.5),
    Load("at 70 %", 105, 0.7),
    # More, and the one that is left, beside the start of the other, would be saturated. Two deaths,
    # for few requests meet one, and the 95th percentile is theirs.
    Load("at 30 %, editors die", 104, 0.3, deaths=2),
)


@dataclass(frozen=True, slots=True)
class Ran:
    """One turn of a load: of what was answered, when it was sent and how long it took, seconds."""

    sent: Sequence[float]
    latencies: Sequence[float]
    unserved: int

    @property
    def per_s(self) -> float:
        """Requests a second, from the first to the last answer."""
        ended = (at + took for at, took in zip(self.sent, self.latencies, strict=True))
        return len(self.sent) / (max(ended) - min(self.sent))


@dataclass(frozen=True, slots=True)
class Seen:
    """What the turns of a load came to together."""

    per_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    unserved: float

    @classmethod
    def of(cls, turns: Sequence[Ran]) -> Seen:
        """Percentiles are those of the latencies of all turns."""
        latencies = [seconds for turn in turns for seconds in turn.latencies]
        return cls(
            statistics.mean(turn.per_s for turn in turns),
            *(percentile(latencies, share) for share in (0.5, 0.95, 0.99)),
            sum(turn.unserved for turn in turns),
        )

    @classmethod
    def mean(cls, each: Sequence[Seen]) -> Seen:
        """The mean of several."""
        columns = zip(*(asdict(one).values() for one in each), strict=True)
        return cls(*(statistics.mean(column) for column in columns))
