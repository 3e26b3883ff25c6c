"""Laws of the configuration: what is written is read back the same, and nothing crashes the reader."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from oomguardd.config import Config, ConfigError, load, render_effective
from oomguardd.config.files import TOML_LOADS, Source
from oomguardd.config.load import merge
from oomguardd.model import Signal, Unit
from oomguardd.policies import POLICIES
from oomguardd.rules import MATCH_KEYS
from oomguardd.sections import from_wire, to_wire
from oomguardd.settings import nearest, settings_of, toml_string
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
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
globs = st.text("ab/*?.-_ '\"\\é", min_size=1, max_size=8)
regexes = st.sampled_from(["^a", r"\d+\\", "a|b'c", '"x"', r"(?i)\s*$"])


def either(each: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(each, st.lists(each, min_size=1, max_size=3))


accounts = either(st.one_of(st.integers(0, 1 << 31), st.sampled_from(["root", "0"]), words))
ranges = st.one_of(
    st.integers(-20, 19),
    st.integers(-20, 19).map(str),
    st.integers(-19, 18).map(lambda bound: f">{bound}"),
    st.integers(-20, 19).map(lambda bound: f"<= {bound}"),
    st.integers(-20, 0).map(lambda low: f"{low}..{low + 5}"),
)
ages = st.one_of(
    st.integers(1, 1 << 30).map(lambda ms: f">{ms}ms"),
    st.integers(1, 1 << 30).map(lambda ms: f"<{ms}ms"),
    st.integers(0, 1 << 20).map(lambda ms: f"{ms}ms..{2 * ms + 1}ms"),
)
matches = st.dictionaries(
    st.sampled_from(["name", "exe", "cgroup", "app"]), either(globs), max_size=2
).flatmap(
    lambda texts: st.fixed_dictionaries(
        {"terminal": st.booleans()},
        optional={
            "cmdline_regex": either(regexes),
            "user": accounts,
            "group": accounts,
            "runtime": either(st.sampled_from(["docker", "host", "slurm"])),
            "nice": ranges,
            "oom_score_adj": ranges,
            "age": ages,
        },
    ).map(lambda others: texts | others)
)
rule_names = {"name": st.sampled_from(["a", "b", "c"]), "enabled": st.booleans()}
kills = st.sampled_from(["process", "tree", "unit", "job"])
says = st.one_of(
    st.fixed_dictionaries({"do": st.just("never")}),
    st.fixed_dictionaries({"do": st.sampled_from(["avoid", "prefer"])}, optional={"kill": kills}),
    st.fixed_dictionaries(
        {"points": st.floats(-1000, 1000).filter(bool) | st.integers(1, 1000)}, optional={"kill": kills}
    ),
    st.fixed_dictionaries({"kill": kills}),
)
rules = st.builds(
    lambda match, does, names: match | does | names,
    st.fixed_dictionaries({"match": matches}),
    says,
    st.fixed_dictionaries({}, optional=rule_names),
)
protects = st.fixed_dictionaries(
    {"match": matches, "oom_score_adj": st.integers(-1000, 1000)}, optional=rule_names
)


def several(each: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Named tables of one file."""
    return st.lists(each, max_size=4, unique_by=lambda table: table.get("name", id(table)))


def policy_values(policy: type) -> st.SearchStrategy[dict[str, Any]]:
    """The switches of a policy either way; its other settings as they are."""
    assert TOML_LOADS is not None
    rows = settings_of(policy)
    switches = {row.key for row in rows if row.default in ("true", "false")}
    others = {row.key: TOML_LOADS(f"x = {row.toml_default()}")["x"] for row in rows}
    return st.fixed_dictionaries(
        {}, optional={key: st.booleans() if key in switches else st.just(raw) for key, raw in others.items()}
    )


tables = st.fixed_dictionaries(
    {},
    optional={
        "policy": st.fixed_dictionaries({}, optional={p.name: policy_values(p) for p in POLICIES}),
        "rule": several(rules),
        "protect": several(protects),
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
        "trigger": several(st.one_of(changes, new)),
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
    assert wired == replace(config, telling=None)
    assert (wired.sources, wired.warnings, wired.origins) == (config.sources, config.warnings, config.origins)


junk = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
match_keys = st.one_of(
    st.sampled_from(MATCH_KEYS).map(lambda row: row.name), st.sampled_from(["exe_regex", "nice_regex"])
)
junk_match = st.dictionaries(match_keys, st.one_of(junk, st.text("<>=.0123456789smh-")), max_size=3)
known_keys = st.sampled_from(
    ["grace", "fastest", "level", "dry_run", "name", "for", "mem_available", "shortlist", "nice", "enabled"]
)
rule_keys = st.sampled_from(["do", "points", "kill", "enabled", "oom_score_adj", "name"])
junk_section = st.one_of(
    st.dictionaries(st.one_of(known_keys, st.text()), junk, max_size=4),
    st.builds(
        lambda match, others: {"match": match} | others,
        junk_match,
        st.dictionaries(rule_keys, st.one_of(junk, st.sampled_from(["never", "avoid", "unit"])), max_size=3),
    ),
)
sections = st.sampled_from(
    ["guard", "pace", "select", "kill", "log", "trigger", "policy", "rule", "rule", "protect"]
)


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
