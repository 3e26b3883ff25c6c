"""Kills of others, ends of processes and looks, as words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguardd.engine.explain import KINDS, describe
from oomguardd.model import Signal, Unit

MIB = 1 << 20
KERNEL_KILL: dict[str, object] = {
    "kind": "kernel_kill",
    "source": "kmsg",
    "pid": 42,
    "comm": "java",
    "uid": 1000,
    "cgroup": "/system.slice/app.service",
    "owner": "unit app.service",
    "limit_cgroup": "/system.slice/app.service",
    "constraint": "memcg",
    "held_bytes": 512 * MIB,
    "count": 1,
    "why": ["It used 512 MiB of 512 MiB."],
}
OWN_KINDS = ("kernel_kill", "foreign_kill", "exit", "tick")


def test_all_four_kinds_have_words() -> None:
    assert set(OWN_KINDS) <= set(KINDS)


def test_a_kernels_kill() -> None:
    assert describe(KERNEL_KILL) == [
        "the kernel's OOM killer killed java[42] (uid 1000, unit app.service), which held 512 MiB:"
        " /system.slice/app.service had reached its memory limit",
        "  It used 512 MiB of 512 MiB.",
        "  known from its log",
    ]


def test_the_whole_machine() -> None:
    kill = {**KERNEL_KILL, "constraint": "none", "limit_cgroup": ""}
    assert describe(kill)[0].endswith(": the machine was out of memory")


def test_a_group_of_processes() -> None:
    kill = {**KERNEL_KILL, "count": 12, "members": [[42, "java", 5], [43, "sh", 1]]}
    lines = describe(kill)
    assert "java[42] (uid 1000, unit app.service) and 11 others, which held 512 MiB" in lines[0]
    assert lines[1] == "  killed together: java[42], sh[43] and 10 more"


def test_counters_alone_name_nobody() -> None:
    kill = {"kind": "kernel_kill", "source": "vmstat", "count": 2, "why": []}
    assert describe(kill) == [
        "the kernel's OOM killer killed 2 processes",
        "  known from its counters, which name nobody",
    ]
    placed = {
        "kind": "kernel_kill",
        "source": "memory.events",
        "cgroup": "/a",
        "owner": "slice a",
        "count": 1,
    }
    assert describe(placed)[0] == "the kernel's OOM killer killed 1 process in /a (slice a)"


def test_another_daemons_kill() -> None:
    kill = {
        "kind": "foreign_kill",
        "by": "earlyoom",
        "pid": 7,
        "comm": "tail",
        "count": 1,
        "why": ["SIGTERM"],
    }
    assert describe(kill) == ["earlyoom killed tail[7]", "  SIGTERM"]


def test_ends_of_processes() -> None:
    end = {
        "kind": "exit",
        "pid": 7,
        "comm": "tail",
        "signal": "SIGKILL",
        "by": "kernel",
        "why": "SIGKILL by it",
    }
    assert describe(end) == ["tail[7] died of SIGKILL, sent by the kernel", "  SIGKILL by it"]
    assert describe({**end, "by": "unknown", "why": ""}) == ["tail[7] died of SIGKILL"]
    assert describe({**end, "by": "systemd-oomd", "certainty": "likely", "why": ""}) == [
        "tail[7] died of SIGKILL, sent by systemd-oomd (likely)"
    ]
    status = {"kind": "exit", "pid": 7, "comm": "sh", "status": 137, "by": "kernel", "why": "passed on"}
    assert describe(status) == ["sh[7] ended with status 137", "  passed on"]


def test_a_look_is_one_line() -> None:
    signals = {"mem_available": Signal("mem_available", Unit.BYTES, "")}
    tick = {"kind": "tick", "level": "calm", "tick_s": 0.0005, "readings": {"mem_available": 5 * MIB}}
    assert describe(tick, signals) == ["look calm: mem_available 5 MiB; took 0.5 ms"]
    assert describe({**tick, "pending": True, "readings": {}}) == [
        "look calm: no reading; took 0.5 ms, a victim is dying"
    ]


def test_hostile_names_stay_in_their_line() -> None:
    for kind in OWN_KINDS:
        record = {**KERNEL_KILL, "kind": kind, "comm": "a\n<0>b", "owner": "x\x1b[31m", "by": "y\nz"}
        assert all(line.isprintable() for line in describe(record))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [*KERNEL_KILL, "members", "by", "signal", "status", "readings", "tick_s", "certainty"]
)


@given(st.sampled_from(OWN_KINDS), st.dictionaries(FIELDS, VALUES, max_size=10))
def test_no_record_is_too_odd(kind: str, fields: dict[str, object]) -> None:
    lines = describe({**fields, "kind": kind})
    assert lines
    assert all(line.isprintable() for line in lines)
