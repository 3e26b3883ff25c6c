"""Every record reads as sentences, and nothing that a process chose can look like a line of ours."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.engine.explain import KINDS, describe
from oomguardd.engine.explain_kill import CANDIDATE_HEADER, CANDIDATE_LEFT, candidate_row
from oomguardd.engine.readings import condition_words
from oomguardd.engine.words import counted, digits, duration, percent, safe, size, table
from oomguardd.model import Signal, Unit

MIB = 1 << 20
SIGNALS = {
    signal.name: signal
    for signal in (
        Signal("mem_available", Unit.BYTES, "", total="mem_total"),
        Signal("mem_total", Unit.BYTES, ""),
        Signal("swap_free", Unit.BYTES, "", total="swap_total"),
        Signal("swap_total", Unit.BYTES, ""),
        Signal("psi_full_10s", Unit.PERCENT, ""),
        Signal("reclaim_scan_rate", Unit.BYTES_PER_S, ""),
    )
}
READINGS = {
    "mem_available": 87.0 * MIB,
    "mem_total": 1000.0 * MIB,
    "swap_free": 0.0,
    "swap_total": 500.0 * MIB,
    "psi_full_10s": 12.25,
}
TOTAL_PAGES = 1536 * MIB // 4096


def process(pid: int, comm: str, anon_bytes: int, **more: object) -> dict[str, object]:
    """A process as a kill record has it: 100 MiB in swap, 2 MiB of page tables."""
    pages = (anon_bytes + 102 * MIB) // 4096
    return {
        "pid": pid,
        "comm": comm,
        "uid": 1000,
        "cgroup": "/user.slice/app.slice/build.scope",
        "state": "S",
        "age_s": 4000.0,
        "nice": 0,
        "threads": 3,
        "oom_score_adj": 0,
        "rss_anon_bytes": anon_bytes,
        "rss_file_bytes": 0,
        "rss_shmem_bytes": 0,
        "swap_bytes": 100 * MIB,
        "pagetables_bytes": 2 * MIB,
        "held_bytes": anon_bytes + 102 * MIB,
        "kernel_pages": pages,
        "pages": pages,
        "points": pages * 1000 / TOTAL_PAGES,
        "adjustments": [],
        **more,
    }


def kill(**more: object) -> dict[str, object]:
    return {
        "kind": "kill",
        "run": "ab12",
        "seq": 3,
        "kill_id": 1,
        "signal": "SIGTERM",
        "dry_run": False,
        "level": "terminate",
        "triggers": ["low-memory"],
        "conditions": ["mem_available <10%", "swap_free <10%"],
        "readings": READINGS,
        "domain": "machine",
        "victim": process(1234, "python3", 710 * MIB),
        "runners_up": [process(10 + i, f"other{i}", (100 - i) * MIB) for i in range(7)],
        "spared": [[812, "Xorg", "oom_score_adj is -1000"], [1, "systemd", "it is init"]],
        "totals": {"ram_bytes": 1024 * MIB, "swap_bytes": 512 * MIB},
        "page_bytes": 4096,
        "timings": {
            "sense_s": 0.0003,
            "scan_s": 0.008,
            "judge_s": 0.0012,
            "signal_s": 4e-5,
            "total_s": 0.0102,
        },
        "scanned": 312,
        "ahead": True,
        "major_faults": 0,
        **more,
    }


def test_a_kill_is_one_sentence_with_its_figures() -> None:
    assert describe(kill(), SIGNALS)[0] == (
        "killed python3[1234] (uid 1000, /user.slice/app.slice/build.scope) with SIGTERM:"
        " 812 MiB would come back; memory available 8.7% < 10% and swap free 0% < 10%"
    )


def test_a_dry_run_says_that_nobody_was_killed() -> None:
    assert describe(kill(dry_run=True), SIGNALS)[0].startswith("dry run: would have killed python3[1234]")


def test_the_points_are_shown_term_by_term() -> None:
    victim = process(
        7,
        "electron",
        710 * MIB,
        oom_score_adj=300,
        adjustments=[["oom_score_adj_cap", -200.0, "300 counts as 100"]],
    )
    text = "\n".join(describe(kill(victim=victim), SIGNALS))
    assert "+   462  710 MiB  anonymous memory" in text
    assert "+  65.1  100 MiB  in swap" in text
    assert "+   300           oom_score_adj 300" in text
    assert "-   200           oom_score_adj_cap: 300 counts as 100" in text
    assert "mapped files" not in text, "terms of nothing are left out"


def test_runners_up_and_spared_and_timings_are_there() -> None:
    lines = describe(kill(), SIGNALS)
    assert "  runners-up (the first 5 of 7):" in lines
    assert sum("other" in line for line in lines) == 5
    assert "  spared, oom_score_adj is -1000: Xorg[812]" in lines
    assert "sense 0.3 ms, scan 8 ms, judge 1.2 ms, signal 0.04 ms" in lines[-1]
    assert "312 processes scanned ahead, 0 major page faults" in lines[-1]


def test_all_lines_but_the_first_are_indented() -> None:
    lines = describe(kill(), SIGNALS)
    assert not lines[0].startswith(" ")
    assert all(line.startswith("  ") for line in lines[1:])


def party(**more: object) -> dict[str, object]:
    """301 small ones."""
    return {
        "unit": "swarm",
        "cgroup": "/user.slice/app.slice/app-x.scope",
        "count": 301,
        "held_bytes": 750 * MIB,
        "why": "301 small processes as one",
        "reduced": "",
        "members": [[4711 + at, "forkbomb", 2.5 * MIB] for at in range(10)],
        **more,
    }


def bomb(**more: object) -> dict[str, object]:
    victim = process(4711, "forkbomb", 0)
    return kill(victim=victim, signal="SIGKILL", party=party(**more))


def test_many_are_killed_in_one_sentence() -> None:
    lines = describe(bomb(), SIGNALS)
    assert lines[0] == (
        "killed 301 processes of app-x.scope (swarm of forkbomb, 750 MiB) with SIGKILL:"
        " memory available 8.7% < 10% and swap free 0% < 10%"
    )
    together = next(line for line in lines if line.startswith("  killed together: "))
    assert together.startswith("  killed together: forkbomb[4711] 2.5 MiB, forkbomb[4712] 2.5 MiB, ")
    assert together.endswith("forkbomb[4720] 2.5 MiB and 291 more")
    assert "  what is killed (swarm): 301 small processes as one" in lines
    assert not any("reduced" in line for line in lines)


@pytest.mark.parametrize(
    ("unit", "cgroup", "words"),
    [
        (
            "unit",
            "/system.slice/web.service",
            "5 processes of web.service (the unit of forkbomb[4711], 750 MiB)",
        ),
        ("tree", "", "5 processes (the tree of forkbomb[4711], 750 MiB)"),
        ("process", "", "5 processes (forkbomb[4711] and what shares its memory, 750 MiB)"),
    ],
)
def test_every_way_of_killing_together_has_its_words(unit: str, cgroup: str, words: str) -> None:
    assert f"killed {words} with SIGKILL" in describe(bomb(unit=unit, cgroup=cgroup, count=5), SIGNALS)[0]


def test_less_than_was_asked_for_says_why() -> None:
    reason = "unit session-3.scope also holds sshd[123] (keeps a login): only the process is killed"
    record = kill(party=party(unit="process", count=1, cgroup="", why="rule builds", reduced=reason))
    lines = describe(record, SIGNALS)
    assert lines[0].startswith("killed python3[1234] (uid 1000")
    assert "  what is killed (process): rule builds" in lines
    assert f"  reduced: {reason}" in lines


def test_a_process_alone_says_nothing_of_others() -> None:
    alone = party(unit="process", count=1, cgroup="", why="", members=[[1234, "python3", 812 * MIB]])
    assert describe(kill(party=alone), SIGNALS) == describe(kill(), SIGNALS)


def test_the_end_of_many() -> None:
    fields = {"kill_id": 2, "pid": 1, "comm": "a", "count": 301, "after_s": 2, "held_bytes": 750 * MIB}
    died = describe({"kind": "outcome", "outcome": "died", "living": [], **fields}, SIGNALS)
    assert died[0].startswith("a[1] and 300 others died 2 s after the signal (kill 2); they held 750 MiB")
    assert len(died) == 1
    living = [[7, "b", MIB]]
    stuck = describe({"kind": "outcome", "outcome": "stuck", "living": living, **fields}, SIGNALS)
    assert "a[1] and 300 others are stuck, alive 2 s" in stuck[0]
    assert stuck[1] == "  still alive: b[7] 1 MiB"
    escalated = describe({"kind": "escalated", "signal": "SIGKILL", **fields, "count": 2}, SIGNALS)
    assert escalated[0].startswith("escalated a[1] and 1 other to SIGKILL")


HOSTILE = "x\n<0>killed sshd[1] \x1b[31m\x07\u202e\udcff\\"


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_name_stays_on_its_line(kind: str) -> None:
    victim = process(6, HOSTILE, MIB, cgroup=f"/{HOSTILE}")
    record = kill(
        kind=kind,
        victim=victim,
        runners_up=[victim],
        comm=HOSTILE,
        why=HOSTILE,
        spared=[[6, HOSTILE, HOSTILE]],
        count=3,
        living=[[6, HOSTILE, 1]],
        party=party(cgroup=f"/{HOSTILE}", why=HOSTILE, reduced=HOSTILE, members=[[6, HOSTILE, 1], HOSTILE]),
    )
    for line in describe(record, SIGNALS):
        assert line.isprintable()
        assert not line.startswith("<0>killed sshd")


def test_escapes_are_readable() -> None:
    assert safe("a\nb\x1b\u202e\udcff\\") == "a\\nb\\x1b\\u202e\\xff\\\\"
    assert safe("größe 日本") == "größe 日本"
    assert len(safe("x" * 10_000)) < 500
    assert safe(10**5000)


@pytest.mark.parametrize("kind", [*KINDS, "of the future", ""])
def test_missing_fields_do_not_matter(kind: str) -> None:
    lines = describe({"kind": kind})
    assert lines[0]
    assert all(line.isprintable() for line in lines)


ODD: list[object] = [None, True, 0, -1, 10**400, 1e308, float("nan"), float("-inf"), "", "\n", "x" * 5000]
ODD += [[], [[]], [1, 2, 3], [[1, 2, 3]], [None], {}, {"": {}}, {"pages": []}, [{"comm": {}}], [["a", "b"]]]
FIELDS = sorted(
    {*kill(), *process(1, "", 0), "why", "changes", "problems", "traceback", "count", "sources", "shortened"}
)


@given(kind=st.sampled_from(KINDS), fields=st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(ODD)))
def test_wrong_types_do_not_matter(kind: str, fields: Mapping[str, object]) -> None:
    lines = describe({**fields, "kind": kind}, SIGNALS)
    assert lines[0]
    assert all(line.isprintable() for line in lines)


def test_an_unknown_kind_shows_what_it_has() -> None:
    assert describe({"kind": "new", "seq": 4, "what": "a\nb"}) == [
        "record of the unknown kind 'new': seq=4 what=a\\nb"
    ]


SENTENCES: list[tuple[str, dict[str, object], str]] = [
    ("outcome", {"outcome": "died", "after_s": 0.08}, "a[1] died 80 ms after the signal"),
    (
        "outcome",
        {"outcome": "stuck", "after_s": 5, "state": "D"},
        "stuck, alive 5 s after the signal in state D",
    ),
    ("outcome", {"outcome": "refused", "why": "EPERM"}, "could not be signalled: EPERM"),
    ("outcome", {"outcome": "died", "reaped": True}, "its memory was reaped"),
    ("escalated", {"why": "alive after 5 s"}, "escalated a[1] to SIGKILL (kill 2): alive after 5 s"),
    ("limit", {"per_minute": 60, "level": "kill"}, "60 kills within a minute"),
    ("lost", {"count": 1}, "1 record lost"),
    ("fault", {"where": "meminfo", "error": "no MemTotal", "count": 3}, "in meminfo: no MemTotal (3 times)"),
    ("gap", {"why": "suspend", "lost_s": 7200}, "2 h were lost to a suspend"),
    ("missing", {"what": "PSI", "cost": "late", "remedy": "psi=1"}, "not available: PSI; this costs: late"),
    ("stopping", {"why": "SIGTERM"}, "stopping: SIGTERM"),
    ("stand_down", {"for_s": 2, "why": "x", "kernel_kills": 1}, "for 2 s: x (OOM kills by the kernel: 1)"),
    ("kill", {"shortened": True}, "details were left out"),
]


@pytest.mark.parametrize(("kind", "fields", "sentence"), SENTENCES)
def test_sentences(kind: str, fields: dict[str, object], sentence: str) -> None:
    assert sentence in "\n".join(describe({"kind": kind, "pid": 1, "comm": "a", "kill_id": 2, **fields}))


def test_a_traceback_is_shown_line_by_line() -> None:
    lines = describe({"kind": "stalled", "lost_s": 4.2, "traceback": "File a\n  line\x1b 1"})
    assert lines == [
        "the previous guard stalled for 4.2 s and was given up by its watchdog",
        "  File a",
        "    line\\x1b 1",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mem_available <10%", "mem_available 8.7% < 10%"),
        ('mem_available = "<10%"', "mem_available 8.7% < 10%"),
        ("mem_available <4G", "mem_available 87 MiB < 4G"),
        ("psi_full_10s >40%", "psi_full_10s 12.2% > 40%"),
        ("unheard_of >3", "unheard_of ? > 3"),
        ("nonsense", "nonsense"),
    ],
)
def test_conditions_show_their_readings(text: str, words: str) -> None:
    assert condition_words(text, READINGS, SIGNALS, in_prose=False) == words


def test_swap_that_is_not_there() -> None:
    readings = {"swap_free": 0.0, "swap_total": 0.0}
    assert "there is none" in condition_words("swap_free <10%", readings, SIGNALS, in_prose=True)


def test_figures() -> None:
    assert [size(value) for value in (0, 999, 1000, 812 * MIB, 1.5 * (1 << 40), None)] == [
        "0 B",
        "999 B",
        "0.98 KiB",
        "812 MiB",
        "1.5 TiB",
        "?",
    ]
    assert [duration(value) for value in (0, 0.00042, 1.5, 150, 9000, 172800)] == [
        "0 ms",
        "0.42 ms",
        "1.5 s",
        "2.5 min",
        "2.5 h",
        "2 d",
    ]
    assert (percent(8.74), percent(0), digits(-0.0001), counted(1, "process")) == (
        "8.7%",
        "0%",
        "0",
        "1 process",
    )


def test_candidate_rows_make_a_table() -> None:
    rows = [CANDIDATE_HEADER, candidate_row(process(5, "a b", MIB), TOTAL_PAGES), candidate_row({}, None)]
    lines = table(rows, CANDIDATE_LEFT)
    assert len(lines) == 3
    assert len(rows[1]) == len(CANDIDATE_HEADER)
    assert lines[0].index("COMMAND") == lines[1].index("a b")
