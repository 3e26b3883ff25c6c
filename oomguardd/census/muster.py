"""Everybody who dies by one decision, looked up in /proc and in the cgroup tree.

Rule of this file: it only finds them; engine/together.py says who of them may die. What cannot be read makes
a party smaller, never larger, and the victim is always in it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from oomguardd.census.dossier import Dossier
from oomguardd.engine.together import (
    Ask,
    Keep,
    Kin,
    alone,
    asked_for,
    group,
    instead,
    may_join,
    member_of,
    swarm,
    too_many,
    tree,
    with_sharers,
)
from oomguardd.kernel.cgroupfs import Cgroups
from oomguardd.kernel.clock import boottime_s
from oomguardd.kernel.process import children, inspect, parent, pids, resident_pages
from oomguardd.kernel.syscalls import same_memory
from oomguardd.model import Candidate, Member, Party, Weighed

SHARERS_THREADS = 16
"""Each thread has a list of its own of what it has started, which costs 12 µs to read. With more threads than
this, only its parent and those hinted at are asked whether they share its memory."""

_EXE = frozenset({"exe"})
"""Whether others depend on a process is told by its program."""


class Late(NamedTuple):
    """Those who belong to a party and are not in it yet."""

    members: tuple[Member, ...] = ()
    clear: bool = True
    """Nobody else is there, who must live."""


class Muster:
    """Looks below one /proc. Without `cgroups` only trees and swarms are found."""

    def __init__(
        self,
        proc_fd: int,
        cgroups: Cgroups | None = None,
        dossier: Dossier | None = None,
        share: Callable[[int, int], bool | None] = same_memory,
    ) -> None:
        self.cgroups = cgroups
        self._share = share
        """Whether two pids are of one address space."""
        self._proc_fd = proc_fd
        self._dossier = dossier or Dossier(proc_fd, cgroups, None)

    def gather(self, victim: Weighed, keep: Keep, hint: Iterable[int] = ()) -> Party:
        """Who dies by this decision: the victim first, then the biggest first.

        `hint`: pids that may share the victim's memory, besides its parent and its children: those of about
        the same size. For a process alone this costs about 60 µs; otherwise about 200 µs for each member, of
        which there are at most `keep.max_processes` (more are counted, and not read).
        """
        c = victim.candidate
        self._dossier.begin()
        try:
            return with_sharers(self._together(victim, keep), self._sharers(c, hint, keep), keep)
        except OSError as error:  # we have no descriptor left, perhaps: what it holds is needed all the more
            return alone(c, f"nobody else could be looked for ({error.strerror})", victim.kill_why)

    def latecomers(self, victim: Candidate, party: Party, keep: Keep, born_by_s: float = math.inf) -> Late:
        """Who belongs to the party by now. `born_by_s`: no one who was started after that (CLOCK_BOOTTIME).

        Not more of them than `keep.max_processes` allows. Costs one look at the cgroup's list of processes
        (at all processes, for a swarm without a cgroup; at each member's children, for a tree) and about
        200 µs for each one that is new.
        """
        known = {member.pid for member in party.members}
        now_s = boottime_s()
        found: list[Member] = []
        clear = True
        try:
            for pid in self._there_now(party):
                if pid in known:
                    continue
                known.add(pid)
                if party.unit == "swarm" and self._name(pid) != victim.comm:
                    continue
                c = self._in_full(pid, keep, now_s)
                if c is None or now_s - c.age_s > born_by_s:
                    continue
                if may_join(c, party.unit, victim, keep):
                    found.append(member_of(c))
                else:
                    clear = False
        except OSError:
            clear = False
        room = max(0, keep.max_processes - len(party.members))
        return Late(tuple(heapq.nlargest(room, found, key=_size)), clear and len(found) <= room)

    def holds_any(self, cgroup: str, some: Iterable[int]) -> bool:
        """Whether one of these is in that cgroup; True if that cannot be told."""
        if self.cgroups is None:
            return True
        try:
            return not frozenset(some).isdisjoint(self.cgroups.procs(cgroup))
        except OSError:
            return True

    def _together(self, victim: Weighed, keep: Keep) -> Party:
        c, reason = victim.candidate, ""
        for ask in asked_for(victim, self._oom_group(c)):
            found = self._try(ask, c, keep)
            if isinstance(found, Party):
                return found._replace(reduced=instead(reason, found))
            reason = reason or found
        party = alone(c, why=victim.kill_why)
        return party._replace(reduced=instead(reason, party))

    def _oom_group(self, c: Candidate) -> str:
        if c.memcg is not None:
            return c.memcg.oom_group
        return self.cgroups.oom_group(c.cgroup) if self.cgroups is not None else ""

    def _try(self, ask: Ask, c: Candidate, keep: Keep) -> Party | str:
        if ask.unit == "swarm":
            return swarm(ask, c, self._read(self._like(c, keep.max_processes), keep), keep)
        if ask.unit == "tree":
            kin = self._kin(c, keep)
            return too_many(len(kin), keep) if len(kin) > keep.max_processes else tree(ask, c, kin, keep)
        if not ask.cgroup:
            return group(ask, c, (), keep)
        if self.cgroups is None:
            return f"{ask.name} cannot be looked into"
        try:
            there = frozenset(self.cgroups.procs(ask.cgroup))
        except OSError as error:
            return f"{ask.name} cannot be looked into ({error.strerror})"
        if len(there) > keep.max_processes:
            return too_many(len(there), keep)
        return group(ask, c, tuple(self._read(there, keep)), keep)

    def _read(self, found: Iterable[int], keep: Keep) -> Iterator[Candidate]:
        """Those that live, in full."""
        now_s = boottime_s()
        for pid in found:
            c = self._in_full(pid, keep, now_s)
            if c is not None:
                yield c

    def _in_full(self, pid: int, keep: Keep, now_s: float) -> Candidate | None:
        """None, too, for one that is dying already."""
        c = inspect(self._proc_fd, pid, now_s)
        return None if c is None or c.dying else self._dossier.complete(c, keep.policies.needs | _EXE)

    def _like(self, victim: Candidate, most: int) -> list[int]:
        """Those of the victim's name in its cgroup; of too many one more than that, the biggest."""
        same = [pid for pid in self._near(victim.cgroup) if self._name(pid) == victim.comm]
        if len(same) <= most:
            return same
        return heapq.nlargest(most + 1, same, key=lambda pid: resident_pages(self._proc_fd, pid) or 0)

    def _near(self, cgroup: str) -> Iterator[int]:
        """Everybody in that cgroup; everybody at all if there are no cgroups, or it is the root."""
        if self.cgroups is None or not cgroup.strip("/"):
            return pids(self._proc_fd)
        return self.cgroups.procs(cgroup)

    def _name(self, pid: int) -> str | None:
        found = parent(self._proc_fd, pid)
        return found[1] if found else None

    def _kin(self, victim: Candidate, keep: Keep) -> list[Kin]:
        """All that descend from the victim, parents first; a few more than `keep.max_processes` at most."""
        found: list[Kin] = []
        ahead, known = [victim.pid], {victim.pid}
        family = Family(self._proc_fd)
        now_s = boottime_s()
        for pid in ahead:  # it grows meanwhile
            for child in family.children(pid):
                if child in known:
                    continue
                known.add(child)
                ahead.append(child)
                c = self._in_full(child, keep, now_s)
                if c is not None:
                    found.append(Kin(pid, c))
            if len(found) > keep.max_processes:
                break
        return found

    def _sharers(self, c: Candidate, hint: Iterable[int], keep: Keep) -> Iterator[Candidate]:
        near = {c.ppid, *hint}
        if c.threads <= SHARERS_THREADS:
            near.update(children(self._proc_fd, c.pid) or ())
        for pid in near:
            if pid > 1 and pid != c.pid and self._share(c.pid, pid):
                yield from self._read((pid,), keep)

    def _there_now(self, party: Party) -> Iterator[int]:
        if party.unit == "swarm":
            yield from self._near(party.cgroup)
        elif party.unit == "tree":
            family = Family(self._proc_fd)
            for member in party.members:
                yield from family.children(member.pid)
        elif party.cgroup and self.cgroups is not None:
            yield from self.cgroups.procs(party.cgroup)


class Family:
    """Whose children are who: by the kernel's own lists, or where it has none, by one look at everybody."""

    def __init__(self, proc_fd: int) -> None:
        self._proc_fd = proc_fd
        self._everybody: dict[int, list[int]] | None = None

    def children(self, pid: int) -> list[int]:
        """The pids of those it has started. OSError if /proc cannot be listed."""
        if self._everybody is None:
            found = children(self._proc_fd, pid)
            if found is not None:
                return found
            self._everybody = {}
            for other in pids(self._proc_fd):
                above = parent(self._proc_fd, other)
                if above is not None:
                    self._everybody.setdefault(above[0], []).append(other)
        return self._everybody.get(pid, [])


def _size(member: Member) -> int:
    return member.held_bytes
