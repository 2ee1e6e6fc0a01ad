"""The service's metrics through Ray's, which a node's agent exports for Prometheus.

Each class counts for one deployment, as the observer of a part that knows nothing of Ray. A value
takes about 10 microseconds. Ray forgets gauges that aren't set anew within 20 seconds, so that
those of a replica that has gone disappear: they are set at ``monitor.interval_s``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ray.serve.metrics import Counter, Gauge, Histogram

from serve_app.edits.result import EditOutcome
from serve_app.errors import EditServiceError
from serve_app.monitoring import metrics
from serve_app.monitoring.activity import (
    edit_type_of,
    failed_checks,
    origin_of,
    stage_seconds,
    was_made,
)
from serve_app.monitoring.labels import CODES, VERDICTS, folded, stage_of
from serve_app.monitoring.metrics import Metric
from serve_app.monitoring.reporter import JobBacklog, Load

if TYPE_CHECKING:  # each is there only in the processes that need it
    from serve_app.engine.device_usage import DeviceUsage
    from serve_app.storage.shared_cache import Claim
    from serve_app.workflows.re_editing import ReEdit


def _counter(metric: Metric) -> Counter:
    return Counter(metric.name, description=metric.description, tag_keys=metric.labels)


def _gauge(metric: Metric) -> Gauge:
    return Gauge(metric.name, description=metric.description, tag_keys=metric.labels)


def _histogram(metric: Metric) -> Histogram:
    return Histogram(
        metric.name,
        description=metric.description,
        boundaries=list(metric.buckets),
        tag_keys=metric.labels,
    )


class _Total:
    """A counter that follows a total that is counted elsewhere."""

    def __init__(self, metric: Metric) -> None:
        self._counter = _counter(metric)
        self._total = 0

    def reach(self, total: int) -> None:
        if total > self._total:
            self._counter.inc(total - self._total)
            self._total = total


class RequestMetrics:
    """Counts the requests of an HTTP surface."""

    def __init__(self) -> None:
        self._requests = _counter(metrics.HTTP_REQUESTS)

    def request_began(self) -> None:
        """How many are in progress is part of the load."""

    def request_answered(self, status_class: str) -> None:
        self._requests.inc(1, tags={"status_class": status_class})

    def request_ended(self) -> None:
        """How many are in progress is part of the load."""


class LoadMetrics:
    """Shows what a replica has on its hands, as a reporter's observer of the load."""

    def __init__(self) -> None:
        self._requests = _gauge(metrics.REQUESTS_IN_PROGRESS)
        self._edits = _gauge(metrics.EDITS_IN_PROGRESS)

    def __call__(self, load: Load) -> None:
        self._requests.set(load.requests)
        self._edits.set(load.edits)


class EditMetrics:
    """Counts edits, as a gateway's observer; those of its near cache by ``looked``."""

    def __init__(self) -> None:
        self._edits = _counter(metrics.EDITS)
        self._failed = _counter(metrics.EDITS_FAILED)
        self._withdrawn = _counter(metrics.EDITS_WITHDRAWN)
        self._seconds = _histogram(metrics.EDIT_SECONDS)
        self._stages = _histogram(metrics.STAGE_SECONDS)
        self._attempts = _histogram(metrics.ATTEMPTS)
        self._failures = _counter(metrics.CHECK_FAILURES)
        self._lookups = _counter(metrics.CACHE_LOOKUPS)
        self._stage_names: set[str] = set()

    def began(self) -> None:
        """How many are in progress is part of the load."""

    def completed(self, outcome: EditOutcome, seconds: float) -> None:
        result, origin = outcome.result, origin_of(outcome)
        kind = edit_type_of(result.metadata)
        verdict = folded(result.verdict, VERDICTS)
        self._edits.inc(1, tags={"edit_type": kind, "verdict": verdict, "cache": origin})
        self._seconds.observe(seconds, tags={"cache": origin})
        if not was_made(outcome):
            return
        self._attempts.observe(result.attempts)
        for name, took_s in stage_seconds(result.metadata):
            stage = stage_of(name, self._stage_names)
            self._stage_names.add(stage)
            self._stages.observe(took_s, tags={"stage": stage})
        for check in failed_checks(result.metadata):
            self._failures.inc(1, tags={"check": check, "edit_type": kind})

    def failed(self, code: str) -> None:
        self._failed.inc(1, tags={"code": folded(code, CODES)})

    def withdrawn(self) -> None:
        self._withdrawn.inc(1)

    def looked(self, found: bool) -> None:
        outcome = "hit" if found else "miss"
        self._lookups.inc(1, tags={"tier": "near", "outcome": outcome})


class RouterMetrics:
    """Counts further attempts and times the keeping of results."""

    def __init__(self) -> None:
        self._re_edits = _counter(metrics.RE_EDITS)
        self._stages = _histogram(metrics.STAGE_SECONDS)

    def re_edited(self, event: ReEdit) -> None:
        self._re_edits.inc(1, tags=asdict(event))

    def stored(self, seconds: float) -> None:
        self._stages.observe(seconds, tags={"stage": "store"})


class CacheMetrics:
    """Counts what comes of claims, and shows the flights of a shard."""

    def __init__(self) -> None:
        self._lookups = _counter(metrics.CACHE_LOOKUPS)
        self._flights = _gauge(metrics.FLIGHTS)
        self._waiting = _gauge(metrics.FLIGHT_WAITING)
        self._handovers = _Total(metrics.FLIGHT_HANDOVERS)

    def claimed(self, claim: Claim) -> None:
        match claim:
            case EditOutcome():
                outcome = str(claim.cache)
            case EditServiceError():
                outcome = "refused"
            case None:
                return  # the caller asks again
            case _:
                outcome = "miss"
        self._lookups.inc(1, tags={"tier": "shared", "outcome": outcome})

    def show(self, figures: dict[str, int]) -> None:
        """Show the ``load_figures`` of a shared cache."""
        self._flights.set(figures["flying"])
        self._waiting.set(figures["waiting"])
        self._handovers.reach(figures["handovers"])


class EditorMetrics:
    """Counts the steps of an editor, and shows its load and its device."""

    def __init__(self, max_batch_size: int) -> None:
        self._max_batch_size = max_batch_size
        self._step_seconds = _histogram(metrics.STEP_SECONDS)
        self._occupancy = _histogram(metrics.BATCH_OCCUPANCY)
        self._steps = _Total(metrics.STEPS)
        self._warm = _gauge(metrics.EDITOR_WARM)
        self._pending = _gauge(metrics.EDITOR_PENDING)
        self._backlog = _gauge(metrics.EDITOR_BACKLOG)
        self._memory = _gauge(metrics.DEVICE_MEMORY)

    def stepped(self, requests: int, seconds: float) -> None:
        """Count a step; called on the device thread."""
        self._step_seconds.observe(seconds, tags={"requests": str(requests)})
        self._occupancy.observe(requests / self._max_batch_size)

    def show(
        self, figures: dict[str, int], work_s: float, usage: DeviceUsage, *, warm: bool
    ) -> None:
        """Show the ``load_figures`` of an engine, its work in seconds, and its device."""
        self._warm.set(int(warm))
        self._pending.set(figures["pending"])
        self._backlog.set(work_s)
        self._steps.reach(figures["steps"])
        for kind in ("allocated", "reserved", "total"):
            tags = {"device": usage.device, "kind": kind}
            self._memory.set(getattr(usage, f"{kind}_bytes"), tags=tags)


class JobMetrics:
    """Shows how many durable jobs there are."""

    def __init__(self) -> None:
        self._jobs = _gauge(metrics.JOBS)

    def show(self, backlog: JobBacklog) -> None:
        for state, count in asdict(backlog).items():
            self._jobs.set(count, tags={"state": state})
