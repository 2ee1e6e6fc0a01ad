"""What ``/docs`` says of the monitor's summary."""

from __future__ import annotations

from typing import Any

from serve_app.api.documentation import ERROR_RESPONSES, Responses
from serve_app.monitoring.histogram import RELATIVE_ERROR
from serve_app.monitoring.labels import CACHE, EDIT_TYPES, OTHER, TOTAL, VERDICTS


def _object(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": description, "properties": properties}


def _number(description: str, *, nullable: bool = False) -> dict[str, Any]:
    return {"type": "number", "description": description, "nullable": nullable}


def _count(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _counts(description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "additionalProperties": {"type": "integer"},
    }


def _spread(description: str) -> dict[str, Any]:
    names = ("current", "average", "maximum")
    spread = _object(description, {name: {"type": "number"} for name in names})
    return spread | {"nullable": True}


def _share(description: str) -> dict[str, Any]:
    return _number(f"{description}, 0 to 1; null without any.", nullable=True)


_GPU = _object(
    "null is what the driver does not say.",
    {
        "index": _count("As the driver counts."),
        "name": {"type": "string"},
        "memory_total_bytes": {"type": "integer", "nullable": True},
        "load_percent": _spread("Share of time in which a kernel ran."),
        "memory_used_bytes": _spread("Of all processes."),
        "temperature_c": _spread("Of the chip, degrees Celsius."),
    },
)

_STAGE = _object(
    "Nearest-rank percentiles, seconds.",
    {
        "count": _count("How often it was run."),
        **{name: _number("Seconds.") for name in ("p50_s", "p95_s", "p99_s")},
    },
)

_SUMMARY = _object(
    "Counts and percentiles are of the window, unless they say otherwise. A replica reports every "
    "`interval_s`, so that the last seconds may be missing.",
    {
        "window": _object(
            "The last hour, forgotten minute by minute.",
            {
                "length_s": _number("Longest the window gets, seconds."),
                "filled_s": _number("What it covers now, seconds: less after a start."),
            },
        ),
        "interval_s": _number("How often it is sampled and reported, seconds."),
        "uptime_s": _number("Since the monitor started, which starts with the service, seconds."),
        "sampled_s_ago": _number(
            "Since CPU, memory and GPUs were read last, seconds: more than a few intervals, and a "
            "driver hangs."
        ),
        "cpu": _object(
            "Of the monitor's machine.",
            {"percent": _spread("Of all cores; null in the first seconds.")},
        ),
        "memory": _object(
            "Of the monitor's machine.",
            {
                "used_bytes": _spread("What could not be given to a new process."),
                "total_bytes": {"type": "integer", "nullable": True},
                "percent": _spread("Used of the total."),
                "service_bytes": _spread(
                    "Resident in the service's processes; what they share counts for each."
                ),
            },
        ),
        "gpus": {
            "type": "array",
            "description": "Of the monitor's machine; empty without a GPU or a driver.",
            "items": _GPU,
        },
        "requests": _object(
            "HTTP requests but those to /health, /ready, /metrics and /v1/monitor. A stream counts "
            "when it begins, as what it begins as.",
            {
                "total": _count("Since the monitor started."),
                "last_hour": _count("In the window."),
                "in_flight": _count("Being answered."),
                "by_status": _counts("By class, such as `2xx`; `unanswered`: the client went."),
                "error_rate": _object(
                    "By class.", {kind: _share("Of the answers") for kind in ("4xx", "5xx")}
                ),
            },
        ),
        "edits": _object(
            "Edits that were answered, cached ones too; steps of jobs are edits.",
            {
                "total": _count("Since the monitor started."),
                "last_hour": _count("In the window."),
                "made": _count("Run, instead of answered from a cache or a running twin."),
                "by_type": _counts(f"{', '.join(sorted(EDIT_TYPES))}, {OTHER}."),
                "by_verdict": _counts(f"{', '.join(sorted(VERDICTS))}, {OTHER}."),
                "by_type_and_verdict": {
                    "type": "object",
                    "additionalProperties": _counts("By verdict."),
                },
                "failed": _count("Edits that ended with an error."),
                "failures": _counts(
                    "By the code of the error. A refusal that a job's step waits out counts each "
                    "time."
                ),
                "withdrawn": _count("Edits whose caller left before there was an answer."),
            },
        ),
        "attempts": _object(
            "Of the edits that were made.",
            {
                "total": _count("All attempts."),
                "per_edit": _number("Their mean; null without any.", nullable=True),
                "edits": _counts("Edits by their number of attempts."),
            },
        ),
        "cache": _object(
            "Where answers came from.",
            {
                "hit_rate": _share("Hit and joined, of all that could have been"),
                "answers": _counts(f"{', '.join(sorted(CACHE))}."),
            },
        ),
        "queue": _object(
            "What is waiting or running now.",
            {
                "edits": _count("Edits."),
                "jobs_queued": _count("Durable jobs that wait for their turn."),
                "jobs_running": _count("Durable jobs."),
                "length": _spread("All three; the edits of running jobs count for themselves."),
            },
        ),
        "stages": {
            "type": "object",
            "description": "By stage of an attempt; "
            f"`{TOTAL}`: edits that were made, from request to answer.",
            "additionalProperties": _STAGE,
        },
        "percentile_error": _number(
            f"Largest relative error of a percentile, {RELATIVE_ERROR:.3f}; below 1 ms and above "
            "1 h they are cut off."
        ),
    },
)

MONITOR_RESPONSES: Responses = {
    200: {
        "description": "The summary.",
        "content": {"application/json": {"schema": _SUMMARY}},
    },
    **ERROR_RESPONSES,
}
