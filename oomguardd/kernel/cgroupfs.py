"""Cgroups as a whole: who is in one, what it says about its memory, and freezing or killing all of it.

v2, v1, and systemd's hybrid of both, where memory is v1's and an empty v2 at `unified` can freeze and kill.
See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/freezer-subsystem.rst. Nothing here blocks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from oomguardd.kernel.cgroup_level import Level, is_oom_group, read_level
from oomguardd.kernel.cgroup_tree import CgroupTree, names_of
from oomguardd.kernel.files import line_number
from oomguardd.model import Memcg


def find_cgroups(root: str = "/sys/fs/cgroup") -> Cgroups | None:
    """What is mounted there; None if no hierarchy is that counts memory."""
    if os.path.exists(f"{root}/cgroup.controllers"):
        tree = _tree(root)
        return Cgroups(2, tree, unified=tree) if tree else None
    memory = _tree(f"{root}/memory")
    if memory is None:
        return None
    unified = _tree(f"{root}/unified") if os.path.exists(f"{root}/unified/cgroup.controllers") else None
    return Cgroups(1, memory, unified, _tree(f"{root}/freezer"))


class Cgroups:
    """Paths are those of `Candidate.cgroup`: below the root, of v1 the memory controller's.

    A cgroup that has gone has no processes and cannot be killed or frozen. The root is never killed or
    frozen.
    """

    def __init__(
        self,
        version: int,
        home: CgroupTree,
        unified: CgroupTree | None = None,
        freezer: CgroupTree | None = None,
    ) -> None:
        self.version = version
        """Of the hierarchy that counts memory."""
        self._home = home
        self._unified = unified
        self._freezer = freezer
        brakes = (
            (unified, "cgroup.freeze", (b"0", b"1")),
            (freezer, "freezer.state", (b"THAWED", b"FROZEN")),
        )
        self._brakes = [(tree, file, words) for tree, file, words in brakes if tree is not None]

    def close(self) -> None:
        """May be called twice."""
        for tree in (self._home, self._unified, self._freezer):
            if tree is not None:
                tree.close()

    def procs(self, cgroup: str) -> Iterator[int]:
        """All processes of it and of everything below. One that is moved meanwhile may be named twice.

        OSError if those were not all, so that nobody takes them for all: something may not be read, no
        descriptor is left, or there are too many cgroups below (E2BIG).
        """
        return self._home.procs(cgroup)

    def populated(self, cgroup: str) -> bool:
        """Whether anybody is in it or below; what cannot be looked into counts as populated."""
        try:
            if self.version == 2:
                try:
                    return line_number(b"\n" + self._home.read(cgroup, "cgroup.events"), b"\npopulated ") != 0
                except FileNotFoundError:
                    pass  # gone, or the root, which has no such file
            return next(self.procs(cgroup), None) is not None
        except OSError:
            return True

    def kill(self, cgroup: str) -> bool:
        """Kill all in it and below at once, those too that are being forked (Linux 5.14, v2). False if it
        could not be done; then nobody was killed."""
        tree = self._unified
        if tree is None or not names_of(cgroup):
            return False
        if tree is not self._home and not self._holds_the_same(tree, cgroup, all_of_them=True):
            return False
        return tree.write(cgroup, "cgroup.kill", b"1")

    def freeze(self, cgroup: str, on: bool) -> bool:
        """Have all in it and below stopped, or let them go on. Takes a while: see `frozen`. False if there is
        no way to (v2: before Linux 5.2).

        v1 keeps even SIGKILL from them until they go on.
        """
        if not on:
            done = [tree.write(cgroup, file, words[0]) for tree, file, words in self._brakes]
            return any(done)
        return any(
            tree.write(cgroup, file, words[1])
            for tree, file, words in self._brakes
            if tree is self._home or self._holds_the_same(tree, cgroup)
        )

    def frozen(self, cgroup: str) -> bool | None:
        """Whether all in it are stopped by now; None if there is no way to stop them."""
        states: list[bool] = []
        for tree, file, words in self._brakes if names_of(cgroup) else ():
            try:
                if file == "cgroup.freeze":
                    state = line_number(b"\n" + tree.read(cgroup, "cgroup.events"), b"\nfrozen ") == 1
                else:
                    state = tree.read(cgroup, file).strip() == words[1]
            except OSError:
                continue
            states.append(state)
        return any(states) if states else None

    def memcg(self, cgroup: str, levels: dict[str, Level] | None = None) -> Memcg | None:
        """What it and those above it say about its memory; None for the root, where it has gone, and on v1.

        `levels` keeps what was read, for cgroups of the same parents. In the hybrid only the preference is
        known.
        """
        if self._unified is None or not names_of(cgroup):
            return None
        known = {} if levels is None else levels
        level = Level()
        try:
            for path, fd in self._unified.levels(cgroup):
                level = known.get(path) or read_level(fd, path, level)
                known[path] = level
        except OSError:
            return None
        return level.memcg

    def oom_group(self, cgroup: str) -> str:
        """The topmost cgroup from below the root down to it with memory.oom.group=1, whose processes the
        kernel kills together; empty if there is none."""
        if self.version != 2:
            return ""
        try:
            return next((path for path, fd in self._home.levels(cgroup) if is_oom_group(fd)), "")
        except OSError:
            return ""

    def _holds_the_same(self, tree: CgroupTree, cgroup: str, all_of_them: bool = False) -> bool:
        """Whether nobody but its processes is in the cgroup of that name in another hierarchy, and whether
        all of them are: there, names need not mean the same. Each side is read twice, so that one which has
        just come or gone does not count."""
        try:
            there, here = set(tree.procs(cgroup)), set(self._home.procs(cgroup))
            there_again, here_again = set(tree.procs(cgroup)), set(self._home.procs(cgroup))
        except OSError:
            return False
        if not there or (there & there_again) - here:
            return False
        return not all_of_them or not (here & here_again) - there_again


def _tree(path: str) -> CgroupTree | None:
    try:
        return CgroupTree(path)
    except OSError:
        return None
