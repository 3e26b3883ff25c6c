"""systemd-oomd's marks on a unit's cgroup: the extended attributes user.oomd_ooms and user.oomd_kill (v2).

When one of its children dies or a unit runs empty, systemd takes an increase of the first for an OOM kill in
that unit (Result=oom-kill, OOMPolicy=) and says the second in the unit's journal. See unit_check_oomd_kill()
in systemd's src/core/cgroup.c. Cgroups have such attributes since Linux 5.7.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from typing import NamedTuple

from oomguardd.kernel.cgroup_tree import CgroupTree, names_of
from oomguardd.kernel.files import line_number, read_small
from oomguardd.kernel.task_stat import parse_stat

OOMS = "user.oomd_ooms"
KILLED = "user.oomd_kill"

MOST_BELOW = 64
"""Cgroups below a unit's that are looked into; whoever has a unit of his own may make thousands."""
MOST_PROCESSES = 128
"""Of a unit, whose parents are looked at: 17 µs each, and only when a child of the manager dies."""

_MOST_DIGITS = 18
"""systemd reads 64 bits. What is longer was written by the unit's owner, who may."""


class Before(NamedTuple):
    """What the attributes were; None where there was none."""

    ooms: bytes | None
    killed: bytes | None


def open_unified(root: str = "/sys/fs/cgroup") -> CgroupTree | None:
    """The only hierarchy; None where there are others as well: systemd looks at no marks then."""
    if not os.path.exists(f"{root}/cgroup.controllers"):
        return None
    try:
        return CgroupTree(root)
    except OSError:
        return None


def mark(tree: CgroupTree, cgroup: str, killed: int) -> Before:
    """Counts one more OOM that ends so many processes; what to give to `unmark` if they do not end. OSError
    if it could not be counted: it has gone (ENOENT), or is not ours to write to (EACCES, EROFS)."""
    if not names_of(cgroup):
        raise FileNotFoundError(errno.ENOENT, "the root is no unit", cgroup)
    fd = tree.open(cgroup)
    try:
        before = Before(_read(fd, OOMS), _read(fd, KILLED))
        # The number first: systemd reads it when the other has grown.
        os.setxattr(fd, KILLED, b"%d" % (_number(before.killed) + killed))
        os.setxattr(fd, OOMS, b"%d" % (_number(before.ooms) + 1))
    finally:
        os.close(fd)
    return before


def unmark(tree: CgroupTree, cgroup: str, before: Before) -> None:
    """Puts the attributes back. OSError if that fails."""
    fd = tree.open(cgroup)
    try:
        for name, value in ((OOMS, before.ooms), (KILLED, before.killed)):
            if value is None:
                os.removexattr(fd, name)
            else:
                os.setxattr(fd, name, value)
    finally:
        os.close(fd)


def runs_empty(tree: CgroupTree, cgroup: str, without: Collection[int]) -> bool:
    """Whether nobody is left in it, or below, when those have gone; no, if that cannot be seen quickly."""
    try:
        if not _is_shallow(tree, cgroup):
            return False
        seen = False
        for pid in tree.procs(cgroup):
            if pid not in without:
                return False
            seen = True
    except OSError:
        return False
    return seen


def eldest_child(tree: CgroupTree, proc_fd: int, cgroup: str, parents: Collection[int]) -> int | None:
    """Of the processes in it and below, the one that was started first by one of `parents`: a service's main
    process, when these are its manager. None if there is none, or too many to look at."""
    found: tuple[int, int] | None = None
    try:
        if not _is_shallow(tree, cgroup):
            return None
        for number, pid in enumerate(tree.procs(cgroup)):
            if number >= MOST_PROCESSES:
                return None
            family = _family(proc_fd, pid)
            if family is not None and family[0] in parents and (found is None or family[1] < found[0]):
                found = (family[1], pid)
    except OSError:
        return None
    return None if found is None else found[1]


def _is_shallow(tree: CgroupTree, cgroup: str) -> bool:
    below = line_number(b"\n" + tree.read(cgroup, "cgroup.stat"), b"\nnr_descendants ")
    return below is not None and below <= MOST_BELOW


def _family(proc_fd: int, pid: int) -> tuple[int, int] | None:
    """Its parent, and when it was started (ticks since boot); None if it has gone."""
    try:
        stat = parse_stat(read_small(proc_fd, f"{pid}/stat", 1024))
    except OSError:
        return None
    return None if stat is None else (stat.ppid, stat.start_ticks)


def _read(fd: int, name: str) -> bytes | None:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return None


def _number(value: bytes | None) -> int:
    """What is no such number counts as none."""
    digits = (value or b"").strip()
    return int(digits) if digits.isdigit() and len(digits) <= _MOST_DIGITS else 0
