"""memory.events of cgroup v2 and memory.oom_control of v1: how often the kernel killed in a cgroup.

See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. `oom` and `oom_group_kill` count where
the limit is that was reached, `oom_kill` in the victim's own cgroup; v2 counts all that is below, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from oomguardd.kernel.files import line_number, open_dir, read_small
from oomguardd.kernel.memcg import read_limit


class OomCounts(NamedTuple):
    """Since the cgroup was made."""

    kills: int = 0
    """Processes killed; one more than died where memory.oom.group is set."""
    limits: int = 0
    """How often its limit was reached without a way out (v2)."""
    groups: int = 0
    """How often it was killed as a whole, by memory.oom.group (v2, Linux 5.17)."""


def parse_counts(data: bytes) -> OomCounts:
    """Of either file; what it has no line for is 0."""
    text = b"\n" + data
    kills, limits = line_number(text, b"\noom_kill "), line_number(text, b"\noom ")
    return OomCounts(kills or 0, limits or 0, line_number(text, b"\noom_group_kill ") or 0)


def read_counts(directory: str, local: bool = False) -> OomCounts | None:
    """Of a cgroup and, on v2 and unless `local`, of all below it. None if it has gone or has no such file:
    before 5.2 v2 has no local ones, and those that there are mean the cgroup alone."""
    try:
        fd = open_dir(directory)
    except OSError:
        return None
    try:
        data = _read(fd, "memory.events.local" if local else "memory.events") or _read(
            fd, "memory.oom_control"
        )
    finally:
        os.close(fd)
    return parse_counts(data) if data else None


def _read(fd: int, name: str) -> bytes:
    try:
        return read_small(fd, name, 1024)
    except OSError:
        return b""


def cgroups_below(root: str, most: int, depth: int) -> Iterator[tuple[str, int]]:
    """Paths ("/system.slice/a.service") of the cgroups below a mount, and their level (1 right below the
    root), level by level, so that with more than `most` it is the deepest that are left out."""
    level: list[str] = [""]
    found = 0
    for number in range(1, depth + 1):
        below: list[str] = []
        for parent in level:
            for name in _names_in(root + parent):
                if found >= most:
                    return
                found += 1
                path = f"{parent}/{name}"
                below.append(path)
                yield path, number
        level = below


def _names_in(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []  # gone, or not for us


def has_limit(directory: str) -> bool:
    """Whether a v1 memory cgroup has a limit of its own."""
    return read_limit(directory, "memory.limit_in_bytes") is not None


def register_oom(directory: str) -> int:
    """An eventfd that becomes readable whenever this v1 cgroup or one above it has run out of its limit.
    OSError: only root may register."""
    event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        target = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            control = os.open(f"{directory}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(control, b"%d %d" % (event, target))
            finally:
                os.close(control)
        finally:
            os.close(target)
    except OSError:
        os.close(event)
        raise
    return event
