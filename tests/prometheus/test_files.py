"""Rules, dashboard and document: they ask for nothing that there is not, and say what to do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oomguardd.config import load
from oomguardd.reporter.metrics.table import BY_NAME
from oomguardd.sensors import SIGNALS

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "packaging/prometheus"
RULES = (HERE / "oomguard.rules.yml").read_text(encoding="utf-8")
RULE_TESTS = (HERE / "oomguard.rules.test.yml").read_text(encoding="utf-8")
DOCUMENT = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((HERE / "grafana-dashboard.json").read_text(encoding="utf-8"))

ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES, re.MULTILINE)
PARTS = {"histogram": ("_bucket", "_sum", "_count")}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["expr"] for each in DASHBOARD["annotations"]["list"])


def unknown_metrics(text: str) -> set[str]:
    """Names in it that are none of a metric's series."""
    known = {name + part for name, row in BY_NAME.items() for part in PARTS.get(row.type, ("",))}
    recorded = set(re.findall(r"record: (\S+)", RULES))
    return set(re.findall(r"(?<![\w:#/-])(?:instance:)?oomguard_\w+(?::\w+)?", text)) - known - recorded


def test_rules_ask_only_for_metrics_that_there_are() -> None:
    assert unknown_metrics(RULES) == set()
    assert unknown_metrics(RULE_TESTS) == set()


def test_the_dashboard_asks_only_for_metrics_that_there_are() -> None:
    assert unknown_metrics("\n".join(queries())) == set()
    assert unknown_metrics("oomguard_no_such_metric{x='y'}") == {"oomguard_no_such_metric"}


def test_labels_in_expressions_are_those_of_the_metric() -> None:
    outside = {"job", "instance", "le"}
    for text in (RULES, *queries()):
        for name, inner in re.findall(r"(oomguard_\w+)\{([^}]*)\}", text):
            row = BY_NAME.get(name) or BY_NAME[name.removesuffix("_bucket")]
            used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inner))
            assert used <= set(row.labels) | outside, f"{name}: {used}"


def test_every_alert_says_how_bad_it_is_what_happened_and_what_to_do() -> None:
    blocks = re.split(r"^ +- alert: ", RULES, flags=re.MULTILINE)[1:]
    for name, block in zip(ALERTS, blocks, strict=True):
        assert re.fullmatch(r"Oomguard[A-Z][A-Za-z]+", name)
        assert re.search(r"severity: (critical|warning|info)$", block, re.MULTILINE), name
        assert "summary:" in block, name
        assert "description:" in block, name
        assert f"docs/metrics.md#{name.lower()}\n" in block + "\n", name
        assert f"\n### {name}\n" in DOCUMENT, f"{name} has no section in docs/metrics.md"
        assert name in RULE_TESTS, f"{name} is not tested"


def test_the_document_has_no_alert_that_there_is_not() -> None:
    sections = re.findall(r"^### (\w+)$", DOCUMENT, re.MULTILINE)
    assert sections == [name for name in sections if name in ALERTS]
    assert len(sections) == len(ALERTS)


def test_every_panel_says_what_it_shows() -> None:
    assert len(panels()) > 20
    for panel in panels():
        assert panel["title"], panel
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["targets"], panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_query_is_of_what_was_chosen() -> None:
    for query in queries():
        selectors = re.findall(r"oomguard_\w+(\{[^}]*\})?", query)
        assert all('job=~"$job", instance=~"$instance"' in selector for selector in selectors), query
        windows = set(re.findall(r"\[([^\]]+)\]", query))
        assert windows <= {"$__rate_interval", "$__range"}, query


def test_data_source_job_and_instance_can_be_chosen() -> None:
    source, job, instance = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    for variable in (job, instance):
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["allValue"] == ".+"
    assert DASHBOARD["editable"] is False


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_dashboard_is_what_the_script_writes() -> None:
    command = [sys.executable, "-B", str(HERE / "dashboard.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == (HERE / "grafana-dashboard.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))
def test_configuration_examples_load(tmp_path: Path, example: str) -> None:
    file = tmp_path / "oomguard.toml"
    file.write_text(example, encoding="utf-8")
    assert load(str(file), SIGNALS).telling.metrics.token_file == "/etc/oomguard/token"


def test_the_ports_are_the_same_everywhere() -> None:
    for path in (HERE / "scrape.yml", ROOT / "docs/metrics.md", ROOT / "systemd/oomguardd-metrics.socket"):
        assert "127.0.0.1:10066" in path.read_text(encoding="utf-8"), path
