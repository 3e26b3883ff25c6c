"""Other daemons that kill when memory is short: which of them run, and what they say that they did.

systemd-oomd leaves numbers on the cgroup and a message of the manager about the unit; our own kills leave the
same, which is how systemd comes to tell of them. earlyoom and nohang write a line each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from oomguardd.engine.blame import OOMD, SIGKILL, SIGNAL_NAMES, Act
from oomguardd.engine.words import counted, safe
from oomguardd.kernel.process import parent, pids
from oomguardd.reporter.watchers.journal import Entry, text_of

RIVALS = ("earlyoom", "systemd-oomd", "nohang", "nohang-desktop", "oomd", "bustd")
"""Process names of other daemons that kill when memory is short."""

OOMD_MESSAGE = "d989611b15e44c9dbf31e3c81256e4ed"
"""SD_MESSAGE_UNIT_OOMD_KILL: the manager of a unit has seen the marks that systemd-oomd leaves."""

FOLLOWED_UNITS = ("earlyoom.service", "nohang.service", "nohang-desktop.service")
JOURNAL_MATCHES = (
    f"MESSAGE_ID={OOMD_MESSAGE}",
    *(word for unit in FOLLOWED_UNITS for word in ("+", f"_SYSTEMD_UNIT={unit}")),
)
"""Anybody can send a message's id; see _told_by_manager. Fields that begin with _ are journald's own."""

HOLD_S = 1.5
"""So long a claim waits for our own records, and for more of the same."""
SAME_S = 60.0
"""A second claim about the same within that time is SIGKILL after SIGTERM, or a second witness."""
_MOST = 200
_MOST_ACTS = 5

# earlyoom 1.x: sending SIGTERM to process 31 uid 0 "tail": oom_score 667, VmRSS 2 MiB, cmdline "tail"
_EARLYOOM = re.compile(r'sending (SIGTERM|SIGKILL) to process (\d{1,10}) (?:uid \d+ )?"(.{0,64})":')
# nohang 0.x: [ OK ] Sending SIGTERM to tail
_NOHANG = re.compile(r"\[ OK \] Sending (SIGTERM|SIGKILL) to ([^:]{1,64}?)(?:: \d+)?\s*$")
# foo.service: systemd-oomd killed 3 process(es) in this unit.
_OOMD_COUNT = re.compile(r"killed (\d{1,9}) process")

_SIGNALS = {name: number for number, name in SIGNAL_NAMES.items()}


class Claim(NamedTuple):
    """What a daemon says, or what it left, of a kill."""

    by: str
    time_s: float
    """Wall clock."""
    signal: int
    words: str
    pid: int = 0
    comm: str = ""
    cgroup: str = ""
    unit: str = ""
    processes: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """What it is about."""
        return self.by, str(self.pid or self.cgroup or self.unit or self.comm)

    def act(self) -> Act:
        """As `blame` wants it."""
        named = frozenset({self.pid} if self.pid else ())
        words = f"{self.by}, as {self.words}"
        return Act(self.by, self.time_s, words, self.signal, named, "" if named else self.cgroup, self.comm)


def rivals(proc_fd: int) -> Iterator[str]:
    """One name for each process there is: that of a rival, or an empty one, so that who asks may pause."""
    for pid in pids(proc_fd):
        found = parent(proc_fd, pid)
        name = found[1] if found else ""
        yield next((each for each in RIVALS if name == each[:15]), "")


def marked(cgroup: str, kills: int, time_s: float) -> Claim:
    """The numbers on a cgroup have grown."""
    words = "the mark on the cgroup says (user.oomd_kill)"
    return Claim(OOMD, time_s, SIGKILL, words, cgroup=cgroup, processes=max(1, kills))


def claim_of(entry: Entry, time_s: float) -> Claim | None:
    """What an entry of the journal claims; None if it is about something else."""
    message = text_of(entry, "MESSAGE")[:2000]
    if text_of(entry, "MESSAGE_ID") == OOMD_MESSAGE:
        unit = _told_by_manager(entry)
        number = _OOMD_COUNT.search(message)
        count = int(number.group(1)) if number else 1
        words = "the manager of the unit logged"
        return Claim(OOMD, time_s, SIGKILL, words, unit=unit[:256], processes=count) if unit else None
    unit = text_of(entry, "_SYSTEMD_UNIT")
    if unit == "earlyoom.service" and (line := _EARLYOOM.search(message)):
        name, pid, comm = line.groups()
        words = "its log says"
        return Claim("earlyoom", time_s, _SIGNALS[name], words, pid=int(pid), comm=comm[:15])
    if unit.startswith("nohang") and (line := _NOHANG.search(message)):
        name, comm = line.groups()
        return Claim("nohang", time_s, _SIGNALS[name], "its log says", comm=comm[:15])
    return None


def _told_by_manager(entry: Entry) -> str:
    """The unit, if its manager says so: root's word counts for all, a user's for units of their own."""
    uid = text_of(entry, "_UID")
    if uid == "0":
        return text_of(entry, "USER_UNIT") or text_of(entry, "UNIT")
    if uid and text_of(entry, "_SYSTEMD_UNIT") == f"user@{uid}.service":
        return text_of(entry, "USER_UNIT")
    return ""


@dataclass(slots=True)
class _Held:
    claim: Claim
    until_s: float
    """Monotonic."""
    acts: list[Act]
    """One for each signal that was claimed."""
    told: bool = False


class Claims:
    """Claims, each kept until it is known whether it is about a kill of ours, and given out once."""

    def __init__(self) -> None:
        self._held: list[_Held] = []

    def add(self, claim: Claim, now_s: float) -> None:
        """A new one, or one more witness of one that is held."""
        for held in self._held:
            if _same(held.claim, claim):
                if len(held.acts) < _MOST_ACTS:
                    held.acts.append(claim.act())
                if not held.told:
                    held.claim = _merged(held.claim, claim)
                return
        self._held.append(_Held(claim, now_s + HOLD_S, [claim.act()]))
        del self._held[:-_MOST]

    def acts(self) -> list[Act]:
        """Of all that are remembered."""
        return [act for held in self._held for act in held.acts]

    def due(self, now_s: float) -> list[Claim]:
        """Those that have waited."""
        found = [held for held in self._held if not held.told and now_s >= held.until_s]
        for held in found:
            held.told = True
        self._held = [held for held in self._held if now_s - held.until_s < SAME_S]
        return [held.claim for held in found]


def _same(one: Claim, other: Claim) -> bool:
    if one.by != other.by:
        return False
    if one.key == other.key:
        return True
    # The mark is on a cgroup, the manager's message about the unit that it is.
    cgroup, unit = one.cgroup or other.cgroup, one.unit or other.unit
    return bool(cgroup and unit) and cgroup.rpartition("/")[2] == unit


def _merged(one: Claim, other: Claim) -> Claim:
    return one._replace(
        cgroup=one.cgroup or other.cgroup,
        unit=one.unit or other.unit,
        comm=one.comm or other.comm,
        processes=max(one.processes, other.processes),
        signal=min(one.signal, other.signal),  # SIGKILL, if it was any
    )


def why_of(claim: Claim) -> list[str]:
    """What is known of it, in sentences."""
    name = SIGNAL_NAMES.get(claim.signal, "a signal")
    unit = f" in {safe(claim.unit)}" if claim.unit else ""
    return [f"{name} to {counted(claim.processes, 'process')}{unit}, as {claim.words}"]
