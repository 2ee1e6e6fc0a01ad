"""What the alerts and the dashboard ask Prometheus for, and the metrics they name."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.conftest import ROOT

MONITORING = ROOT / "cluster" / "monitoring"


def alerts() -> dict[str, dict[str, Any]]:
    """The alert rules by their names."""
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    """The graphs of the dashboard."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Every expression, with an interval in place of Grafana's variable."""
    asked = [rule["expr"] for rule in alerts().values()]
    asked += [target["expr"] for panel in panels() for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "5m") for expression in asked]


def metrics_of(expression: str) -> set[str]:
    """The metrics that ``expression`` reads: names outside of labels, groupings and strings."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}', "", expression)
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", bare)
    return {name for name in re.findall(r"[a-zA-Z_:][\w:]*", bare) if "_" in name} - _FUNCTIONS


_FUNCTIONS = {"histogram_quantile"}
