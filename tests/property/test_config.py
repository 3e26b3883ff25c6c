"""Laws of the configuration: what is written is read back the same, and nothing crashes the reader."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from oomguardd.config import Config, ConfigError, load, render_effective
from oomguardd.config.files import Source
from oomguardd.config.load import merge
from oomguardd.model import Signal, Unit
from oomguardd.sections import from_wire, to_wire
from oomguardd.settings import nearest, toml_string
from oomguardd.units import (
    format_duration,
    format_percent,
    format_rate,
    format_size,
    parse_duration_s,
    parse_percent,
    parse_rate_bytes_per_s,
    parse_size,
)

SIGNALS = (
    Signal("mem_available", Unit.BYTES, "Available.", total="mem_total"),
    Signal("swap_free", Unit.BYTES, "Free swap.", total="swap_total"),
    Signal("psi_full_10s", Unit.PERCENT, "Stall."),
    Signal("reclaim_scan_rate", Unit.BYTES_PER_S, "Scanned."),
    Signal("major_fault_rate", Unit.PER_S, "Faults."),
)
BUILT_IN_NAMES = ("low-memory-warning", "low-memory", "very-low-memory", "thrashing", "hard-thrashing")

comparisons = st.sampled_from("<>")
percents = st.integers(0, 1000).map(lambda tenths: f"{tenths / 10}%")
sizes = st.integers(0, 1 << 40).map(format_size).map(lambda text: text if text != "0" else "0B")
rates = sizes.map(lambda text: f"{text}/s")
durations = st.integers(0, 3_600_000).map(lambda ms: f"{ms}ms")


def compared(bounds: st.SearchStrategy[str]) -> st.SearchStrategy[str | list[str]]:
    one = st.builds("".join, st.tuples(comparisons, bounds))
    return st.one_of(one, st.lists(one, min_size=1, max_size=3))


conditions: dict[str, st.SearchStrategy[Any]] = {
    "mem_available": compared(st.one_of(percents, sizes)),
    "swap_free": compared(st.one_of(percents, sizes)),
    "psi_full_10s": compared(percents),
    "reclaim_scan_rate": compared(rates),
    "major_fault_rate": compared(st.integers(0, 10**6).map(str)),
}
others: dict[str, st.SearchStrategy[Any]] = {"for": durations, "enabled": st.booleans()}
changes = st.fixed_dictionaries(
    {"name": st.sampled_from(BUILT_IN_NAMES)},
    optional={key: st.one_of(st.just("off"), each) for key, each in conditions.items()} | others,
)
new = st.fixed_dictionaries(
    {"level": st.sampled_from(["warn", "terminate", "kill"]), "mem_available": conditions["mem_available"]},
    optional={key: each for key, each in conditions.items() if key != "mem_available"} | others,
)
tables = st.fixed_dictionaries(
    {},
    optional={
        "guard": st.fixed_dictionaries(
            {}, optional={"dry_run": st.booleans(), "default_triggers": st.booleans()}
        ),
        "pace": st.fixed_dictionaries(
            {},
            optional={
                "fastest": st.integers(10, 5000).map(lambda ms: f"{ms}ms"),
                "fill_rate": st.one_of(
                    st.just("auto"), st.integers(1, 99999).map(lambda number: f"{number}M/s")
                ),
                "margin": st.floats(1, 100),
            },
        ),
        "select": st.fixed_dictionaries({}, optional={"smallest_victim": st.one_of(percents, sizes)}),
        "kill": st.fixed_dictionaries(
            {}, optional={"grace": st.integers(0, 600_000).map(lambda ms: f"{ms}ms")}
        ),
        "log": st.fixed_dictionaries(
            {}, optional={"state_interval": st.sampled_from(["off", "90s", "1.001s"])}
        ),
        "trigger": st.lists(st.one_of(changes, new), max_size=4, unique_by=lambda t: t.get("name", id(t))),
    },
)


# Other tests start virtual machines meanwhile: how long an example takes says nothing.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def load_bytes(data: bytes) -> Config | ConfigError:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "oomguard.toml"
        path.write_bytes(data)
        return outcome(lambda: load(str(path), SIGNALS))


def outcome(attempt: Callable[[], Config]) -> Config | ConfigError:
    try:
        return attempt()
    except ConfigError as error:
        return error


@unhurried
@given(st.lists(tables, max_size=3))
def test_the_effective_configuration_loads_as_itself(files: list[dict[str, Any]]) -> None:
    sources = [Source(f"f{number}", table) for number, table in enumerate(files)]
    config = outcome(lambda: merge(sources, SIGNALS))
    assume(isinstance(config, Config))  # not if no trigger is left, or the pace contradicts itself
    assert isinstance(config, Config)
    assert load_bytes(render_effective(config).encode()) == config
    wired = from_wire(json.loads(json.dumps(to_wire(config))))
    assert wired == config
    assert (wired.sources, wired.warnings, wired.origins) == (config.sources, config.warnings, config.origins)


junk = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
known_keys = st.sampled_from(
    ["grace", "fastest", "level", "dry_run", "name", "for", "mem_available", "shortlist"]
)
junk_section = st.dictionaries(st.one_of(known_keys, st.text()), junk, max_size=4)
sections = st.sampled_from(["guard", "pace", "select", "kill", "log", "trigger"])


@unhurried
@given(
    st.dictionaries(
        st.one_of(sections, st.text()), st.one_of(junk, junk_section, st.lists(junk_section)), max_size=4
    )
)
def test_whatever_is_in_a_file_it_is_read_or_refused_line_by_line(table: dict[str, Any]) -> None:
    result = outcome(lambda: merge([Source("file", table)], SIGNALS))
    if isinstance(result, Config):
        assert result.triggers
    else:
        lines = str(result).splitlines()
        assert len(lines) == len(result.problems) >= 1
        assert [line for line in lines if not (line.startswith("file: ") and line.endswith(")"))] == []


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_an_error(data: bytes) -> None:
    result = load_bytes(data)
    assert result.triggers if isinstance(result, Config) else result.problems


@unhurried
@given(st.integers(0, 1 << 62))
def test_sizes_survive_being_written(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes
    assert parse_rate_bytes_per_s(format_rate(size_bytes)) == size_bytes


@unhurried
@given(st.integers(0, 3650 * 1000), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations_survive_being_written(thousandths: int, unit: str) -> None:
    duration_s = parse_duration_s(f"{thousandths // 1000}.{thousandths % 1000:03}{unit}")
    assert parse_duration_s(format_duration(duration_s)) == duration_s


@unhurried
@given(st.integers(0, 10**11))
def test_percentages_survive_being_written(billionths: int) -> None:
    percent = parse_percent(f"{billionths // 10**9}.{billionths % 10**9:09}%")
    assert parse_percent(format_percent(percent)) == percent


@unhurried
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_survives_being_written(text: str) -> None:
    result = load_bytes(f"{toml_string(text)} = 1".encode())
    assert isinstance(result, ConfigError)
    assert [problem.key for problem in result.problems] == [text]


@unhurried
@given(
    st.text("abcdef", min_size=4, max_size=12),
    st.integers(0, 10),
    st.sampled_from(["drop", "double", "swap"]),
)
def test_one_slip_of_the_finger_is_understood(name: str, at: int, slip: str) -> None:
    at %= len(name) - 1
    slips = {
        "drop": name[:at] + name[at + 1 :],
        "double": name[:at] + name[at] + name[at:],
        "swap": name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    }
    assert nearest(slips[slip], ["uvwxyzuvwxyz", name]) == name
