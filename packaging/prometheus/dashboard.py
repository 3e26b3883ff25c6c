#!/usr/bin/env python3
"""The Grafana dashboard as JSON. After a change: `dashboard.py > grafana-dashboard.json`

Rule of this file: the JSON is never edited by hand. A test holds that it is what comes out here, and that it
asks for no metric that there is not.
"""

from __future__ import annotations

import json
from typing import Any

from dashboard_panels import ROWS, Panel

CHOSEN = 'job=~"$job", instance=~"$instance"'
"""Where an expression has an @."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


def dashboard() -> dict[str, Any]:
    """What Grafana imports."""
    return {
        "title": "oomguardd",
        "uid": "oomguardd",
        "description": "Memory emergencies, and what oomguardd did about them.",
        "tags": ["oomguardd", "memory"],
        "schemaVersion": 38,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": [_annotation()]},
        "panels": _panels(),
    }


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return [source, _variable("job", "up{job=~'.*oomguard.*'}"), _variable("instance", 'up{job=~"$job"}')]


def _variable(name: str, series: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({series}, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _annotation() -> dict[str, Any]:
    return {
        "name": "Kills",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": _expression("sum by (instance) (increase(oomguard_kills_total{@}[$__rate_interval])) > 0"),
        "titleFormat": "oomguardd killed",
        "textFormat": "{{instance}}",
    }


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []})
        x, y = 0, y + 1
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + panel.height
            panels.append(_panel(panel, len(panels) + 1, x, y))
            x += panel.width
        y += row[-1].height
    return panels


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": _expression(expression),
                "legendFormat": f"{{{{instance}}}}: {legend}" if legend else "{{instance}}",
            }
            for index, (legend, expression) in enumerate(panel.queries.items())
        ],
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    mappings = panel.mappings or {}
    options = {value: {"text": text, "color": color} for value, (text, color) in mappings.items()}
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "mappings": [{"type": "value", "options": options}] if options else [],
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"color": "text", "value": None}]},
    }
    if panel.kind == "timeseries":
        defaults["min"] = 0
        defaults["custom"] = {"fillOpacity": 5, "lineWidth": 1, "showPoints": "auto", "spanNulls": False}
    return defaults


def _options(kind: str) -> dict[str, Any]:
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "textMode": "auto"}
    if kind == "state-timeline":
        return {"mergeValues": True, "showValue": "auto", "legend": {"showLegend": False}}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}


def _expression(template: str) -> str:
    return template.replace("@", CHOSEN)


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=2))
