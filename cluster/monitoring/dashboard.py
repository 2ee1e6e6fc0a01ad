"""Makes dashboard.json for Grafana of panels.yaml: `python cluster/monitoring/dashboard.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PANELS = Path(__file__).with_name("panels.yaml")
FILE = Path(__file__).with_name("dashboard.json")

_COLUMNS = 24
_WIDTH, _HEIGHT = 8, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": "qwen-edit",
        "title": "Qwen image edits",
        "description": "The editing service: traffic, quality, editors, cache, jobs, machines.",
        "tags": ["qwen-edit", "ray"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                }
            ]
        },
        "panels": list(_placed(yaml.safe_load(PANELS.read_text()))),
    }


def _placed(rows: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Rows one below the other, the panels of each from left to right as long as they fit."""
    number, top = 0, 0
    for title, panels in rows.items():
        number += 1
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        top, left = top + 1, 0
        for panel in panels:
            width = panel.get("width", _WIDTH)
            if left + width > _COLUMNS:
                top, left = top + _HEIGHT, 0
            number += 1
            place = {"x": left, "y": top, "w": width, "h": _HEIGHT}
            yield {"id": number, **_graph(panel), "gridPos": place}
            left += width
        top += _HEIGHT


def _graph(panel: dict[str, Any]) -> dict[str, Any]:
    stacked = panel.get("stacked", False)
    style = {
        "lineWidth": 1,
        "fillOpacity": 20 if stacked else 0,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none"},
    }
    return {
        "type": "timeseries",
        "title": panel["title"],
        "description": panel["description"],
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel["unit"], "min": 0, "custom": style},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
            }
            for number, (legend, expression) in enumerate(panel["curves"].items())
        ],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(dashboard(), indent=2) + "\n")
