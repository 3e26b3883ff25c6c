"""The kernel's counters of its kills: the machine's, once a second; when it moves, whose cgroup it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from oomguardd.kernel.files import HeldFile, line_number
from oomguardd.kernel.memory_events import OomCounts, cgroups_below, read_counts

MOST_CGROUPS = 2000
DEPTH = 12
_LOCAL = "\0"
"""After a cgroup's path: what counts there and not below. No name has it."""


class Machine:
    """`oom_kill` of /proc/vmstat: kills for the whole machine and for cgroups, of Linux 4.13 and later. In a
    container it counts the host's, too."""

    def __init__(self, proc: str) -> None:
        self._file: HeldFile | None = None
        try:
            self._file = HeldFile(f"{proc}/vmstat", size=8192, in_records=True)
            self._last = self._read()
        except OSError:
            self._last = None
        if self._last is None:
            self.close()

    @property
    def there(self) -> bool:
        """Whether this kernel has it."""
        return self._file is not None

    @property
    def total(self) -> int:
        """As of the last look."""
        return self._last or 0

    def grown(self) -> int:
        """By how much, since the last look."""
        if self._file is None:
            return 0
        try:
            now = self._read()
        except OSError:
            return 0
        before, self._last = self._last, now if now is not None else self._last
        return max(0, (now or 0) - (before or 0)) if now is not None else 0

    def _read(self) -> int | None:
        return line_number(self._file.read(), b"\noom_kill ") if self._file is not None else None

    def close(self) -> None:
        """May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Grown(NamedTuple):
    """A cgroup in which the kernel has killed."""

    cgroup: str
    kills: int
    total: int
    """Since it was made."""
    limit_cgroup: str
    """The nearest cgroup, itself or above, whose limit was reached meanwhile; empty if the counters do not
    tell."""


class _Seen(NamedTuple):
    inode: int
    """A cgroup of the same name that is made later is another one."""
    counts: OomCounts


class Cgroups:
    """What the counters of all cgroups below a mount said when they were last looked at."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.version = 2 if os.path.exists(f"{root}/cgroup.controllers") else 1
        self.source = "memory.events" if self.version == 2 else "oom_control"
        self._flat = self.version == 1 or not _counts_below(root)
        self._seen: dict[str, _Seen] = {}
        self.grown()  # what was before is not told

    def grown(self) -> list[Grown]:
        """Where the kernel has killed since the last look, at most MOST_CGROUPS looked at. v2 counts what is
        below a cgroup, too (since 5.2), so that only branches where it ever has are looked into; otherwise
        each cgroup there is takes 20 µs."""
        found: list[Grown] = []
        seen: dict[str, _Seen] = {}
        self._left = MOST_CGROUPS
        if not self._flat:
            self._descend("", "", found, seen)
        else:
            for path, _ in cgroups_below(self.root, MOST_CGROUPS, DEPTH):
                self._look(path, path, local=False, limit="", found=found, seen=seen)
        self._seen = seen
        return found

    def _descend(self, parent: str, limit: str, found: list[Grown], seen: dict[str, _Seen]) -> None:
        for path in self._children(parent):
            below = read_counts(self.root + path)
            if below is None or below == OomCounts():
                continue
            inode = self._inode(path)
            seen[path] = _Seen(inode, below)
            reached = path if self._own_limit(path, inode) else limit
            self._look(f"{path}{_LOCAL}", path, local=True, limit=reached, found=found, seen=seen)
            if path.count("/") < DEPTH:
                self._descend(path, reached, found, seen)

    def _own_limit(self, path: str, inode: int) -> bool:
        """Whether its own limit was reached, not that of one below."""
        local = read_counts(self.root + path, local=True)
        return local is not None and local.limits > self._before(f"{path}{_LOCAL}", inode).limits

    def _before(self, key: str, inode: int) -> OomCounts:
        known = self._seen.get(key)
        return known.counts if known and known.inode == inode else OomCounts()

    def _look(
        self, key: str, path: str, local: bool, limit: str, found: list[Grown], seen: dict[str, _Seen]
    ) -> None:
        counts = read_counts(self.root + path, local)
        if counts is None or counts == OomCounts():
            return
        inode = self._inode(path)
        before = self._before(key, inode)
        seen[key] = _Seen(inode, counts)
        if counts.kills > before.kills:
            found.append(Grown(path, counts.kills - before.kills, counts.kills, limit))

    def _children(self, parent: str) -> Iterator[str]:
        for path, _ in cgroups_below(self.root + parent, self._left, 1):
            self._left -= 1
            yield parent + path

    def _inode(self, path: str) -> int:
        try:
            return os.stat(self.root + path).st_ino
        except OSError:
            return 0


def _counts_below(root: str) -> bool:
    return any(os.path.exists(f"{root}{path}/memory.events.local") for path, _ in cgroups_below(root, 50, 1))
