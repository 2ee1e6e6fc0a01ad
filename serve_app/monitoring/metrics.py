"""Every metric of the service: its name, what it says, its labels and its buckets.

Names have their unit and follow Prometheus' conventions; a scrape shows them with ``ray_`` before
them and with the labels ``deployment``, ``replica`` and ``application``. A label has few values,
whatever users send: see ``labels``.

Of a histogram Ray passes on the buckets, and counts each value as the middle of its bucket, so that
``_sum`` is an estimate. It is exact where each value is the middle of one, as attempts are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric is to be read."""

    COUNTER = "counter"  # only grows: read its rate
    GAUGE = "gauge"  # how it is now
    HISTOGRAM = "histogram"  # how values were spread


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as the service knows it."""

    name: str
    kind: Kind
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def exported(self) -> frozenset[str]:
        """The names of its series in a scrape."""
        ends = ("_bucket", "_sum", "_count") if self.kind is Kind.HISTOGRAM else ("",)
        return frozenset(f"ray_{self.name}{end}" for end in ends)


_STEP_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
_STAGE_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_EDIT_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200)
_EIGHTHS = tuple((2 * eighth + 1) / 16 for eighth in range(9))
_ONE_TO_EIGHT = tuple(number + 0.5 for number in range(9))

# What came in, at the ingresses.

HTTP_REQUESTS = Metric(
    "qwen_edit_http_requests_total",
    Kind.COUNTER,
    "HTTP requests by the class of their answer; probes and scrapes are left out.",
    ("status_class",),
)
REQUESTS_IN_PROGRESS = Metric(
    "qwen_edit_http_requests_in_progress", Kind.GAUGE, "HTTP requests that are being answered."
)

# Edits, where they are asked for: at the ingresses and in the jobs.

EDITS = Metric(
    "qwen_edit_edits_total",
    Kind.COUNTER,
    "Edits that were answered, by type, verdict and where the answer came from.",
    ("edit_type", "verdict", "cache"),
)
EDITS_FAILED = Metric(
    "qwen_edit_edits_failed_total",
    Kind.COUNTER,
    "Edits that were refused or failed, by the code of the error.",
    ("code",),
)
EDITS_WITHDRAWN = Metric(
    "qwen_edit_edits_withdrawn_total",
    Kind.COUNTER,
    "Edits whose caller left before there was an answer.",
)
EDITS_IN_PROGRESS = Metric(
    "qwen_edit_edits_in_progress", Kind.GAUGE, "Edits that wait or run for a caller."
)
EDIT_SECONDS = Metric(
    "qwen_edit_edit_seconds",
    Kind.HISTOGRAM,
    "Time from asking for an edit to its answer, all attempts included.",
    ("cache",),
    _EDIT_S,
)
STAGE_SECONDS = Metric(
    "qwen_edit_stage_seconds",
    Kind.HISTOGRAM,
    "Time that a stage of an attempt took: queue, encode, denoise, decode, validate, store.",
    ("stage",),
    _STAGE_S,
)
ATTEMPTS = Metric(
    "qwen_edit_attempts", Kind.HISTOGRAM, "Attempts of an edit that was made.", (), _ONE_TO_EIGHT
)
CHECK_FAILURES = Metric(
    "qwen_edit_check_failures_total",
    Kind.COUNTER,
    "Attempts that a check rejected, by the check and the type of the edit.",
    ("check", "edit_type"),
)
RE_EDITS = Metric(
    "qwen_edit_re_edits_total",
    Kind.COUNTER,
    "Further attempts at an edit, by failed check, action and outcome.",
    ("failure", "action", "outcome"),
)

# The caches: near ones in the ingresses and jobs, and the shards of the shared one.

CACHE_LOOKUPS = Metric(
    "qwen_edit_cache_lookups_total",
    Kind.COUNTER,
    "Questions to a cache, by tier (near or shared) and what came of them.",
    ("tier", "outcome"),
)
FLIGHTS = Metric(
    "qwen_edit_flights", Kind.GAUGE, "Edits that are being made for whoever asks for them."
)
FLIGHT_WAITING = Metric(
    "qwen_edit_flight_waiting", Kind.GAUGE, "Callers that wait for an identical edit."
)
FLIGHT_HANDOVERS = Metric(
    "qwen_edit_flight_handovers_total",
    Kind.COUNTER,
    "Times that an edit was taken over by a caller that waited for it.",
)

# The editors.

EDITOR_WARM = Metric(
    "qwen_edit_editor_warm", Kind.GAUGE, "1 where an editor is loaded, warm and making progress."
)
EDITOR_PENDING = Metric(
    "qwen_edit_editor_pending", Kind.GAUGE, "Attempts that wait or run in an editor."
)
EDITOR_BACKLOG = Metric(
    "qwen_edit_editor_backlog_seconds",
    Kind.GAUGE,
    "Time an editor needs for all that it has, by what its steps cost.",
)
STEPS = Metric("qwen_edit_steps_total", Kind.COUNTER, "Denoising steps, however many shared them.")
STEP_SECONDS = Metric(
    "qwen_edit_step_seconds",
    Kind.HISTOGRAM,
    "Time of a denoising step, by how many requests shared it.",
    ("requests",),
    _STEP_S,
)
BATCH_OCCUPANCY = Metric(
    "qwen_edit_batch_occupancy_ratio",
    Kind.HISTOGRAM,
    "Requests that shared a step, as a share of engine.max_batch_size.",
    (),
    _EIGHTHS,
)
DEVICE_MEMORY = Metric(
    "qwen_edit_device_memory_bytes",
    Kind.GAUGE,
    "Memory of an editor's device: allocated, reserved (allocated and kept by torch), total. "
    "Without a GPU that is its process and its machine.",
    ("device", "kind"),
)

# The jobs.

JOBS = Metric("qwen_edit_jobs", Kind.GAUGE, "Durable jobs that are queued or running.", ("state",))

METRICS = tuple(value for value in globals().values() if isinstance(value, Metric))
