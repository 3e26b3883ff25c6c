"""From all processes to a verdict: glance at every one, read the worst few in full, judge.

Rule of this file: memory does not grow with the number of processes, and what costs time is done before it is
needed: `look_ahead` scans when a threshold is near, so that `choose` reads again only the shortlist and the
processes born since.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from oomguardd.engine.select import Limits, Shortlist, judge, shortlist, still_complete, weigh
from oomguardd.kernel.clock import boottime_s, monotonic_s
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.process import (
    glance,
    glances,
    held_bytes,
    inspect,
    is_process,
    read_adj,
    read_cgroup,
    read_last_pid,
    read_pid_max,
    start_ticks,
)
from oomguardd.model import Candidate, Glance, Totals, Verdict

FIRST_PID = 300
"""RESERVED_PIDS, kernel/pid.c: after the largest pid they begin again here."""
NEWBORN_MAX = 2048
"""A probe of a pid that is not there costs half a glance; beyond this many a scan is not dearer."""
TO_SPARE = 3
"""So many more than the victim and its runners-up are read in full (about 70 µs each)."""
ALIVE_EVERY = 1000
NEUTRAL = 666
"""The oom_score of no memory and oom_score_adj 0: nobody at or below it can have a positive one."""


AHEAD_AGE_S = 10.0
"""A machine that rests near a threshold is scanned again only that often."""
AHEAD_USABLE_S = 15.0
"""Memory changes hands without being used up (a file on tmpfs deleted here, a process grown there): the
older a scan, the less it says."""


class Ahead(NamedTuple):
    """A scan made before it was needed."""

    taken_s: float
    cost_s: float
    short: Shortlist
    floor: int
    """Nobody who is not on the list had a higher score."""
    last_pid: int
    unused_bytes: float
    """Available memory and free swap at that time."""


class Found(NamedTuple):
    """A verdict and how it was come by."""

    verdict: Verdict
    scanned: int
    ahead: bool
    scan_s: float
    judge_s: float


class Scout:
    """Looks for the victim of one domain."""

    def __init__(
        self,
        proc_fd: int,
        room: int,
        runners_up: int,
        only: Collection[int] = (),
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._proc_fd = proc_fd
        self._room = room
        self._runners_up = runners_up
        self._only = only
        """If given, nobody else exists: for the rehearsal, and for a domain that has its own list."""
        self._alive = alive
        """Called now and then in a scan that takes long."""
        self._asked = 0
        self._limits = Limits(0, 0, (), ())
        self._totals = Totals(0, 0)
        self._worth_it_only = False
        self.ahead: Ahead | None = None

    def resize(self, room: int, runners_up: int) -> None:
        """Other sizes from now on."""
        self._room, self._runners_up, self.ahead = room, runners_up, None

    def look_ahead(self, unused_bytes: float, limits: Limits) -> None:
        """Scan now, so that the choice can be made from the result later. `unused_bytes`: what the machine
        can still use up. OSError if /proc cannot be listed.
        """
        began_s = monotonic_s()
        last_pid = self._last_pid()
        short = self._scan(limits)
        floor = max(short.floor, NEUTRAL)  # a child between vfork and exec shows 0
        self.ahead = Ahead(began_s, monotonic_s() - began_s, short, floor, last_pid, unused_bytes)

    def choose(self, unused_bytes: float, totals: Totals, limits: Limits) -> Found:
        """The verdict of this moment. OSError if /proc cannot be listed."""
        began_s = monotonic_s()
        self._totals = totals
        short = self._from_ahead(unused_bytes, limits)
        ahead = short is not None
        if short is None:
            self.ahead = None
            short = self._scan(limits)
        scanned_s = monotonic_s()
        most = self._worth_reading(short)
        verdict = judge(self._in_full(short, most), totals, limits, self._runners_up)
        if verdict.victim is None and verdict.dying is None and len(short.glances) > most:
            verdict = judge(self._in_full(short, len(short.glances)), totals, limits, self._runners_up)
        if verdict.victim is None and verdict.dying is None:
            verdict = self._dig(limits) or verdict
        return Found(verdict, short.scanned, ahead, scanned_s - began_s, monotonic_s() - scanned_s)

    def _dig(self, limits: Limits) -> Verdict | None:
        """A verdict on the worthwhile alone: a crowd of tiny ones may hide a big one with a subsidy."""
        self._worth_it_only = True
        try:
            short = self._scan(limits)
        finally:
            self._worth_it_only = False
        verdict = judge(self._in_full(short, len(short.glances)), self._totals, limits, self._runners_up)
        return None if verdict.victim is None and verdict.dying is None else verdict

    def _scan(self, limits: Limits) -> Shortlist:
        self._limits = limits
        short = shortlist(self._everybody(), self._room, self._admit)
        if not short.crowded:
            return short
        # Many share the highest score (on a large machine one step of it is gigabytes): their sizes must
        # tell.
        top = short.glances[0].score
        sizes = shortlist(self._sizes(top), self._room, lambda seen, floor: seen.score)
        return Shortlist(tuple(Glance(top, g.pid) for g in sizes.glances), top, True, short.scanned)

    def _everybody(self) -> Iterable[Glance]:
        return self._again(self._only) if self._only else glances(self._proc_fd)

    def _sizes(self, top: int) -> Iterator[Glance]:
        for seen in self._everybody():
            if seen.score >= top and self._admit(seen, top - 1) == top:
                self._tick()
                c = inspect(self._proc_fd, seen.pid, 0.0)
                if c is not None:
                    # Above 0 by more than any badness can be below it, because a list does not take what
                    # is not.
                    yield Glance(
                        weigh(c, self._totals, self._limits).pages + 2 * self._totals.pages, seen.pid
                    )

    def _again(self, pids: Iterable[int]) -> Iterator[Glance]:
        for pid in pids:
            score = glance(self._proc_fd, pid)
            if score is not None:
                yield Glance(score, pid)

    def _admit(self, seen: Glance, floor: int) -> int | None:
        """The score that counts: a positive oom_score_adj lifts nobody above the cap. Who is too small to be
        worth it is only looked at where such a crowd may hide somebody: that costs four times as much."""
        limits = self._limits
        if seen.pid in limits.untouchable or self._foreign(seen.pid):
            return None
        if seen.score <= NEUTRAL and not self._worth_it_only:
            return seen.score
        adj = read_adj(self._proc_fd, seen.pid)
        if adj is None or adj <= -1000:
            return None
        score = seen.score - max(0, adj - limits.adj_cap) * 2 // 3
        if score <= floor:
            return None
        if not self._worth_it_only:
            return score
        self._tick()
        held = held_bytes(self._proc_fd, seen.pid)
        if held is None or held < limits.smallest_bytes or self._passed_over(seen.pid):
            return None
        return score

    def _tick(self) -> None:
        self._asked += 1
        if self._asked % ALIVE_EVERY == 0:
            self._alive()

    def _passed_over(self, pid: int) -> bool:
        passed_over = self._limits.passed_over
        if pid not in {known for known, _ in passed_over}:
            return False
        return (pid, start_ticks(self._proc_fd, pid)) in passed_over

    def _foreign(self, pid: int) -> bool:
        """Whether it is outside of our container, or belongs to somebody whom we may not signal (the owner
        of its directory, which costs less than its status)."""
        if self._limits.inside and (read_cgroup(self._proc_fd, pid) or "").startswith("/.."):
            return True
        uid = self._limits.only_uid
        if uid is None:
            return False
        try:
            return os.stat(str(pid), dir_fd=self._proc_fd).st_uid != uid
        except OSError:
            return True

    def _in_full(self, short: Shortlist, most: int) -> Iterator[Candidate]:
        now_boot_s = boottime_s()
        for seen in short.glances[:most]:
            c = inspect(self._proc_fd, seen.pid, now_boot_s)
            if c is not None:
                yield c

    def _worth_reading(self, short: Shortlist) -> int:
        """All with the highest score, or one so near that only their pages can tell (the cap is rounded);
        of a crowded list, which is in the order of size, only the first."""
        least = 1 + self._runners_up + TO_SPARE
        if short.crowded:
            return least
        return max(least, sum(1 for seen in short.glances if seen.score >= short.glances[0].score - 2))

    def _from_ahead(self, unused_bytes: float, limits: Limits) -> Shortlist | None:
        ahead = self.ahead
        if ahead is None or ahead.last_pid < 0 or monotonic_s() - ahead.taken_s > AHEAD_USABLE_S:
            return None
        born = () if self._only else self._born_since(ahead.last_pid)
        if born is None:
            return None
        self._limits = limits
        known = [seen.pid for seen in ahead.short.glances]
        short = shortlist(chain(self._again(known), self._newborn(born)), self._room, self._admit)
        if not short.glances or short.crowded:
            return None
        consumed = ahead.unused_bytes - unused_bytes + _given_back(ahead.short, short, self._totals)
        if not still_complete(short.glances[0].score, ahead.floor, consumed, self._totals):
            return None
        return short

    def _newborn(self, pids: Iterable[int]) -> Iterator[Glance]:
        """Threads have numbers from the same range, and would tie with their process."""
        for seen in self._again(pids):
            if seen.score <= NEUTRAL or is_process(self._proc_fd, seen.pid):
                yield seen

    def _born_since(self, last_pid: int) -> Iterable[int] | None:
        """Pids are given away in rising order, so those born since a scan are a range; None: too many."""
        now = self._last_pid()
        if now < 0:
            return None
        if now >= last_pid:
            return range(last_pid + 1, now + 1) if now - last_pid <= NEWBORN_MAX else None
        try:
            end = read_pid_max(self._proc_fd)
        except (OSError, SensorError):
            return None
        wrapped = [
            *range(last_pid + 1, min(end, last_pid + NEWBORN_MAX)),
            *range(FIRST_PID, now + 1)[:NEWBORN_MAX],
        ]
        return wrapped if end - last_pid + now - FIRST_PID <= NEWBORN_MAX else None

    def _last_pid(self) -> int:
        try:
            return read_last_pid(self._proc_fd)
        except (OSError, SensorError):
            return -1


def _given_back(before: Shortlist, now: Shortlist, totals: Totals) -> float:
    """Bytes that those on the list no longer have: somebody who is not on it may have them by now."""
    scores = {seen.pid: seen.score for seen in now.glances}
    lost = sum(max(0, seen.score - scores.get(seen.pid, NEUTRAL)) for seen in before.glances)
    return lost * 1.5 / 1000 * (totals.ram_bytes + totals.swap_bytes)


def pid_is_visible(proc_fd: int, pid: int) -> bool:
    """Whether /proc shows us this process (hidepid hides others')."""
    try:
        os.stat(str(pid), dir_fd=proc_fd)
    except OSError:
        return False
    return True
