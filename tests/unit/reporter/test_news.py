"""Which records are news, and how often."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oomguardd.engine.explain import KINDS
from oomguardd.reporter.people.news import STALE_S, News, Pace
from oomguardd.sensors import SIGNALS

NOW_S = 1_700_000_000.0
BY_NAME = {signal.name: signal for signal in SIGNALS}
CGROUP = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1.scope"
VICTIM = {"pid": 4711, "comm": "a\nb", "uid": 1000, "cgroup": CGROUP, "held_bytes": 5, "oom_score_adj": 100}


def news(warn: bool = True) -> News:
    return News(warn, 300, BY_NAME)


def record(kind: str, **more: object) -> Mapping[str, object]:
    return {"kind": kind, "time_s": NOW_S, **more}


def level(name: str, was: str) -> Mapping[str, object]:
    readings = {"mem_available": 100 << 20, "mem_total": 1 << 30, "swap_free": 7}
    return record("level", level=name, was=was, readings=readings)


def test_a_pace_doubles_until_it_has_been_calm() -> None:
    pace = Pace(300)
    said = [now_s for now_s in range(0, 20000, 100) if pace.may(now_s)]
    assert said == [0, 300, 900, 2100, 4500, 8100, 11700, 15300, 18900], "doubling, up to an hour"
    pace.calm(19000)
    assert not pace.may(19100)
    pace.calm(19200)
    assert pace.may(19200 + 3600), "calm for as long as the pause had become"
    assert pace.may(19200 + 3600 + 300), "so the pause is the first one again"


def test_calm_counts_from_its_beginning() -> None:
    pace = Pace(10)
    assert pace.may(0)
    pace.calm(1)
    pace.calm(9)
    assert pace.may(12), "calm since 1"


def test_a_pause_longer_than_the_longest_stays() -> None:
    pace = Pace(86400)
    assert pace.may(0)
    assert pace.may(86400)
    assert pace.may(2 * 86400), "not doubled, and not cut to an hour"


def test_warnings_when_the_level_rises() -> None:
    told = news()
    warning = told.of(level("warn", "calm"), NOW_S, 0)
    assert warning is not None
    assert warning.kind == "warn"
    assert warning.people
    assert warning.facts["available_bytes"] == 100 << 20
    assert warning.facts["available_pct"] == 9.8
    assert told.of(level("warn", "terminate"), NOW_S, 1000) is None, "falling"
    assert told.of(level("calm", "warn"), NOW_S, 1000) is None
    assert told.of(level("kill", "calm"), NOW_S, 1000) is None, "the kill says it all"


def test_people_may_be_left_alone() -> None:
    warning = news(warn=False).of(level("warn", "calm"), NOW_S, 0)
    assert warning is not None
    assert not warning.people, "hooks hear of it all the same"


def test_a_kill() -> None:
    kill = record(
        "kill",
        victim=VICTIM,
        run="r",
        seq=3,
        signal="SIGKILL",
        conditions=["mem_available <5%"],
        readings={"mem_available": 1, "mem_total": 100},
        party={"count": 4, "held_bytes": 20},
    )
    told = news().of(kill, NOW_S, 0)
    assert told is not None
    assert dict(told.facts) == {
        "kind": "kill",
        "time_s": NOW_S,
        "by": "oomguardd",
        "dry_run": False,
        "reason": "memory available 1% < 5%",
        "uid": 1000,
        "count": 4,
        "held_bytes": 20,
        "signal": "SIGKILL",
        "comm": "a\\nb",
        "cgroup": CGROUP,
        "pid": 4711,
        "oom_score_adj": 100,
        "unit": "user@1000.service",
        "user_unit": "app-gnome-firefox-1.scope",
        "app": "firefox",
    }
    assert told.summary == "a\\nb and 3 other processes were ended to free memory"
    assert told.people
    assert told.explanation[0].startswith("killed ")


def test_kernel_and_foreign_kills() -> None:
    kernel = record("kernel_kill", key="k1", pid=1, comm="x", cgroup=CGROUP, why=["First.", "Second."])
    told = news().of(kernel, NOW_S, 0)
    assert told is not None
    assert (told.facts["by"], told.facts["reason"], told.facts["uid"]) == ("kernel", "First", 1000)
    assert told.event("box")["id"] == "k1"
    foreign = record("foreign_kill", by="earlyoom", pid=1, comm="x", why="it logged so")
    told = news().of(foreign, NOW_S, 0)
    assert told is not None
    assert told.summary == "earlyoom ended x"
    assert "uid" not in told.facts


def test_what_is_long_over_is_for_programs_only() -> None:
    old = {**record("kill", victim=VICTIM), "time_s": NOW_S - STALE_S - 1}
    told = news().of(old, NOW_S, 0)
    assert told is not None
    assert not told.people
    assert told.time_s == NOW_S - STALE_S - 1
    assert news().of({**level("warn", "calm"), "time_s": NOW_S - 100}, NOW_S, 0) is None


def test_dry_runs_and_nobody_are_not_repeated_to_people() -> None:
    for repeated in (record("kill", victim=VICTIM, dry_run=True), record("nobody", why="w")):
        told = news()
        first, second = told.of(repeated, NOW_S, 0), told.of(repeated, NOW_S, 10)
        assert first is not None
        assert second is not None
        assert (first.people, second.people) == (True, False)


def test_for_programs_only() -> None:
    told = news().of(record("missing", what="x", cost="y", remedy="z"), NOW_S, 0)
    assert told is not None
    assert told.summary == "not available: x; this costs: y"
    assert told.body == "remedy: z"
    assert not told.people


@pytest.mark.parametrize("kind", ["tick", "state", "armed", "started", "gap", "fault", "unheard-of"])
def test_no_news(kind: str) -> None:
    assert news().of(record(kind), NOW_S, 0) is None


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
nested = st.recursive(
    anything, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3)
)
keys = st.sampled_from(
    (
        "time_s",
        "victim",
        "why",
        "level",
        "was",
        "readings",
        "party",
        "cgroup",
        "conditions",
        "uid",
        "comm",
        "run",
    )
)


@given(st.sampled_from((*KINDS, "kernel_kill", "foreign_kill")), st.dictionaries(keys, nested))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_bad_record_is_never_fatal(kind: str, fields: dict[str, object]) -> None:
    told = news().of({**fields, "kind": kind}, NOW_S, 0)
    assert told is None or (
        told.summary and all(isinstance(v, (str, int, float)) for v in told.facts.values())
    )
