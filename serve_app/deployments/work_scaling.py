"""How many editors there should be: by the seconds of work that wait, not by requests.

Twenty drafts of four steps and twenty edits of fifty steps at a larger size are the same number of
requests and a hundred times the work. Each editor reports how long it will take to finish what it
has, by what its steps have cost so far; the rest is a division.

Serve copies this module into its controller: it imports nothing but the standard library and Ray.
"""

from __future__ import annotations

import math
from typing import Any

from ray.serve.config import AutoscalingContext

WORK_S = "work_s"
"""Seconds until an editor has finished what it has now: the metric that editors report."""


def editors_for(work_s: float, target_work_s: float) -> int:
    """The number of editors of which each would have ``target_work_s`` seconds of ``work_s``."""
    return math.ceil(work_s / target_work_s)


class WorkScaling:
    """Serve's autoscaling policy for editors.

    Serve applies the bounds and delays of the autoscaling configuration to what this returns.
    """

    def __init__(self, target_work_s: float) -> None:
        self._target_work_s = target_work_s

    def __call__(self, context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
        work_s = (context.aggregated_metrics or {}).get(WORK_S, {})
        editors = editors_for(sum(work_s.values()), self._target_work_s)
        if len(work_s) < context.current_num_replicas:
            # Somebody has not reported yet, or has died and left its work to others.
            editors = max(editors, context.target_num_replicas)
        return editors, {}
