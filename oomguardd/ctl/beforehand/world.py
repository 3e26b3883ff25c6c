"""Everybody at one moment, judged: what a guard with this configuration would decide.

Rule of this file: pure. The same code judges the running machine (look.py) and a recorded one (replay.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from oomguardd.engine.select import Limits, judge, spare, weigh
from oomguardd.engine.swarm import Reader, find, outweighs
from oomguardd.model import Candidate, Totals, Verdict, Weighed
from oomguardd.policies.base import Scene
from oomguardd.policies.set import PolicySet
from oomguardd.sections import Config

GUARD_NAME = "oomguardd"


@dataclass(frozen=True, slots=True)
class World:
    """All processes, and the verdict on them."""

    processes: tuple[Candidate, ...]
    """Without kernel threads."""
    kernel_threads: int
    limits: Limits
    verdict: Verdict
    """Its runners-up are all others that could be killed."""
    exempt: tuple[tuple[Candidate, str], ...]
    """Who will not be killed and why, the biggest first."""

    @property
    def totals(self) -> Totals:
        return self.verdict.totals

    @property
    def scene(self) -> Scene:
        """What policies may ask for besides a process."""
        held: dict[int, int] = {}
        for c in self.processes:
            held[c.uid] = held.get(c.uid, 0) + c.held_bytes
        return Scene(self.totals, held)

    @property
    def ranked(self) -> tuple[Weighed, ...]:
        """Those that could be killed, worst first."""
        victim = self.verdict.victim
        return () if victim is None else (victim, *self.verdict.runners_up)

    def weigh(self, c: Candidate) -> Weighed:
        """The points that it has, or would have if it were not exempt."""
        return weigh(c, self.totals, self.limits, self.scene)

    def too_small(self, c: Candidate) -> bool:
        """Whether its size is the only reason for which it is exempt."""
        anyhow = self.limits._replace(smallest_bytes=0)
        return c.held_bytes < self.limits.smallest_bytes and spare(c, anyhow, Scene(self.totals)) is None


def limits_of(
    config: Config,
    policies: PolicySet,
    totals: Totals,
    untouchable: Collection[int],
    inside: bool,
    only_uid: int | None = None,
    passed_over: Collection[tuple[int, int]] = (),
) -> Limits:
    """As the guard has them. `policies` are those of `config`, compiled once."""
    smallest = config.select.smallest_victim.of_bytes(totals.ram_bytes + totals.swap_bytes)
    cap = config.select.oom_score_adj_cap
    return Limits(cap, smallest, untouchable, passed_over, inside, only_uid, policies)


def view(
    processes: Sequence[Candidate],
    kernel_threads: int,
    totals: Totals,
    limits: Limits,
    swarm: int | None = None,
) -> World:
    """Judges them all, where the guard reads only as many as it needs to be sure. `swarm`: so many small ones
    that belong together are weighed as one."""
    verdict = judge(processes, totals, limits, len(processes))
    by_pid = {c.pid: c for c in processes}
    exempt = tuple((by_pid[spared.pid], spared.why) for spared in verdict.spared)
    if swarm is not None and verdict.dying is None:
        verdict = _with_swarm(verdict, by_pid, limits, swarm)
    return World(tuple(processes), kernel_threads, limits, verdict, exempt)


def _with_swarm(verdict: Verdict, by_pid: Mapping[int, Candidate], limits: Limits, least: int) -> Verdict:
    """The verdict with a swarm in the victim's place, if there is one that outweighs it."""
    read = by_pid.get
    reader = Reader(lambda: by_pid, lambda pid: None if (c := read(pid)) is None else c.comm, read, read)
    best, totals = verdict.victim, verdict.totals
    swarm = find(reader, len(by_pid), least, limits, totals)
    if swarm is None or not outweighs(swarm, best, limits, totals):
        return verdict
    first = swarm.weighed
    others = (w for w in (best, *verdict.runners_up) if w is not None)
    rest = tuple(w for w in others if w.candidate.identity != first.candidate.identity)
    return replace(verdict, victim=first, runners_up=rest)


def guards_among(processes: Sequence[Candidate], own_uid: int) -> tuple[Candidate, ...]:
    """Running guards. Anybody may call a process like that, so only root's and our own count."""
    return tuple(c for c in processes if c.comm == GUARD_NAME and c.uid in (0, own_uid))


def ancestors_of(pids: Collection[int], processes: Sequence[Candidate]) -> frozenset[int]:
    """These and those they descend from."""
    parents = {c.pid: c.ppid for c in processes}
    found: set[int] = set()
    for pid in pids:
        while pid > 0 and pid not in found:
            found.add(pid)
            pid = parents.get(pid, 0)
    return frozenset(found)
