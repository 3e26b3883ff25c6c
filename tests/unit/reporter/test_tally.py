"""Records become numbers: each once, none from nonsense, and no more series than were planned."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from oomguardd.reporter.metrics.book import MOST_SERIES, Book, Histogram
from oomguardd.reporter.metrics.labels import COUNTERS, HISTOGRAMS, LASTS
from oomguardd.reporter.metrics.table import BY_NAME
from oomguardd.reporter.metrics.tally import MOST_TRIGGERS, Tally
from tests.prometheus.story import (
    BEGUN_S,
    GIB,
    MIB,
    TRIGGERS,
    everything,
    kill,
    outcome,
    started,
    tick,
)


def tally_of(*records: dict[str, Any]) -> Tally:
    tally = Tally()
    for record in records:
        tally.fold(record)
    return tally


def count(tally: Tally, name: str, *labels: str) -> float:
    return tally.counts[f"oomguard_{name}_total"][labels]


def test_what_can_be_counted_is_there_before_it_happens() -> None:
    tally = tally_of(started())
    values = [value for series in tally.counts.values() for value in series.values()]
    assert sum(values) == 1, "the start itself"
    for trigger, number, dry in (("low-memory", "SIGTERM", "false"), ("thrashing", "SIGKILL", "true")):
        assert count(tally, "kills", trigger, number, dry) == 0
    assert ("soon", "SIGTERM", "false") not in tally.counts["oomguard_kills_total"], "it only warns"


def test_every_metric_of_the_tally_is_in_the_table_with_its_labels() -> None:
    for name, series in COUNTERS.items():
        assert {len(labels) for labels in series} == {len(BY_NAME[name].labels)}, name
        assert BY_NAME[name].type == "counter"
    assert {BY_NAME[name].type for name in HISTOGRAMS} == {"histogram"}
    assert {BY_NAME[name].type for name in LASTS} == {"gauge"}


def test_a_kill_and_its_end() -> None:
    tally = tally_of(started(), kill(), outcome())
    assert count(tally, "kills", "low-memory", "SIGTERM", "false") == 1, "by the trigger that decided"
    assert count(tally, "decisions", "kill") == 1
    assert count(tally, "killed_processes", "cgroup") == 3
    assert count(tally, "kill_adjustments", "nice") == count(tally, "kill_adjustments", "rule") == 1
    assert count(tally, "kill_outcomes", "died") == 1
    assert count(tally, "freed_bytes") == 1000 * MIB
    assert count(tally, "victims_held_bytes") == GIB
    assert count(tally, "ineffective_kills") == 0
    assert tally.histograms["oomguard_signal_delay_seconds"].sum == 0.004
    assert tally.histograms["oomguard_death_delay_seconds"].sum == 0.3
    assert tally.lasts["oomguard_last_kill_timestamp_seconds"] == BEGUN_S + 60


def test_a_dry_run_signals_nobody() -> None:
    tally = tally_of(started(), kill(dry_run=True))
    assert count(tally, "kills", "low-memory", "SIGTERM", "true") == 1
    assert count(tally, "kills", "low-memory", "SIGTERM", "false") == 0
    assert count(tally, "killed_processes", "cgroup") == 0
    assert tally.lasts["oomguard_last_kill_timestamp_seconds"] == 0


def test_a_kill_that_did_not_help() -> None:
    tally = tally_of(outcome(available_after_bytes=200 * MIB))
    assert count(tally, "ineffective_kills") == 1
    tally = tally_of(outcome(available_after_bytes=50 * MIB))
    assert count(tally, "freed_bytes") == 0, "a counter never falls"
    assert count(tally, "ineffective_kills") == 1


def test_what_was_not_freed_is_not_held_against_a_stuck_victim() -> None:
    tally = tally_of(outcome(outcome="stuck", available_after_bytes=None))
    assert count(tally, "kill_outcomes", "stuck") == 1
    assert count(tally, "ineffective_kills") == count(tally, "victims_held_bytes") == 0
    assert sum(tally.histograms["oomguard_death_delay_seconds"].counts) == 0


def test_the_end_of_somebody_elses_victim_is_not_ours() -> None:
    assert count(tally_of(outcome(foreign=True)), "kill_outcomes", "died") == 0


def test_every_kind_of_record_counts() -> None:
    tally = tally_of(*everything())
    idle = {
        name
        for name, series in tally.counts.items()
        if not sum(series.values()) and name != "oomguard_ineffective_kills_total"
    }
    assert not idle
    assert count(tally, "records_lost") == 4
    assert count(tally, "faults") == 2
    assert count(tally, "kernel_oom_kills", "memcg") == 1
    assert not tally.reload_successful


def test_a_record_that_is_sent_again_counts_once() -> None:
    first, second = kill(seq=3), kill(2, seq=4)
    tally = tally_of(first, second, first, second, kill(3, seq=1, run="new"))
    assert count(tally, "decisions", "kill") == 3
    event = {"kind": "kernel_kill", "key": "boot:17", "constraint": "none", "time_s": 1.0}
    assert count(tally_of(event, event), "kernel_oom_kills", "none") == 1
    several = {"kind": "kernel_kill", "key": "x", "constraint": "", "count": 4}
    assert count(tally_of(several), "kernel_oom_kills", "unknown") == 4


def test_names_of_triggers_are_few() -> None:
    many = [{**TRIGGERS[0], "name": f"t{number}"} for number in range(500)]
    tally = tally_of(started(triggers=many), *(kill(triggers=[f"t{number}"]) for number in range(500)))
    series = tally.counts["oomguard_kills_total"]
    assert len({labels[0] for labels in series}) == MOST_TRIGGERS + 1
    assert sum(series.values()) == 500
    assert count(tally, "kills", "other", "SIGTERM", "false") == 500 - MOST_TRIGGERS


def test_time_is_spent_at_the_level_of_the_look_before() -> None:
    tally = tally_of(tick(0), tick(5), tick(6, "kill"), tick(6.5, "kill"), tick(7))
    assert count(tally, "level_seconds", "calm") == 6
    assert count(tally, "level_seconds", "kill") == 1


def test_a_clock_that_was_set_spends_no_time() -> None:
    tally = tally_of(tick(0), tick(86400), tick(86401), tick(10), tick(12))
    assert count(tally, "level_seconds", "calm") == 3


def test_a_suspend_is_time_at_no_level() -> None:
    gap = {"kind": "gap", "why": "suspend", "lost_s": 50.0}
    tally = tally_of(tick(0), gap, tick(50), tick(51))
    assert count(tally, "level_seconds", "calm") == 1
    assert count(tally, "gap_seconds", "suspend") == 50


def test_reloads() -> None:
    tally = tally_of(started(), {"kind": "reload_failed", "problems": []})
    assert not tally.reload_successful
    tally.fold({"kind": "reloaded", "time_s": BEGUN_S + 9, "triggers": TRIGGERS})
    assert tally.reload_successful
    assert count(tally, "config_reloads") == count(tally, "config_reload_failures") == 1
    assert tally.lasts["oomguard_config_last_reload_success_timestamp_seconds"] == BEGUN_S + 9


def test_json_loses_nothing() -> None:
    tally = tally_of(*everything())
    wire = json.loads(json.dumps(tally.to_json()))
    again = Tally.from_json(wire)
    assert again.to_json() == tally.to_json()
    again.fold(kill(seq=1))
    assert count(again, "decisions", "kill") == count(tally, "decisions", "kill"), "seen already"


def test_json_of_others_is_taken_as_far_as_it_makes_sense() -> None:
    wire: dict[str, Any] = json.loads(json.dumps(tally_of(*everything()).to_json()))
    assert Tally.from_json({**wire, "version": 99}).to_json() == Tally().to_json()
    assert Tally.from_json([]).to_json() == Tally().to_json()
    wire["counts"]["no_such_metric"] = [["a", 1]]
    wire["counts"]["oomguard_faults_total"] = [["too", "many", 1], 7, [], [None], [-1], [5]]
    wire["histograms"]["oomguard_signal_delay_seconds"]["bounds"] = [1, 2]
    tally = Tally.from_json(wire)
    assert count(tally, "faults") == 5
    assert sum(tally.histograms["oomguard_signal_delay_seconds"].counts) == 0
    assert "no_such_metric" not in tally.counts


def test_a_set_of_series_has_an_end() -> None:
    book = Book({"m": ()}, (), {})
    for number in range(10 * MOST_SERIES):
        book.add("m", (str(number),))
        book.expect("m", (f"expected {number}",))
    assert len(book.counts["m"]) == MOST_SERIES


def test_histograms() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0, -1.0, float("nan"), float("inf")):
        histogram.observe(value)
    assert histogram.counts == [2, 1, 1]
    assert histogram.sum == 12.0


KINDS = sorted({str(record["kind"]) for record in everything()})
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({key for record in everything() for key in record} - {"kind"})


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=6)),
        max_size=8,
    )
)
def test_nonsense_neither_raises_nor_takes_away(records: list[tuple[str, dict[str, Any]]]) -> None:
    tally = Tally()
    before = tally.to_json()["counts"]
    for kind, fields in records:
        tally.fold({"kind": kind, **fields})
    assert isinstance(before, dict)
    for name, series in tally.counts.items():
        assert all(value >= 0 for value in series.values()), name
        assert len(series) <= MOST_SERIES
    assert Tally.from_json(json.loads(json.dumps(tally.to_json()))).to_json() == tally.to_json()
