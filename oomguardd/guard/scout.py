"""From all processes to a verdict: glance at every one, read the worst few in full, judge.

Rule of this file: memory does not grow with the number of processes, and what costs time is done before it is
needed: `look_ahead` scans when a threshold is near, so that `choose` reads again only the shortlist and the
processes born since.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from oomguardd.census.dossier import Dossier
from oomguardd.engine.select import Judge, Limits, Shortlist, shortlist, still_complete
from oomguardd.engine.swarm import OUTWEIGHS, SHARE, Reader, find, outweighs
from oomguardd.engine.tenure import Tenure
from oomguardd.guard.sieve import NEUTRAL, Sieve, most_points
from oomguardd.kernel.clock import boottime_s, monotonic_s
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.process import inspect, is_process, parent, pids, read_adj, read_last_pid, read_pid_max
from oomguardd.model import Candidate, Glance, Totals, Verdict

FIRST_PID = 300
"""RESERVED_PIDS, kernel/pid.c: after the largest pid they begin again here."""
NEWBORN_MAX = 2048
"""A probe of a pid that is not there costs half a glance; beyond this many a scan is not dearer."""
TO_SPARE = 3
"""So many more than the victim and its runners-up are read in full (about 100 µs each)."""
WIDEN_S = 0.1
"""Policies and rules may put somebody first who is not among the biggest; looking for that one takes no
longer than this."""
GROWN_POINTS = 10.0
"""What those not on an earlier list may have gained since, before it is not believed any more: 1% of RAM and
swap."""
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
        dossier: Dossier | None = None,
        swarm: int | None = None,
    ) -> None:
        self._proc_fd = proc_fd
        self._room = room
        self._runners_up = runners_up
        self._only = only
        """If given, nobody else exists: for the rehearsal, and for a domain that has its own list."""
        self._sieve = Sieve(proc_fd, only, alive)
        self._dossier = dossier or Dossier(proc_fd, None, None)
        self._swarm = swarm
        self._tenure = Tenure()
        self._now_boot_s = 0.0
        self._limits = Limits(0, 0, (), ())
        self._totals = Totals(0, 0)
        self.population = 0
        """Processes that the last scan has seen."""
        """How many processes there are, about."""
        self._grown_points = 0.0
        """What those not on the earlier list may have gained since."""
        self.ahead: Ahead | None = None
        self.looked: Ahead | None = None
        """The last scan, whether or not it may still be used."""

    def resize(self, room: int, runners_up: int, swarm: int | None) -> None:
        """Other sizes from now on."""
        self._room, self._runners_up, self._swarm, self.ahead = room, runners_up, swarm, None

    def look_ahead(self, unused_bytes: float, totals: Totals, limits: Limits) -> None:
        """Scan now, so that the choice can be made from the result later, and so that who has grown meanwhile
        can be told. `unused_bytes`: what the machine can still use up. OSError if /proc cannot be listed.
        """
        began_s = self._begin(totals, limits)
        last_pid = self._last_pid()
        short = self._scan()
        floor = max(short.floor, NEUTRAL)  # a child between vfork and exec shows 0
        for seen in short.glances:
            self._in_full(seen.pid)
        unlisted = max(0.0, most_points(floor)) * (totals.ram_bytes + totals.swap_bytes) / 1000
        self._tenure.scanned(int(unlisted), began_s)
        self.ahead = Ahead(began_s, monotonic_s() - began_s, short, floor, last_pid, unused_bytes)
        self.looked = self.ahead

    def choose(self, unused_bytes: float, totals: Totals, limits: Limits) -> Found:
        """The verdict of this moment. OSError if /proc cannot be listed."""
        began_s = self._begin(totals, limits)
        short = self._from_ahead(unused_bytes)
        ahead = short is not None
        if short is None:
            self.ahead = None
            short = self._scan()
        scanned_s = monotonic_s()
        judge = self._hear(short)
        if ahead and not self._beats_the_unlisted(judge):
            short, ahead, scanned_s = self._scan(), False, monotonic_s()
            judge = self._hear(short)
        if judge.best_pages is None and judge.verdict().dying is None:
            judge = self._hear(self._sieve.dig(self._room), judge)
        verdict = judge.verdict()
        if verdict.dying is None:
            verdict = self._see_swarms(verdict, unused_bytes, judge)
        return Found(verdict, short.scanned, ahead, scanned_s - began_s, monotonic_s() - scanned_s)

    def _scan(self) -> Shortlist:
        short = self._sieve.scan(self._room)
        self.population = short.scanned
        return short

    def _begin(self, totals: Totals, limits: Limits) -> float:
        self._totals, self._limits, self._now_boot_s = totals, limits, boottime_s()
        self._sieve.tune(totals, limits)
        self._dossier.begin()
        return monotonic_s()

    def _hear(self, short: Shortlist, judge: Judge | None = None) -> Judge:
        """Reads in full as many as are needed to be sure, from the worst on."""
        judge = judge or Judge(self._totals, self._limits, self._runners_up)
        most, heard = self._worth_reading(short), judge.pids
        for seen in short.glances[:most]:
            if seen.pid not in heard:
                self._hear_one(judge, seen.pid)
        rest = sorted((*short.glances[most:], *short.noted), reverse=True)
        until_s = monotonic_s() + WIDEN_S
        for seen in rest:
            if seen.pid in heard:
                continue
            if not self._could_be_worst(seen.score, judge) or monotonic_s() > until_s:
                break
            if self._could_be_worst(self._capped(seen), judge):
                self._hear_one(judge, seen.pid)
        return judge

    def _hear_one(self, judge: Judge, pid: int) -> None:
        c = self._in_full(pid)
        if c is not None:
            judge.hear(c)

    def _could_be_worst(self, score: int, judge: Judge) -> bool:
        """Whether a policy or a rule could put a process with that score before the worst one so far."""
        if judge.best_pages is None:
            return True
        # Exactly neutral is who holds less than a point, which nothing lifts.
        lift = 0.0 if score == NEUTRAL else self._limits.policies.reach
        points = most_points(score) + lift
        return points * self._totals.pages / 1000 > judge.best_pages

    def _beats_the_unlisted(self, judge: Judge) -> bool:
        """Whether nobody whom an earlier list left out can come before the worst of those on it."""
        if judge.best_pages is None:
            return False
        policies, grown = self._limits.policies, self._grown_points
        lift = policies.reach if grown > GROWN_POINTS else 0.0
        if not policies.reorders:
            return True  # they were compared with the list's floor already
        return judge.best_pages >= (most_points(NEUTRAL) + grown + lift) * self._totals.pages / 1000

    def _capped(self, seen: Glance) -> int:
        adj = read_adj(self._proc_fd, seen.pid) if seen.score > NEUTRAL else 0
        return seen.score - max(0, (adj or 0) - self._limits.adj_cap) * 2 // 3

    def _in_full(self, pid: int) -> Candidate | None:
        """With all that policies and rules ask for, and with what it has held for long."""
        c = inspect(self._proc_fd, pid, self._now_boot_s)
        if c is None:
            return None
        past = self._tenure.sample(c.identity, c.held_bytes, c.age_s, monotonic_s())
        c = replace(c, settled_bytes=past.settled_bytes, growth_bytes_per_s=past.growth_bytes_per_s)
        return self._dossier.complete(c, self._limits.policies.needs)

    def _worth_reading(self, short: Shortlist) -> int:
        """All with the highest score, or one so near that only their pages can tell (the cap is rounded);
        of a crowded list, which is in the order of size, only the first."""
        least = 1 + self._runners_up + TO_SPARE
        if short.crowded:
            return least
        return max(least, sum(1 for seen in short.glances if seen.score >= short.glances[0].score - 2))

    def _see_swarms(self, verdict: Verdict, unused_bytes: float, judge: Judge) -> Verdict:
        """The verdict, with a swarm in the victim's place if there is one that outweighs it."""
        count = self.population
        if self._swarm is None or count < self._swarm:
            return verdict
        totals, best = self._totals, verdict.victim
        if best is not None:
            whole = totals.ram_bytes + totals.swap_bytes
            unseen = whole - unused_bytes - judge.held_bytes
            if unseen < max(SHARE * whole, OUTWEIGHS * best.candidate.held_bytes):
                return verdict
        reader = Reader(self._pids, self._name, self._roughly, self._unlisted)
        swarm = find(reader, count, self._swarm, self._limits, totals)
        if swarm is None or not outweighs(swarm, best, self._limits, totals):
            return verdict
        others = tuple(w for w in (best, *verdict.runners_up) if w is not None)
        return replace(verdict, victim=swarm.weighed, runners_up=others[: self._runners_up])

    def _pids(self) -> Iterable[int]:
        return self._only or pids(self._proc_fd)

    def _name(self, pid: int) -> str | None:
        found = parent(self._proc_fd, pid)
        return None if found is None else found[1]

    def _roughly(self, pid: int) -> Candidate | None:
        self._sieve.tick()
        return inspect(self._proc_fd, pid, self._now_boot_s)

    def _unlisted(self, pid: int) -> Candidate | None:
        """In full, but without a place in the table of tenure: there may be thousands of these."""
        self._sieve.tick()
        c = inspect(self._proc_fd, pid, self._now_boot_s)
        if c is None:
            return None
        past = self._tenure.guess(c.held_bytes, c.age_s, monotonic_s())
        c = replace(c, settled_bytes=past.settled_bytes, growth_bytes_per_s=past.growth_bytes_per_s)
        return self._dossier.complete(c, self._limits.policies.needs)

    def _from_ahead(self, unused_bytes: float) -> Shortlist | None:
        ahead = self.ahead
        if ahead is None or ahead.last_pid < 0 or monotonic_s() - ahead.taken_s > AHEAD_USABLE_S:
            return None
        born = () if self._only else self._born_since(ahead.last_pid)
        if born is None:
            return None
        known = [seen.pid for seen in ahead.short.glances]
        newborn = tuple(self._newborn(born))
        short = shortlist(chain(self._sieve.again(known), newborn), self._room, self._sieve.admit)
        if not short.glances or short.crowded:
            return None
        consumed = ahead.unused_bytes - unused_bytes + _given_back(ahead.short, short, self._totals)
        self.population = ahead.short.scanned + len(newborn)
        taken = _given_back(short, ahead.short, self._totals)
        whole = self._totals.ram_bytes + self._totals.swap_bytes
        self._grown_points = 1000 * max(0.0, consumed - taken) / max(1, whole)
        if not still_complete(short.glances[0].score, ahead.floor, consumed, self._totals):
            return None
        if not self._limits.policies.reorders:
            return short
        noted = self._sieve.again(seen.pid for seen in ahead.short.noted)
        return short._replace(noted=(*noted, *newborn))

    def _newborn(self, pids: Iterable[int]) -> Iterator[Glance]:
        """Threads have numbers from the same range, and would tie with their process."""
        for seen in self._sieve.again(pids):
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
