"""Who did it: each kind of trace alone, two at once, and none."""

from __future__ import annotations

from typing import Any

import pytest

from oomguardd.engine.blame import KERNEL, OOMD, OURS, UNKNOWN, Act, Blame, Death, blame, kernel_words, within

NOW = 1000.0
KILLED = Death(NOW, 42, "python3", "/app.slice/app-x.scope", signal=9)
TERMINATED = KILLED._replace(signal=15)


def act(by: str, **fields: Any) -> Act:
    """A trace of half a second before the death."""
    plain = Act(by, NOW - 0.5, f"{by}'s trace")
    return plain._replace(**fields)


def test_the_kernels_report_names_the_process() -> None:
    found = blame(KILLED, [act(KERNEL, pids=frozenset({42}))])
    assert found == Blame(KERNEL, "SIGKILL by kernel's trace", "certain")


def test_a_trace_of_another_process_says_nothing() -> None:
    assert blame(KILLED, [act(KERNEL, pids=frozenset({43}))]).by == UNKNOWN


def test_a_marked_cgroup_makes_it_likely() -> None:
    found = blame(KILLED, [act(OOMD, cgroup="/app.slice")])
    assert (found.by, found.certainty) == (OOMD, "likely")


@pytest.mark.parametrize("cgroup", ["/", "", "/app", "/app.slice/app-x.scope/below"])
def test_a_cgroup_beside_or_above_all_says_nothing(cgroup: str) -> None:
    assert blame(KILLED, [act(OOMD, cgroup=cgroup)]).by == UNKNOWN


def test_a_pid_beats_a_cgroup_beats_a_name() -> None:
    traces = [
        act("nohang", comm="python3"),
        act(OOMD, cgroup="/app.slice"),
        act(OURS, pids=frozenset({42})),
    ]
    assert blame(KILLED, traces).by == OURS
    assert blame(KILLED, traces[:2]).by == OOMD
    assert blame(KILLED, traces[:1]) == Blame("nohang", "SIGKILL by nohang's trace", "likely")


def test_of_two_signals_the_first_one_kills_and_the_other_is_told() -> None:
    first = act(OURS, pids=frozenset({42}), time_s=NOW - 2)
    second = act(KERNEL, pids=frozenset({42}), time_s=NOW - 1)
    found = blame(KILLED, [second, first])
    assert found.by == OURS
    assert found.why.endswith("; kernel signalled it too")


def test_our_sigterm_did_not_cause_a_sigkill() -> None:
    ours = act(OURS, pids=frozenset({42}), signal=15)
    assert blame(KILLED, [ours, act(KERNEL, pids=frozenset({42}))]).by == KERNEL
    assert blame(TERMINATED, [ours]).by == OURS


@pytest.mark.parametrize(
    ("lag_s", "by"), [(-1.9, KERNEL), (-2.1, UNKNOWN), (119.0, KERNEL), (121.0, UNKNOWN)]
)
def test_a_pid_is_somebody_else_after_a_while(lag_s: float, by: str) -> None:
    assert blame(KILLED, [act(KERNEL, pids=frozenset({42}), time_s=NOW - lag_s)]).by == by


def test_a_cgroups_trace_is_of_its_time() -> None:
    assert blame(KILLED, [act(OOMD, cgroup="/app.slice", time_s=NOW - 16)]).by == UNKNOWN


def test_a_plain_sigkill_is_unknown_and_rivals_are_named() -> None:
    found = blame(KILLED, [], ("earlyoom",))
    assert (found.by, found.certainty) == (UNKNOWN, "")
    assert "no shortage of memory that we know of" in found.why
    assert found.why.endswith("earlyoom may have done it without telling")


def test_sigterm_from_nobody_is_ordinary() -> None:
    assert "ordinary request" in blame(TERMINATED, []).why


def test_status_137_is_not_a_signal() -> None:
    found = blame(Death(NOW, 42, status=137), [act(KERNEL, pids=frozenset({42}))])
    assert found.by == UNKNOWN
    assert found.why.startswith("status 137 is no signal")


def test_status_137_passes_on_who_killed_the_child() -> None:
    child = Death(NOW - 0.25, 43, "worker", signal=9, parent=42)
    judged = Blame(KERNEL, "SIGKILL by the kernel's OOM killer", "certain")
    found = blame(Death(NOW, 42, "sh", status=137), [], (), [(child, judged)])
    assert (found.by, found.certainty) == (KERNEL, "certain")
    assert "its child worker[43] had died 250 ms before: SIGKILL by the kernel's OOM killer" in found.why


def test_another_status_is_its_own_doing() -> None:
    assert blame(Death(NOW, 42, status=1), []).why == "ended by itself with status 1"


def test_names_are_compared_as_the_kernel_cuts_them() -> None:
    long = KILLED._replace(comm="a-very-long-name"[:15])
    assert blame(long, [act("nohang", comm="a-very-long-name")]).by == "nohang"


def test_a_hostile_name_stays_in_its_line() -> None:
    child = Death(NOW, 43, "x\nforged", signal=9, parent=42)
    found = blame(Death(NOW, 42, status=137), [], (), [(child, Blame(UNKNOWN, "w"))])
    assert "\n" not in found.why


def test_within() -> None:
    assert within("/a/b", "/a")
    assert within("/a", "/a")
    assert not within("/ab", "/a")
    assert not within("/a", "/")


@pytest.mark.parametrize(
    ("constraint", "limit", "count", "words"),
    [
        ("none", "", 1, "the kernel's OOM killer, as the whole machine was out of memory"),
        ("memcg", "/a", 3, "the kernel's OOM killer, at the memory limit of /a (one of 3 processes)"),
        ("", "", 1, "the kernel's OOM killer"),
    ],
)
def test_the_kernels_kill_in_words(constraint: str, limit: str, count: int, words: str) -> None:
    assert kernel_words(constraint, limit, count) == words
