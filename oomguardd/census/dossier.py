"""A candidate with all that rules and policies ask for: owner, program, arguments, ancestors, cgroup.

Rule of this file: nothing here waits for the process that is looked at, but for a few milliseconds in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from oomguardd.census.programs import Programs
from oomguardd.kernel.cgroup_level import Level
from oomguardd.kernel.cgroupfs import Cgroups
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.process import parent
from oomguardd.kernel.program import read_claim, read_cmdline, read_exe, read_genuine_exe
from oomguardd.model import Candidate
from oomguardd.runtimes import owner_of

ANCESTORS_MAX = 32
WAIT_S = 0.005
"""For what can only be read by waiting, in one choice."""
EMPTY = frozenset[str]()


class Dossier:
    """Completes candidates. `begin` a choice before each round: within one, what is alike is read once."""

    def __init__(self, proc_fd: int, cgroups: Cgroups | None, programs: Programs | None) -> None:
        """Without `programs` what can make us wait is read at once, however long that takes: not for the
        guard."""
        self._proc_fd = proc_fd
        self._cgroups = cgroups
        self._programs = programs
        self._parents: dict[int, tuple[int, str] | None] = {}
        self._levels: dict[str, Level] = {}
        self._wait_until_s = 0.0

    def begin(self) -> None:
        """A new choice: the world may have changed."""
        self._parents.clear()
        self._levels.clear()
        self._wait_until_s = monotonic_s() + WAIT_S

    def complete(self, c: Candidate, needs: frozenset[str] = EMPTY) -> Candidate:
        """`needs`: exe, cmdline, ancestors, memcg, as a PolicySet says."""
        found: dict[str, Any] = {"owner": owner_of(c.cgroup)}
        if "exe" in needs:
            found["exe"] = self._exe(c)
        if "cmdline" in needs:
            found["cmdline"] = self._cmdline(c)
        if "ancestors" in needs:
            found["ancestors"] = self._ancestors(c.ppid)
        if "memcg" in needs and self._cgroups is not None:
            found["memcg"] = self._cgroups.memcg(c.cgroup, self._levels)
        return replace(c, **found)

    def _exe(self, c: Candidate) -> str | None:
        """Only root's word is taken for it. Whoever may make a user namespace, or mount with FUSE, can run a
        program of theirs under any path, and out of that namespace, too; so the path has to be proved."""
        if c.uid == 0:
            return read_exe(self._proc_fd, c.pid)
        claim = read_claim(self._proc_fd, c.pid)
        if claim is None or claim.proved:
            return None if claim is None else claim.path
        if self._programs is None:
            return read_genuine_exe(self._proc_fd, c.pid)
        return self._programs.exe(c, claim, self._patience())

    def _cmdline(self, c: Candidate) -> str | None:
        if self._programs is None:
            return read_cmdline(self._proc_fd, c.pid)
        return self._programs.cmdline(c, self._patience())

    def _patience(self) -> float:
        return max(0.0, self._wait_until_s - monotonic_s())

    def _ancestors(self, ppid: int) -> tuple[str, ...]:
        names: list[str] = []
        seen: set[int] = set()
        while ppid > 0 and ppid not in seen and len(names) < ANCESTORS_MAX:
            seen.add(ppid)
            found = _once(self._parents, ppid, self._parent)
            if found is None:
                break
            ppid, name = found
            names.append(name)
        return tuple(names)

    def _parent(self, pid: int) -> tuple[int, str] | None:
        return parent(self._proc_fd, pid)


def _once(known: dict[Any, Any], key: Any, read: Callable[[Any], Any]) -> Any:
    if key not in known:
        known[key] = read(key)
    return known[key]
