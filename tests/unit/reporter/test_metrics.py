"""The exposition: what the table says, all of it and nothing else, read back by the library's parsers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from prometheus_client import core
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from oomguardd.reporter.meters import METERS, Meters
from oomguardd.reporter.metrics.exposition import BASE_UNITS, CACHE_S, LIBRARY, MISSING, Exposition, base_unit
from oomguardd.reporter.metrics.readings import READINGS
from oomguardd.reporter.metrics.table import BY_NAME, METRICS
from oomguardd.reporter.metrics.tally import Tally
from oomguardd.reporter.present import Present
from oomguardd.sensors import SIGNALS
from tests.prometheus.story import GIB, TRIGGERS, Machine, armed, everything, kill, started, tick

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/metrics.md"

MOST_SERIES = 250
"""Of a machine with a handful of triggers. Each costs a Prometheus server 3 to 8 KiB."""


def families(text: str) -> dict[str, core.Metric]:
    """By the name in the table, of either format."""
    parser: Callable[[str], Iterable[core.Metric]] = (
        parse_openmetrics if text.endswith("# EOF\n") else parse_text
    )
    suffixes = {"counter": "_total", "info": "_info"}
    return {family.name + suffixes.get(family.type, ""): family for family in parser(text)}


def rich() -> Machine:
    machine = Machine(*everything())
    machine.meters.add("told", "journal")
    machine.meters.add("failed", "hook mail")
    machine.meters.add("dropped", "history")
    machine.meters.add("refused", "metrics: too slow")
    return machine


def test_names_follow_the_rules_of_prometheus() -> None:
    for row in METRICS:
        assert re.fullmatch(r"oomguard(_[a-z0-9]+)+", row.name), row.name
        assert row.name.endswith("_total") == (row.type == "counter"), row.name
        assert row.name.endswith("_info") == (row.type == "info"), row.name
        assert row.help
        assert row.help[0].isupper()
        assert not row.help.endswith("."), row.name
        assert row.unit, row.name
        stem = row.name.removesuffix("_total")
        assert (row.unit in BASE_UNITS) == stem.endswith(BASE_UNITS), row.name
        assert row.unit not in BASE_UNITS or stem.endswith(row.unit), row.name
        assert not {"le", "quantile", "type", "job", "instance"} & set(row.labels), row.name
    assert len(BY_NAME) == len(METRICS)


def test_every_metric_of_the_table_is_there_with_its_type_help_unit_and_labels() -> None:
    found = families(rich().text(openmetrics=True))
    assert set(found) == set(BY_NAME)
    for name, family in found.items():
        row = BY_NAME[name]
        assert (family.type, family.documentation, family.unit) == (row.type, row.help, base_unit(row))
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels == set(row.labels), name
        assert all(sample.timestamp is None for sample in family.samples)


def test_both_formats_say_the_same() -> None:
    machine = rich()

    def samples(text: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        found = families(text).values()
        return {(s.name, tuple(sorted(s.labels.items()))) for family in found for s in family.samples}

    assert samples(machine.text()) == samples(machine.text(openmetrics=True))


def test_the_document_has_the_same_table() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| ([^|]*) \| ([^|]+) \|$", DOCUMENT.read_text(), re.M
    )
    table = [
        (row.name, row.type, row.unit, ", ".join(f"`{label}`" for label in row.labels) or "-", row.help)
        for row in METRICS
    ]
    assert [tuple(cell.strip() for cell in row) for row in rows] == table


def test_there_are_few_series() -> None:
    text = rich().text()
    assert len(re.findall(r"^[^#]", text, re.M)) <= MOST_SERIES
    assert "hog" not in text, "no process has a name here"
    assert "4711" not in text
    assert "_created" not in text


def test_every_signal_has_a_metric() -> None:
    assert set(READINGS) == {signal.name for signal in SIGNALS}
    assert {reading.metric for reading in READINGS.values()} <= set(BY_NAME)
    for reading in READINGS.values():
        assert len(reading.labels) == len(BY_NAME[reading.metric].labels)
    assert len({*READINGS.values()}) == len(READINGS)


def test_readings_are_in_base_units() -> None:
    series = Machine(started(), tick(1)).series()
    assert series["oomguard_memory_available_bytes"] == 2 * GIB
    assert series['oomguard_memory_pressure_ratio{kind="full",window="10s"}'] == 0.125
    assert series["oomguard_vmstat_oom_kills_total"] == 3


def threshold(series: dict[str, float], unit: str, **labels: str) -> float | None:
    inner = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return series.get(f"oomguard_threshold_{unit}{{{inner}}}")


def test_thresholds_are_in_the_unit_of_their_reading() -> None:
    series = Machine(started(), tick(1)).series()
    low = {"trigger": "low-memory", "level": "terminate", "direction": "below"}
    assert threshold(series, "bytes", **low, signal="mem_available") == 1.6 * GIB
    assert threshold(series, "bytes", **low, signal="swap_free") == pytest.approx(0.4 * GIB)
    hard = {"trigger": "thrashing", "level": "kill", "direction": "above"}
    assert threshold(series, "ratio", **hard, signal="psi_full_10s") == 0.4
    assert threshold(series, "bytes_per_second", **hard, signal="refault_rate") == 1e8
    assert threshold(series, "events_per_second", **hard, signal="major_fault_rate") == 1000


def test_of_two_thresholds_in_one_direction_the_stricter_counts() -> None:
    bounds = [["mem_available", True, 10, True], ["mem_available", True, GIB, False]]
    trigger = {"name": "both", "level": "kill", "bounds": bounds}
    series = Machine(started(triggers=[trigger]), tick(1)).series()
    labels = {"trigger": "both", "level": "kill", "direction": "below", "signal": "mem_available"}
    assert threshold(series, "bytes", **labels) == GIB


@pytest.mark.parametrize(
    "bounds", [None, 7, [7], [["mem_available", True, 10]], [["nothing", True, 1, True]], [[[], 1, "a", 0]]]
)
def test_thresholds_of_nonsense_are_left_out(bounds: object) -> None:
    trigger = {"name": "odd", "level": "kill", "bounds": bounds}
    series = Machine(started(triggers=[trigger]), tick(1)).series()
    assert not [name for name in series if name.startswith("oomguard_threshold")]
    assert series['oomguard_trigger_holding{trigger="odd"}'] == 0


def test_level_and_triggers_right_now() -> None:
    machine = Machine(started(), armed(), tick(1, "terminate", triggers=["low-memory"]))
    series = machine.series()
    assert {name: value for name, value in series.items() if name.startswith("oomguard_level{")} == {
        'oomguard_level{level="calm"}': 0,
        'oomguard_level{level="warn"}': 0,
        'oomguard_level{level="terminate"}': 1,
        'oomguard_level{level="kill"}': 0,
    }
    assert series['oomguard_trigger_holding{trigger="low-memory"}'] == 1
    assert series['oomguard_trigger_holding{trigger="thrashing"}'] == 0
    assert series["oomguard_armed"] == series["oomguard_guard_up"] == 1
    assert series['oomguard_psi_source{source="openfile"}'] == 1


def test_another_daemon() -> None:
    what = "being alone: earlyoom (pid 12) runs too"
    series = Machine(started(), {"kind": "missing", "what": what, "run": "ab12"}).series()
    assert series['oomguard_other_oom_daemon{daemon="earlyoom"}'] == 1
    assert series['oomguard_other_oom_daemon{daemon="systemd-oomd"}'] == 0
    assert series["oomguard_missing_abilities"] == 1


def test_of_a_guard_that_is_not_there_nothing_is_claimed() -> None:
    machine = Machine(*everything())
    machine.present.connected = False
    series = machine.series()
    assert series["oomguard_guard_up"] == series["oomguard_armed"] == 0
    assert "oomguard_memory_available_bytes" not in series
    assert not [name for name in series if name.startswith(("oomguard_level{", "oomguard_threshold"))]
    assert series['oomguard_kills_total{dry_run="false",signal="SIGTERM",trigger="low-memory"}'] == 1


def test_a_reporter_that_knows_nothing_yet() -> None:
    series = Machine(connected=False).series()
    assert series["oomguard_guard_up"] == 0
    assert series["oomguard_last_kill_timestamp_seconds"] == 0
    assert series['oomguard_kernel_oom_kills_total{constraint="none"}'] == 0


def test_both_processes_cost_is_read_from_the_machine() -> None:
    machine = Machine(started(), tick(1))
    series = machine.series()
    assert series['oomguard_process_resident_memory_bytes{process="reporter"}'] > 1 << 20
    assert series['oomguard_process_cpu_seconds_total{process="guard"}'] == 1.25
    machine.tell(started(pid=1 << 40), tick(2))
    assert 'oomguard_process_resident_memory_bytes{process="guard"}' not in machine.series()


def test_names_from_the_configuration_are_labels_whatever_they_hold() -> None:
    odd = [{**TRIGGERS[0], "name": 'a"b\\c\n{x}é' + "y" * 500}]
    machine = Machine(started(triggers=odd), tick(1), kill(triggers=[odd[0]["name"]]))
    kills = families(machine.text())["oomguard_kills_total"].samples
    assert [sample.value for sample in kills if sample.labels["trigger"].startswith("a")].count(1) == 1
    assert all(len(sample.labels["trigger"]) <= 64 for sample in kills)


def test_a_rendering_is_shared_for_a_moment() -> None:
    machine = Machine(started())
    first = machine.exposition.body()
    machine.tell(kill())
    assert machine.exposition.body() is first
    machine.clock_s += CACHE_S
    assert machine.exposition.body() != first


def test_a_clock_that_goes_back_is_no_reason_to_stay_old() -> None:
    machine = Machine(started())
    machine.clock_s = 100.0
    first = machine.exposition.body()
    machine.tell(kill())
    machine.clock_s = 1.0
    assert machine.exposition.body() != first


def test_a_thousand_hooks_are_not_a_thousand_series() -> None:
    machine = Machine(started())
    for number in range(1000):
        machine.meters.add("told", f"hook {number}")
    assert len([name for name in machine.series() if "deliveries_total" in name]) <= 64


def test_all_meters_are_shown() -> None:
    machine = Machine()
    for name in METERS:
        machine.meters.expect(name, "me: why")
    assert len([name for name in machine.series() if "reporter_" in name and '"me' in name]) == len(METERS)


def test_without_the_library_there_are_no_metrics_and_nothing_breaks() -> None:
    exposition = Exposition(Present(), Tally(), Meters(), "1", library=None)
    assert not exposition.available
    assert exposition.body() == b""
    assert set(MISSING) == {"what", "cost", "remedy"}
    exposition.close()
    exposition.close()


def test_a_library_that_is_there_is_found() -> None:
    assert LIBRARY is not None
    assert LIBRARY.core is core
