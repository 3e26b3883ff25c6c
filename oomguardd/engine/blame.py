"""Who ended a process? Pure: what is known of the death and of everybody who kills, in; an answer, out.

Rule of this file: no answer without a trace. The kernel tells nobody who sent a signal, so where nothing
names the process the answer is "unknown", with what that usually is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oomguardd.engine.words import counted, duration, listed, path, safe

OURS = "oomguardd"
KERNEL = "kernel"
OOMD = "systemd-oomd"
UNKNOWN = "unknown"

SIGKILL, SIGTERM = 9, 15
SIGNAL_NAMES = {SIGKILL: "SIGKILL", SIGTERM: "SIGTERM"}
STATUS_OF_KILLED = 128 + SIGKILL

BEFORE_S = 2.0
"""A trace may be noticed so much later than the death that it explains."""
NAMED_S = 120.0
"""For so long a signal to a pid may be what ended it: a victim that is stuck takes its time."""
AROUND_S = 15.0
"""The same, where only its cgroup or its name was told."""
MOST_RIVALS = 5


class Death(NamedTuple):
    """How a process ended."""

    time_s: float
    pid: int
    comm: str = ""
    cgroup: str = ""
    signal: int = 0
    """That ended it; 0 if it ended by itself."""
    status: int = 0
    """What it returned, if it ended by itself."""
    parent: int = 0


class Act(NamedTuple):
    """A trace of somebody who killed: a decision, a report, a line in a log, a counter."""

    by: str
    time_s: float
    words: str
    """What it was: "the kernel's OOM killer, at the limit of /a"."""
    signal: int = SIGKILL
    pids: frozenset[int] = frozenset()
    cgroup: str = ""
    """Everything in it or below was meant."""
    comm: str = ""
    """Where nothing but a name was told."""


class Blame(NamedTuple):
    """The answer."""

    by: str
    """OURS, KERNEL, the name of another daemon, or UNKNOWN."""
    why: str
    """A sentence."""
    certainty: str = ""
    """"certain": the trace names the process. "likely": it names its cgroup or its name. Empty: no trace."""


def blame(
    death: Death,
    acts: Iterable[Act],
    rivals: Sequence[str] = (),
    children: Iterable[tuple[Death, Blame]] = (),
) -> Blame:
    """Who did it. `rivals` are other daemons that run and kill; `children` are others that died lately, and
    by whom."""
    if death.signal not in SIGNAL_NAMES:
        return _returned(death, children)
    matching = [
        (_closeness(death, act), act)
        for act in acts
        if act.signal == death.signal and _in_time(death, act) and _closeness(death, act)
    ]
    if not matching:
        return _nobody(death, rivals)
    # What names the process beats what names its surroundings; of two signals, the first one kills.
    close, act = max(matching, key=lambda each: (each[0], -each[1].time_s))
    others = sorted({other.by for _, other in matching} - {act.by})
    also = f"; {listed(others, MOST_RIVALS)} signalled it too" if others else ""
    name = SIGNAL_NAMES[death.signal]
    return Blame(act.by, f"{name} by {act.words}{also}", "certain" if close == _BY_PID else "likely")


_BY_PID, _BY_CGROUP, _BY_NAME = 3, 2, 1


def _closeness(death: Death, act: Act) -> int:
    """How exactly the trace means this process; 0 if it does not."""
    if death.pid in act.pids:
        return _BY_PID
    if act.cgroup and within(death.cgroup, act.cgroup):
        return _BY_CGROUP
    # The kernel cuts a name to 15 bytes; a name alone counts only where there is nothing better.
    named = not act.pids and not act.cgroup and act.comm and death.comm
    return _BY_NAME if named and act.comm[:15] == death.comm[:15] else 0


def _in_time(death: Death, act: Act) -> bool:
    longest_s = NAMED_S if death.pid in act.pids else AROUND_S
    return -BEFORE_S <= death.time_s - act.time_s <= longest_s


def within(cgroup: str, root: str) -> bool:
    """Whether one cgroup is another or below it; nothing counts as below the root of all."""
    return root not in ("", "/") and (cgroup == root or cgroup.startswith(root + "/"))


def _nobody(death: Death, rivals: Sequence[str]) -> Blame:
    name = SIGNAL_NAMES[death.signal]
    if death.signal == SIGTERM:
        return Blame(
            UNKNOWN, "SIGTERM, the ordinary request to end: nobody who kills for memory is known of it"
        )
    why = (
        f"{name} from somebody unknown: the kernel's log, its counters and our own kills do not name it, so"
        " that it was no shortage of memory that we know of; often it is an administrator, the time-out of a"
        " service manager, the stop of a container, or a batch system"
    )
    if rivals:
        names = listed([safe(each) for each in rivals], MOST_RIVALS)
        why += f"; {names} may have done it without telling"
    return Blame(UNKNOWN, why)


def _returned(death: Death, children: Iterable[tuple[Death, Blame]]) -> Blame:
    """It ended by itself. Status 137 is what shells and containers' inits say of a child's SIGKILL."""
    if death.status != STATUS_OF_KILLED:
        return Blame(UNKNOWN, f"ended by itself with status {death.status}")
    said = f"status {STATUS_OF_KILLED} is no signal: it ended by itself"
    for child, judged in children:
        lag_s = death.time_s - child.time_s
        if child.parent == death.pid and child.signal == SIGKILL and -BEFORE_S <= lag_s <= NAMED_S:
            passed = f"{safe(child.comm) or 'pid'}[{child.pid}]"
            return Blame(
                judged.by,
                f"{said}, and passed on that its child {passed} had died {duration(max(0.0, lag_s))} before:"
                f" {judged.why}",
                judged.certainty,
            )
    return Blame(UNKNOWN, f"{said}, most likely to pass on that something that it ran was killed (SIGKILL)")


def kernel_words(constraint: str, limit_cgroup: str, count: float = 1) -> str:
    """The kernel's kill, as the words of an Act."""
    several = f" (one of {counted(count, 'process')})" if count > 1 else ""
    if limit_cgroup:
        return f"the kernel's OOM killer, at the memory limit of {path(safe(limit_cgroup))}{several}"
    places = {
        "none": ", as the whole machine was out of memory",
        "cpuset": ", as the memory nodes of its cpuset were full",
        "memory_policy": ", as the memory nodes of its policy were full",
        "memcg": ", at the memory limit of its cgroup",
    }
    return f"the kernel's OOM killer{places.get(constraint, '')}{several}"
