"""A record as fields of a journal entry: names that are kept, values that people may see."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.engine.explain import KINDS
from oomguardd.kernel.journald import encode, is_field_name
from oomguardd.reporter.journal.fields import (
    ALWAYS,
    LONGEST_RECORD,
    MOST_FIELDS,
    PREFIX,
    UNKNOWN,
    entry_of,
    reading_name,
)
from oomguardd.reporter.journal.message_ids import MESSAGE_IDS
from oomguardd.reporter.words import words_of
from oomguardd.sensors import SIGNAL_OF

WHEN_S = 1_700_000_000.25
CGROUP = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1.scope"

KILL: dict[str, Any] = {
    "kind": "kill",
    "run": "cafe",
    "seq": 3,
    "time_s": WHEN_S,
    "priority": 1,
    "kill_id": 2,
    "signal": "SIGTERM",
    "dry_run": False,
    "level": "terminate",
    "triggers": ["low", "stalled"],
    "conditions": ["mem_available <10%"],
    "readings": {"mem_available": 812.0, "psi_some_10s": 31.25, "of_the_future": 1},
    "victim": {
        "pid": 4711,
        "comm": "Web\nContent",
        "uid": 1000,
        "cgroup": CGROUP,
        "points": 412.5,
        "held_bytes": 1 << 30,
        "adjustments": [["nice", 50.0, "niced to 10"], ["age", -20, "old"]],
    },
    "runners_up": [{"pid": 5, "comm": "next", "points": 100, "held_bytes": 1 << 20, "cgroup": "/x"}],
    "spared": [[1, "init", "protected"]],
    "party": {"unit": "tree", "count": 2, "held_bytes": 2 << 30, "members": [[4711, "Web", 1 << 30]]},
    "totals": {"ram_bytes": 1 << 34, "swap_bytes": 0},
    "timings": {"total_s": 0.0123456, "scan_s": 0.005},
}


def fields(record: dict[str, Any], **more: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in entry_of(record, words_of(record), SIGNAL_OF, **more):
        found.setdefault(name, []).append(value)
    return found


def test_a_kill_with_all_that_it_was_made_of() -> None:
    found = fields(KILL, incident="20231114-221320-3fa9c1", now_s=WHEN_S)
    plain = {name: values[0] for name, values in found.items() if len(values) == 1}
    assert plain["MESSAGE"].splitlines()[0].startswith("killed 2 processes")
    assert len(plain["MESSAGE"].splitlines()) > 5
    assert plain["MESSAGE"].splitlines()[0] == plain["OOMGUARDD_SUMMARY"]
    expected = {
        "PRIORITY": "1",
        "SYSLOG_IDENTIFIER": "oomguardd",
        "MESSAGE_ID": MESSAGE_IDS["kill"],
        "OBJECT_PID": "4711",
        "OOMGUARDD_KIND": "kill",
        "OOMGUARDD_RUN": "cafe",
        "OOMGUARDD_SEQ": "3",
        "OOMGUARDD_TIME_S": "1700000000.25",
        "OOMGUARDD_ID": "20231114-221320-3fa9c1",
        "OOMGUARDD_SIGNAL": "SIGTERM",
        "OOMGUARDD_DRY_RUN": "false",
        "OOMGUARDD_LEVEL": "terminate",
        "OOMGUARDD_MEM_AVAILABLE_BYTES": "812",
        "OOMGUARDD_PSI_SOME_10S_PCT": "31.25",
        "OOMGUARDD_VICTIM_PID": "4711",
        "OOMGUARDD_VICTIM_COMM": "Web\\nContent",
        "OOMGUARDD_VICTIM_UID": "1000",
        "OOMGUARDD_VICTIM_POINTS": "412.5",
        "OOMGUARDD_VICTIM_UNIT": "user@1000.service",
        "OOMGUARDD_VICTIM_USER_UNIT": "app-gnome-firefox-1.scope",
        "OOMGUARDD_VICTIM_APP": "firefox",
        "OOMGUARDD_OWNER": "application firefox",
        "OOMGUARDD_RUNNER_UP": "next[5] 100 points, 1 MiB, /x",
        "OOMGUARDD_SPARED": "init[1]: protected",
        "OOMGUARDD_PARTY_UNIT": "tree",
        "OOMGUARDD_PARTY_MEMBER": "Web[4711] 1 GiB",
        "OOMGUARDD_TOTAL_RAM_BYTES": str(1 << 34),
        "OOMGUARDD_TOOK_TOTAL_S": "0.012346",
    }
    assert {name: plain.get(name) for name in expected} == expected
    assert found["OOMGUARDD_TRIGGER"] == ["low", "stalled"]
    assert found["OOMGUARDD_VICTIM_TERM"] == ["nice +50: niced to 10", "age -20: old"]
    assert json.loads(plain["OOMGUARDD_VICTIM_TERMS"]) == KILL["victim"]["adjustments"]
    assert json.loads(plain["OOMGUARDD_RECORD"]) == KILL
    assert not any("OF_THE_FUTURE" in name for name in found)


def test_an_outcome_says_what_was_freed() -> None:
    record = {"kind": "outcome", "available_before_bytes": 100, "available_after_bytes": 1 << 40}
    found = fields({**record, "pid": 5, "comm": "hog", "after_s": 0.25, "reaped": None})
    assert found["OOMGUARDD_FREED_BYTES"] == [str((1 << 40) - 100)]
    assert found["OOMGUARDD_VICTIM_PID"] == ["5"]
    assert found["OOMGUARDD_VICTIM_COMM"] == ["hog"]
    assert found["OOMGUARDD_AFTER_S"] == ["0.25"]
    assert "OOMGUARDD_REAPED" not in found
    assert "OBJECT_PID" not in found


def test_the_kernels_victim_has_the_same_names() -> None:
    record = {"kind": "kernel_kill", "pid": 5, "comm": "hog", "cgroup": CGROUP, "owner": "unit by evidence"}
    found = fields({**record, "source": "kmsg", "why": ["one", "two"], "report": {"long": 1}})
    assert found["OOMGUARDD_VICTIM_COMM"] == ["hog"]
    assert found["OOMGUARDD_VICTIM_CGROUP"] == [CGROUP]
    assert found["OOMGUARDD_VICTIM_USER_UNIT"] == ["app-gnome-firefox-1.scope"]
    assert found["OOMGUARDD_OWNER"] == ["unit by evidence"]
    assert found["OOMGUARDD_WHY"] == ["one", "two"]
    assert "OOMGUARDD_PID" not in found


def test_late_ones_say_so() -> None:
    assert fields(KILL, now_s=WHEN_S + 63)["MESSAGE"][0].splitlines()[0].endswith(" (63 s ago)")
    assert " s ago)" not in fields(KILL, now_s=WHEN_S + 1)["MESSAGE"][0]
    assert " s ago)" not in fields({"kind": "gap"}, now_s=WHEN_S)["MESSAGE"][0]


def test_a_list_of_triggers_is_one_of_names() -> None:
    found = fields({"kind": "started", "pid": 7, "triggers": [{"name": "low"}, {"name": "high"}, {}]})
    assert found["OOMGUARDD_TRIGGER"] == ["low", "high"]
    assert found["OOMGUARDD_PID"] == ["7"]


@pytest.mark.parametrize("kind", sorted(ALWAYS))
def test_what_the_catalog_names_is_never_absent(kind: str) -> None:
    found = fields({"kind": kind})
    for name in ALWAYS[kind]:
        assert found[PREFIX + name] == [UNKNOWN]


def test_every_kind_that_is_logged_has_an_id() -> None:
    assert set(MESSAGE_IDS) == set(KINDS) - {"tick"}
    assert set(ALWAYS) <= set(MESSAGE_IDS)
    assert len(set(MESSAGE_IDS.values())) == len(MESSAGE_IDS)
    assert all(len(each) == 32 and int(each, 16) for each in MESSAGE_IDS.values())


def test_a_kind_of_the_future_is_told_without_one() -> None:
    found = fields({"kind": "of the future", "what": 5})
    assert found["OOMGUARDD_KIND"] == ["of the future"]
    assert found["OOMGUARDD_WHAT"] == ["5"]
    assert "MESSAGE_ID" not in found


def test_readings_are_named_apart_from_everything_else() -> None:
    names = [reading_name(signal, SIGNAL_OF) for signal in SIGNAL_OF]
    assert len(set(names)) == len(names)
    assert all(is_field_name(name) for name in names)
    assert not set(names) & set(fields({**KILL, "readings": {}}))


def test_what_is_too_long_is_cut_and_what_is_too_much_left_out() -> None:
    record = {"kind": "fault", "error": "x" * 9000, **{f"key_{number}": "y" for number in range(2000)}}
    record["more"] = "z" * LONGEST_RECORD
    found = fields(record)
    assert len(found["OOMGUARDD_ERROR"][0]) < 1100
    assert len(found) <= MOST_FIELDS
    assert "OOMGUARDD_RECORD" not in found


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
_KEYS = st.sampled_from(
    [*KILL, "pid", "comm", "owner", "why", "available_before_bytes", "available_after_bytes"]
)


@given(st.sampled_from(KINDS), st.dictionaries(_KEYS | st.text(max_size=8), _JSON, max_size=12))
def test_whatever_a_record_holds_becomes_an_entry(kind: str, record: dict[str, Any]) -> None:
    entry = entry_of({**record, "kind": kind}, ["a sentence"], SIGNAL_OF, now_s=WHEN_S)
    assert encode(entry)
    assert all(value.isprintable() for name, value in entry if name != "MESSAGE")
    assert next(value for name, value in entry if name == "PRIORITY") in "01234567"
