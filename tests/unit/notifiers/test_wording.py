"""What people read."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oomguardd.notifiers.wording import KILLS, WARNINGS, Fact, Urgency, tame, urgency_of, words

KILL: dict[str, Fact] = {
    "comm": "firefox-bin",
    "pid": 4711,
    "uid": 1000,
    "held_bytes": 2 << 30,
    "reason": "memory available 3.1% < 5%",
    "user_unit": "app-firefox-1.scope",
}


@pytest.mark.parametrize(
    ("kind", "more", "summary"),
    [
        ("kill", {}, "firefox-bin was ended to free memory"),
        ("kill", {"count": 3}, "firefox-bin and 2 other processes were ended to free memory"),
        ("kill", {"dry_run": True}, "Dry run: firefox-bin would have been ended to free memory"),
        ("kernel_kill", {}, "The kernel ended firefox-bin: out of memory"),
        ("kernel_kill", {"limit_cgroup": "/"}, "The kernel ended firefox-bin: out of memory"),
        (
            "kernel_kill",
            {"limit_cgroup": "/a.slice"},
            "The kernel ended firefox-bin at its memory limit: out of memory",
        ),
        ("foreign_kill", {"by": "systemd-oomd"}, "systemd-oomd ended firefox-bin"),
    ],
)
def test_summaries_of_kills(kind: str, more: dict[str, Fact], summary: str) -> None:
    assert words(kind, {**KILL, **more})[0] == summary


def test_a_known_name_comes_first() -> None:
    summary, body = words("kill", KILL, "Firefox")
    assert summary == "Firefox was ended to free memory"
    assert body == (
        "It held 2 GiB: process firefox-bin[4711], user 1000, app-firefox-1.scope."
        " Why: memory available 3.1% < 5%."
    )


def test_containers() -> None:
    body = words("kill", {**KILL, "runtime": "docker", "container": "abc"})[1]
    assert ", docker abc." in body


def test_nothing_is_known() -> None:
    assert words("kill", {}) == ("a process was ended to free memory", "It was process ?[?].")
    assert words("warn", {})[1].startswith("? available.")
    assert words("reloaded", {}) == ("", "")


def test_a_warning() -> None:
    facts: dict[str, Fact] = {
        "available_bytes": 300 << 20,
        "available_pct": 3.9,
        "swap_free_bytes": 1 << 30,
        "biggest": "firefox 2 GiB",
    }
    assert words("warn", facts)[1] == (
        "300 MiB (3.9%) available, 1 GiB of swap free. The largest: firefox 2 GiB."
        " Save your work and close what you do not need; otherwise a program will be ended."
    )


def test_urgency() -> None:
    assert urgency_of("kill", {}) is Urgency.CRITICAL
    assert urgency_of("kill", {"dry_run": True}) is Urgency.LOW
    assert urgency_of("missing", {}) is Urgency.NORMAL


@given(
    st.sampled_from((*KILLS, *WARNINGS)),
    st.dictionaries(
        st.sampled_from(("comm", "pid", "uid", "by", "count", "held_bytes", "why", "reason", "per_minute")),
        st.text(max_size=20) | st.integers() | st.floats() | st.booleans(),
    ),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_facts_are(kind: str, facts: dict[str, Fact]) -> None:
    summary, body = words(kind, facts)
    assert summary.isprintable()
    assert body.isprintable()


@given(st.text())
def test_what_is_tame_stays_as_it_is(text: str) -> None:
    assert tame(tame(text)) == tame(text)
