"""Who runs in the next step: the least remaining work first, fair between tenants.

A pure decision over estimates: the time is an argument, so a simulation runs the same code
with a clock of its own (``benchmarks/simulation.py``). Everything is in seconds of work:

- **Least remaining work** first keeps the mean latency lowest when one at a time is run
  (Schrage, 1968); a paused request keeps its small state and goes on at any later step. Encoding
  and decoding count as work, and are done in the same order.
- **Aging** forgives work for waiting: a request that waited ``w`` seconds precedes every
  newcomer once ``aging * w`` exceeds its own work, so that none starves.
- **Priority** is a head start.
- **Fairness**: what a tenant's other requests had beyond its share is added to its work. The
  request's own time doesn't count, so tenants with one request each don't take turns.
- **Rows are added** to a step while the seconds they add to everybody's wait are less than
  the seconds they save themselves and those behind them. With many waiting, this is "while
  the cost per row falls"; with few, it spares the first in line. Where a step of two rows
  costs twice one of one, nothing is added.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from serve_app.edits.request import DEFAULT_PRIORITY
from serve_app.engine.costs import Costs

if TYPE_CHECKING:
    from serve_app.config import SchedulingConfig


@dataclass(eq=False, slots=True)
class Work:
    """What is known of a request's cost and rank.

    Requests of one ``key`` may share a forward, where this one takes ``rows`` rows of
    ``tokens`` tokens. ``arrived`` and ``deadline`` are times of the caller's clock, seconds.
    ``encoded`` tells whether that is behind it. ``ahead_s`` is what it had of the device beyond
    an equal share.
    """

    key: Hashable
    tokens: int
    rows: int
    remaining_steps: int
    arrived: float
    priority: int = DEFAULT_PRIORITY
    tenant: str = ""
    deadline: float | None = None
    encoded: bool = False
    ahead_s: float = 0.0


_YET_TO_COME = 2.0
"""Requests that will come before the present ones are done, as a multiple of these: they
gain from work that is saved, too. Found by simulation: 0 loses 5 % of the mean latency where
batching pays, 10 as much where it doesn't; 1 to 4 are alike."""


class Policy(Protocol):
    """Decides over the requests that are present.

    One thread chooses and charges; any may ask for the rank.
    """

    def ranked(self, works: Sequence[Work], now: float) -> list[Work]:
        """In the order in which they would run."""

    def choose(self, works: Sequence[Work], now: float) -> list[Work]:
        """Who shares the next step: of one key, none if there are none."""

    def charge(self, chosen: Sequence[Work], present: Sequence[Work], seconds: float) -> None:
        """Note that ``chosen`` of those ``present`` have shared a step."""


class LeastWorkFirst:
    """The service's policy. At most ``max_requests`` share a step.

    ``fits`` tells whether the device's memory holds a step of so many tokens and rows; one
    request alone is always tried.
    """

    def __init__(
        self,
        costs: Costs,
        config: SchedulingConfig,
        max_requests: int,
        fits: Callable[[int, int], bool] = lambda _tokens, _rows: True,
    ) -> None:
        self._costs = costs
        self._config = config
        self._max_requests = max_requests
        self._fits = fits
        self._ahead_s: dict[str, float] = {}

    def ranked(self, works: Sequence[Work], now: float) -> list[Work]:
        """The least work first, as changed by age, priority and the tenant's share."""
        return sorted(works, key=lambda work: self._rank_s(work, now))

    def choose(self, works: Sequence[Work], now: float) -> list[Work]:
        """The first in rank, and whoever gains more by joining than the others lose."""
        if not works:
            return []
        lead, *others = ranked = self.ranked(works, now)
        chosen, rows = [lead], lead.rows
        waiting = (1 + _YET_TO_COME) * len(ranked)
        cost_s = self._costs.steps.seconds(lead.tokens, rows)
        for ahead, work in enumerate(others, start=1):
            if len(chosen) == self._max_requests:
                break
            more = rows + work.rows
            if work.key != lead.key or not self._fits(lead.tokens, more):
                continue
            shared_s = self._costs.steps.seconds(lead.tokens, more)
            saved_s = cost_s * work.rows / rows
            # Whoever is not encoded yet holds up those ahead of it, once for all its steps.
            holds_up_s = 0.0 if work.encoded else self._costs.encoding.seconds(work.tokens, 1)
            steps = min(lead.remaining_steps, work.remaining_steps)
            lost_s = waiting * (shared_s - cost_s) * steps + ahead * holds_up_s
            if lost_s <= (waiting - ahead) * saved_s * steps:
                chosen.append(work)
                rows, cost_s = more, shared_s
        return chosen

    def charge(self, chosen: Sequence[Work], present: Sequence[Work], seconds: float) -> None:
        """Move everybody's account by what they had, less an equal share for each tenant."""
        rows = sum(work.rows for work in chosen)
        works = {*present, *chosen}  # some may have left during the step
        tenants = {work.tenant for work in works}
        share = seconds / max(1, len(tenants))
        had = dict.fromkeys(tenants | self._ahead_s.keys(), 0.0)
        for work in chosen:
            part = seconds * work.rows / rows
            had[work.tenant] += part
            work.ahead_s += part
        for work in works:
            work.ahead_s = max(0.0, work.ahead_s - share)
        balances = {name: self._ahead_s.get(name, 0.0) + part - share for name, part in had.items()}
        self._ahead_s = {name: ahead for name, ahead in balances.items() if ahead > 0.0}

    def _rank_s(self, work: Work, now: float) -> float:
        config = self._config
        others_ahead_s = max(0.0, self._ahead_s.get(work.tenant, 0.0) - work.ahead_s)
        return (
            remaining_s(work, self._costs)
            - config.aging * (now - work.arrived)
            - config.priority_s * (work.priority - DEFAULT_PRIORITY)
            + config.fairness * others_ahead_s
        )


def remaining_s(work: Work, costs: Costs) -> float:
    """Seconds that ``work`` still needs if it has the device to itself."""
    steps_s = work.remaining_steps * costs.steps.seconds(work.tokens, work.rows)
    return steps_s + stages_s(work, costs)


def stages_s(work: Work, costs: Costs) -> float:
    """Seconds of what is to come before and after the steps."""
    encoding_s = 0.0 if work.encoded else costs.encoding.seconds(work.tokens, 1)
    return encoding_s + costs.decoding.seconds(work.tokens, 1)


def forecast(ranked: Sequence[Work], costs: Costs) -> list[float]:
    """Seconds until each is done, if nobody else comes: those ahead at their cheapest."""
    ahead_s, done_in = 0.0, []
    for work in ranked:
        done_in.append(ahead_s + remaining_s(work, costs))
        ahead_s += work.remaining_steps * work.rows * costs.steps.least_share(work.tokens)
    return done_in
