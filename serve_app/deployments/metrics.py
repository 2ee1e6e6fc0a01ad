"""What the service counts, through Ray's metrics, for Prometheus."""

from __future__ import annotations

from dataclasses import asdict

from ray.serve.metrics import Counter

from serve_app.workflows.re_editing import ReEdit


class ReEditCounter:
    """Counts further attempts by what failed, what was done, and what came of it."""

    def __init__(self) -> None:
        self._counter = Counter(
            "qwen_edit_re_edits_total",
            description="Further attempts at an edit, by failed check, action and outcome.",
            tag_keys=("failure", "action", "outcome"),
        )

    def __call__(self, event: ReEdit) -> None:
        self._counter.inc(1, tags=asdict(event))
