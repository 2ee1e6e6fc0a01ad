"""When edits will be done, from what steps and decodings have cost so far."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from serve_app.engine.costs import Costs
from serve_app.engine.policy import Policy, Work, forecast, remaining_s
from serve_app.engine.state import CanvasQueued, Ticket

_REFRESH_S = 0.25
"""Estimates are made anew so often, or when somebody comes or goes."""

_TRUSTED_FOR_S = 60.0
"""Without a step for so long, edits aren't refused by what steps cost before."""


class Estimates:
    """Estimates for tickets; made on the device thread, read from any."""

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self.backlog_s = 0.0
        """Seconds until everything that is here now is done."""
        self._present: list[int] = []
        self._renewed_at = 0.0

    def eta_s(self, work: Work) -> float | None:
        """Seconds until a running request is finished, if it goes on; ``None`` if unknown."""
        known = self._costs.steps.seconds(work.tokens, work.rows) > 0
        return remaining_s(work, self._costs) if known else None

    def too_late(self, ticket: Ticket) -> bool:
        """Whether not even the whole device could finish ``ticket`` by its deadline."""
        work = ticket.work
        if work.deadline is None or not work.remaining_steps:
            return False
        now = time.monotonic()
        # Else a slow minute would refuse everybody for ever: nobody would show that it is over.
        fresh = now - self._costs.steps.observed_at < _TRUSTED_FOR_S
        eta_s = self.eta_s(work) if fresh else None
        return now + (eta_s or 0.0) > work.deadline

    def news(
        self, present: Sequence[Ticket], policy: Policy, running: Collection[Work]
    ) -> list[tuple[Ticket, CanvasQueued]]:
        """Renew ``backlog_s``; returns what those who wait should be told, if it is new."""
        now = time.monotonic()
        names = [id(ticket) for ticket in present]  # not themselves: they hold pictures
        if names == self._present and now - self._renewed_at < _REFRESH_S:
            return []
        self._present, self._renewed_at = names, now
        tickets = {ticket.work: ticket for ticket in present if ticket.work.remaining_steps}
        ranked = policy.ranked(list(tickets), now)
        done_in = forecast(ranked, self._costs)
        self.backlog_s = max(done_in, default=0.0)
        told = []
        for position, (work, seconds) in enumerate(zip(ranked, done_in, strict=True)):
            ticket = tickets[work]
            before, ticket.position = ticket.position, None if work in running else position
            if ticket.position not in (None, before):
                told.append((ticket, CanvasQueued(position, seconds or None)))
        return told
