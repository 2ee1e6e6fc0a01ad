"""What ``GET /v1/monitor`` says, made from counts, samples and the load of the moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.edits.result import CacheStatus
from serve_app.monitoring.activity import Activity
from serve_app.monitoring.gpus import GpuReading
from serve_app.monitoring.histogram import RELATIVE_ERROR, Histogram
from serve_app.monitoring.labels import UNANSWERED
from serve_app.monitoring.machine import MachineReading
from serve_app.monitoring.reporter import Load
from serve_app.monitoring.window import WINDOW_S, Spread

_SHARES = {"p50_s": 0.50, "p95_s": 0.95, "p99_s": 0.99}

_GPU_FIGURES = ("load_percent", "memory_used_bytes", "temperature_c")


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a summary is made of.

    ``requests`` and ``edits`` are since the monitor started, ``activity`` and ``figures`` of the
    window, of which ``filled_s`` seconds are covered; ``load`` is of now, ``reading`` of
    ``sampled_s_ago``.
    """

    interval_s: float
    uptime_s: float
    sampled_s_ago: float
    filled_s: float
    requests: int
    edits: int
    load: Load
    activity: Activity
    figures: Mapping[str, Spread]
    reading: MachineReading | None


def figures_of(reading: MachineReading, load: Load) -> dict[str, float]:
    """What is followed over the hour, by name."""
    figures = {
        "memory_used_bytes": reading.memory_used_bytes,
        "memory_percent": reading.memory_percent,
        "service_memory_bytes": reading.service_memory_bytes,
        "queue_length": float(_queue_length(load)),
    }
    if reading.cpu_percent is not None:
        figures["cpu_percent"] = reading.cpu_percent
    for gpu in reading.gpus:
        for name in _GPU_FIGURES:
            if (value := getattr(gpu, name)) is not None:
                figures[_gpu_figure(gpu, name)] = value
    return figures


def summarise(facts: Facts) -> dict[str, Any]:
    """The summary as JSON; ``null`` is what nobody knows (yet)."""
    figures, reading = facts.figures, facts.reading
    return {
        "window": {"length_s": WINDOW_S, "filled_s": round(facts.filled_s, 3)},
        "interval_s": facts.interval_s,
        "uptime_s": round(facts.uptime_s, 3),
        "sampled_s_ago": round(facts.sampled_s_ago, 3),
        "cpu": {"percent": _spread(figures.get("cpu_percent"))},
        "memory": {
            "used_bytes": _spread(figures.get("memory_used_bytes")),
            "total_bytes": None if reading is None else int(reading.memory_total_bytes),
            "percent": _spread(figures.get("memory_percent")),
            "service_bytes": _spread(figures.get("service_memory_bytes")),
        },
        "gpus": [_gpu(gpu, figures) for gpu in (() if reading is None else reading.gpus)],
        "requests": _requests(facts),
        "edits": _edits(facts),
        "attempts": _attempts(facts.activity),
        "cache": _cache(facts.activity.cache),
        "queue": {
            "edits": facts.load.edits,
            "jobs_queued": facts.load.jobs.queued,
            "jobs_running": facts.load.jobs.running,
            "length": _spread(figures.get("queue_length")),
        },
        "stages": {name: _stage(it) for name, it in sorted(facts.activity.stages.items())},
        "percentile_error": round(RELATIVE_ERROR, 4),
    }


def _queue_length(load: Load) -> int:
    return load.edits + load.jobs.queued + load.jobs.running


def _gpu_figure(gpu: GpuReading, name: str) -> str:
    return f"gpu.{gpu.index}.{name}"


def _gpu(gpu: GpuReading, figures: Mapping[str, Spread]) -> dict[str, Any]:
    total = gpu.memory_total_bytes
    return {
        "index": gpu.index,
        "name": gpu.name,
        "memory_total_bytes": None if total is None else int(total),
        **{name: _spread(figures.get(_gpu_figure(gpu, name))) for name in _GPU_FIGURES},
    }


def _spread(spread: Spread | None) -> dict[str, float] | None:
    if spread is None:
        return None
    values = {
        "current": spread.current,
        "average": spread.average,
        "maximum": spread.maximum,
    }
    return {name: round(value, 2) for name, value in values.items()}


def _requests(facts: Facts) -> dict[str, Any]:
    by_status = facts.activity.requests
    answered = by_status.total() - by_status[UNANSWERED]
    return {
        "total": facts.requests,
        "last_hour": by_status.total(),
        "in_flight": facts.load.requests,
        "by_status": _sorted(by_status),
        "error_rate": {kind: _rate(by_status[kind], answered) for kind in ("4xx", "5xx")},
    }


def _edits(facts: Facts) -> dict[str, Any]:
    by_type: Counter[str] = Counter()
    by_verdict: Counter[str] = Counter()
    both: dict[str, dict[str, int]] = {}
    for (kind, verdict), count in sorted(facts.activity.edits.items()):
        by_type[kind] += count
        by_verdict[verdict] += count
        both.setdefault(kind, {})[verdict] = count
    return {
        "total": facts.edits,
        "last_hour": facts.activity.edits.total(),
        "made": facts.activity.made,
        "by_type": _sorted(by_type),
        "by_verdict": _sorted(by_verdict),
        "by_type_and_verdict": both,
        "failed": facts.activity.failures.total(),
        "failures": _sorted(facts.activity.failures),
        "withdrawn": facts.activity.withdrawn,
    }


def _attempts(activity: Activity) -> dict[str, Any]:
    total = sum(number * count for number, count in activity.attempts.items())
    return {
        "total": total,
        "per_edit": _rate(total, activity.made),
        "edits": {str(number): count for number, count in sorted(activity.attempts.items())},
    }


def _cache(origins: Counter[str]) -> dict[str, Any]:
    found = origins[CacheStatus.HIT] + origins[CacheStatus.JOINED]
    return {
        "hit_rate": _rate(found, found + origins[CacheStatus.MISS]),
        "answers": _sorted(origins),
    }


def _stage(histogram: Histogram) -> dict[str, Any]:
    percentiles = {name: histogram.percentile(share) for name, share in _SHARES.items()}
    return {
        "count": histogram.count,
        **{name: it and round(it, 4) for name, it in percentiles.items()},
    }


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
