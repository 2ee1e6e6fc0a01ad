"""Scheduling policies under a simulated clock: who waits how long on a device that is a formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from serve_app.engine.costs import Costs
from serve_app.engine.policy import Policy, Work

StepSeconds = Callable[[int, int], float]
"""Seconds of a step by tokens a row and rows."""


@dataclass(eq=False, slots=True)
class Edit:
    """One request of a trace; ``at`` is its arrival, seconds."""

    at: float
    steps: int
    tokens: int
    rows: int = 1
    key: object = None
    priority: int = 5
    tenant: str = ""
    finished: float = field(default=0.0, init=False)

    @property
    def latency_s(self) -> float:
        return self.finished - self.at

    def work(self) -> Work:
        key = self.tokens if self.key is None else self.key
        return Work(
            key,
            self.tokens,
            self.rows,
            self.steps,
            self.at,
            self.priority,
            self.tenant,
            encoded=True,
        )


def simulate(
    policy: Policy, trace: Sequence[Edit], step_seconds: StepSeconds, costs: Costs | None = None
) -> list[float]:
    """Run ``trace`` and return the latency of each edit, in its order.

    ``costs`` learns from every step, as the engine's do.
    """
    waiting = sorted(trace, key=lambda edit: edit.at)[::-1]
    present: dict[Work, Edit] = {}
    now = 0.0
    while waiting or present:
        if not present:
            now = max(now, waiting[-1].at)
        while waiting and waiting[-1].at <= now:
            edit = waiting.pop()
            present[edit.work()] = edit
        chosen = policy.choose(list(present), now)
        rows = sum(work.rows for work in chosen)
        seconds = step_seconds(chosen[0].tokens, rows)
        now += seconds
        if costs is not None:
            costs.steps.observe(chosen[0].tokens, rows, seconds)
        policy.charge(chosen, list(present), seconds)
        for work in chosen:
            work.remaining_steps -= 1
            if work.remaining_steps == 0:
                present.pop(work).finished = now
    return [edit.latency_s for edit in trace]
