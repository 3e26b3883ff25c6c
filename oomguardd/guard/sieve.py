"""From all processes to the few that are worth reading in full.

Rule of this file: one small read for most processes, two or three for the few that it is a close call for;
memory does not grow with their number.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Collection, Iterable, Iterator

from oomguardd.engine.select import Limits, Shortlist, shortlist, weigh
from oomguardd.kernel.process import glance, glances, held_bytes, inspect, read_adj, read_cgroup, start_ticks
from oomguardd.model import Glance, Totals
from oomguardd.policies.set import NO_POLICIES

ALIVE_EVERY = 100
NEUTRAL = 666
"""The oom_score of no memory and oom_score_adj 0: nobody at or below it can have a positive one, and nobody
who has exactly this one holds a thousandth of the machine (or it is balanced by a negative oom_score_adj,
which takes privileges to set).
"""
NOTED_MAX = 1024
"""So many processes can hold a thousandth of the machine each."""


class Sieve:
    """The scan of one domain. `tune` it before use."""

    def __init__(
        self, proc_fd: int, only: Collection[int] = (), alive: Callable[[], None] = lambda: None
    ) -> None:
        self._proc_fd = proc_fd
        self._only = only
        self._alive = alive
        self._asked = 0
        self._limits = Limits(0, 0, (), ())
        self._totals = Totals(0, 0)
        self._worth_it_only = False

    def tune(self, totals: Totals, limits: Limits) -> None:
        """What holds for the scans to come."""
        self._totals, self._limits = totals, limits

    def scan(self, room: int) -> Shortlist:
        """The worst of everybody. OSError if /proc cannot be listed."""
        noted: list[Glance] = []
        everybody = self.everybody()
        if self._limits.policies.reorders:
            everybody = _noting(everybody, noted)
        short = shortlist(everybody, room, self.admit)
        if not short.crowded:
            return short._replace(noted=tuple(sorted(noted, reverse=True)))
        # Many share the highest score (on a large machine one step of it is gigabytes): their sizes must
        # tell.
        top = short.glances[0].score
        sizes = shortlist(self._sizes(top), room, lambda seen, floor: seen.score)
        return Shortlist(
            tuple(Glance(top, g.pid) for g in sizes.glances), top, True, short.scanned, tuple(noted)
        )

    def dig(self, room: int) -> Shortlist:
        """Of the worthwhile alone: a crowd of tiny ones may hide a big one with a subsidy."""
        self._worth_it_only = True
        try:
            return self.scan(room)
        finally:
            self._worth_it_only = False

    def everybody(self) -> Iterable[Glance]:
        return self.again(self._only) if self._only else glances(self._proc_fd)

    def again(self, pids: Iterable[int]) -> Iterator[Glance]:
        """Those of them that are still there."""
        for pid in pids:
            score = glance(self._proc_fd, pid)
            if score is not None:
                yield Glance(score, pid)

    def admit(self, seen: Glance, floor: int) -> int | None:
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
        self.tick()
        held = held_bytes(self._proc_fd, seen.pid)
        if held is None or held < limits.smallest_bytes or self._passed_over(seen.pid):
            return None
        return score

    def tick(self) -> None:
        """Says now and then that we are still at it."""
        self._asked += 1
        if self._asked % ALIVE_EVERY == 0:
            self._alive()

    def _sizes(self, top: int) -> Iterator[Glance]:
        for seen in self.everybody():
            if seen.score >= top and self.admit(seen, top - 1) == top:
                self.tick()
                c = inspect(self._proc_fd, seen.pid, 0.0)
                if c is not None:
                    # Above 0 by more than any badness can be below it, because a list does not take what
                    # is not.
                    bare = self._limits._replace(policies=NO_POLICIES)
                    yield Glance(weigh(c, self._totals, bare).pages + 2 * self._totals.pages, seen.pid)

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


def most_points(score: int) -> float:
    """The most points of badness that a process with this oom_score can have: undoes three roundings."""
    return (score + 3) * 1.5 - 1000


def _noting(everybody: Iterable[Glance], noted: list[Glance]) -> Iterator[Glance]:
    """Everybody again, while `noted` gets those whom an opinion could put before a bigger one."""
    for seen in everybody:
        if seen.score != NEUTRAL and seen.score > 0:
            if len(noted) < NOTED_MAX:
                heapq.heappush(noted, seen)
            else:
                heapq.heappushpop(noted, seen)
        yield seen
