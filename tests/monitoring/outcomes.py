"""Finished edits as they come to an observer."""

from __future__ import annotations

from typing import Any

from serve_app.edits.result import CacheStatus, EditOutcome, EditResult


def outcome(
    kind: str = "semantic",
    verdict: str = "pass",
    *,
    cache: CacheStatus = CacheStatus.MISS,
    policy: str = "use",
    seconds: tuple[dict[str, float], ...] = ({"denoise": 2.0, "validate": 0.5},),
    **metadata: Any,
) -> EditOutcome:
    """An edit with one attempt for each of ``seconds``, the durations of its stages."""
    record = {
        "request": {"cache": policy},
        "plan": {"edit_type": kind},
        "attempts": [{"attempt": i + 1, "seconds": taken} for i, taken in enumerate(seconds)],
        **metadata,
    }
    result = EditResult("res-1", b"", 8, 8, 1, verdict, len(seconds), record)
    return EditOutcome(result, cache)
