"""Looks at everybody: every process of the machine is read in full and judged.

Rule of this file: nothing is taken for granted about who runs this. What an ordinary user cannot see is left
out, and said.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

from oomguardd.census.dossier import Dossier
from oomguardd.ctl.beforehand.past import Pasts
from oomguardd.ctl.beforehand.world import World, ancestors_of, guards_among, limits_of, view
from oomguardd.ctl.senses import Senses
from oomguardd.engine.words import counted
from oomguardd.kernel.cgroupfs import find_cgroups
from oomguardd.kernel.clock import boottime_s, monotonic_s
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import inspect, pids
from oomguardd.model import Candidate
from oomguardd.policies.set import PolicySet
from oomguardd.sections import Config


class Crowd(NamedTuple):
    """Everybody, not yet judged."""

    processes: tuple[Candidate, ...]
    kernel_threads: int


class Looker:
    """Looks as often as it is asked, and remembers who has held memory for how long. OSError where /proc
    cannot be read."""

    def __init__(self) -> None:
        self.proc_fd = open_dir("/proc")
        self._dossier = Dossier(self.proc_fd, find_cgroups(), None)
        self._pasts = Pasts()

    def crowd(self, needs: Collection[str], least_bytes: int = 0) -> Crowd:
        """Every process but this one. What is beyond `needs` is not read; who holds less than `least_bytes`
        is left out."""
        self._dossier.begin()
        now_boot_s, own = boottime_s(), os.getpid()
        found: list[Candidate] = []
        kernel_threads = 0
        for pid in pids(self.proc_fd):
            c = None if pid == own else inspect(self.proc_fd, pid, now_boot_s)
            if c is None:
                continue
            if c.kernel_thread:
                kernel_threads += 1
            elif c.held_bytes >= least_bytes:
                found.append(self._dossier.complete(c, frozenset(needs)))
        return Crowd(tuple(self._pasts.added(found, monotonic_s())), kernel_threads)

    def complete(self, c: Candidate, needs: Collection[str]) -> Candidate:
        """With more read of it."""
        return self._dossier.complete(c, frozenset(needs))


def look_around(
    looker: Looker, senses: Senses, config: Config, policies: PolicySet, needs: Collection[str]
) -> World:
    """Everybody now, judged as the running guard would; or one of root's, where none runs."""
    crowd = looker.crowd(policies.needs | frozenset(needs))
    totals = senses.totals()
    guards = guards_among(crowd.processes, os.geteuid())
    limits = limits_of(
        config,
        policies,
        totals,
        ancestors_of({guard.pid for guard in guards}, crowd.processes),
        senses.inside,
        None if not guards or any(guard.uid == 0 for guard in guards) else guards[0].uid,
    )
    return view(crowd.processes, crowd.kernel_threads, totals, limits, config.select.swarm)


def blind_spots(world: World, proc_fd: int) -> list[str]:
    """What this user cannot see of it, in sentences."""
    said = []
    try:
        os.stat("1", dir_fd=proc_fd)
    except OSError:
        said.append("/proc shows this user only their own processes (hidepid): the others are missing here")
    hidden = sum(1 for w in world.ranked if w.candidate.exe is None)
    if "exe" in world.limits.policies.needs and hidden:
        said.append(
            f"the programs (exe) of {counted(hidden, 'process')} could not be read, and what asks for them"
            f" does not match{': run this as root' if os.geteuid() else ''}"
        )
    return said
