"""One mounted cgroup hierarchy, entered by paths that come from processes.

Rule of this file: such a path may be anything that a user could name a cgroup. It is opened name by name
below the root's descriptor, without `..` and without links, so that it leads nowhere else.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from oomguardd.kernel.files import read_records, read_small

MOST_LEVELS = 32
MOST_CGROUPS = 2000

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_CREAT, which makes a missing cgroup file an EACCES instead of an ENOENT.
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ENODEV, errno.ESRCH)
_NOT_LISTED = (*_GONE, errno.EOPNOTSUPP)
"""EOPNOTSUPP: a threaded cgroup, whose processes the domain above it lists."""


def names_of(cgroup: str) -> tuple[str, ...] | None:
    """The names from below the root down to it: empty for the root, None for what can be no cgroup of ours,
    such as a path with `..` in it, which is how the kernel shows what is outside of our namespace."""
    names = tuple(name for name in cgroup.split("/") if name and name != ".")
    try:
        _bytes(cgroup)
    except UnicodeEncodeError:
        return None
    return None if ".." in names or "\0" in cgroup else names


class CgroupTree:
    """`path` is where the hierarchy is mounted. OSError if it is not there."""

    __slots__ = ("_root",)

    def __init__(self, path: str) -> None:
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """May be called twice."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def open(self, cgroup: str) -> int:
        """A descriptor of its directory. OSError; ENOENT if it has gone or cannot be named."""
        names = names_of(cgroup)
        if names is None:
            raise FileNotFoundError(errno.ENOENT, "not below our root", cgroup)
        fd = os.dup(self._root)
        for name in names:
            fd = _descend(fd, name)
        return fd

    def levels(self, cgroup: str) -> Iterator[tuple[str, int]]:
        """The path and a descriptor of each cgroup from below the root down to it; each descriptor is closed
        when the next is asked for. Ends at MOST_LEVELS. OSError; ENOENT if it has gone."""
        names = names_of(cgroup)
        if names is None:
            raise FileNotFoundError(errno.ENOENT, "not below our root", cgroup)
        path, fd = "", os.dup(self._root)
        try:
            for name in names[:MOST_LEVELS]:
                path = f"{path}/{name}"
                parent, fd = fd, -1
                fd = _descend(parent, name)
                yield path, fd
        finally:
            if fd >= 0:
                os.close(fd)

    def read(self, cgroup: str, name: str) -> bytes:
        """One of its files. OSError if it cannot be read; ENOENT if the cgroup has gone."""
        fd = self.open(cgroup)
        try:
            return read_small(fd, name)
        finally:
            os.close(fd)

    def write(self, cgroup: str, name: str, data: bytes) -> bool:
        """Whether `data` was written into one of its files. The root has none that anybody may write to."""
        if not names_of(cgroup):
            return False
        try:
            fd = self.open(cgroup)
        except OSError:
            return False
        try:
            file = os.open(name, _WRITE, dir_fd=fd)
            try:
                return os.write(file, data) == len(data)
            finally:
                os.close(file)
        except OSError:
            return False
        finally:
            os.close(fd)

    def procs(self, cgroup: str) -> Iterator[int]:
        """All processes of it and of everything below, none if it has gone; one that is moved meanwhile may
        be named twice.

        OSError at the end if that was not all: something in it may not be read, or is outside of our pid
        namespace (EXDEV), we have no descriptor left, or it is deeper than MOST_LEVELS or has more than
        MOST_CGROUPS below it (E2BIG).
        """
        try:
            fd = self.open(cgroup)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return
        yield from _procs_below(fd, MOST_LEVELS, [MOST_CGROUPS])


def _bytes(name: str) -> bytes:
    """As it was read from /proc, whatever our locale is."""
    return name.encode(errors="surrogateescape")


def _descend(fd: int, name: str) -> int:
    """A descriptor of the cgroup of that name in exchange for its parent's."""
    try:
        return os.open(_bytes(name), _DIRECTORY, dir_fd=fd)
    finally:
        os.close(fd)


def _procs_below(fd: int, levels_left: int, cgroups_left: list[int]) -> Iterator[int]:
    """Closes `fd`."""
    try:
        yield from _procs_in(fd)
        names = _children(fd)
        if not names:
            return
        if levels_left == 0 or cgroups_left[0] < len(names):
            raise OSError(errno.E2BIG, "too many cgroups below one another")
        cgroups_left[0] -= len(names)
        for name in names:
            try:
                child = os.open(name, _DIRECTORY, dir_fd=fd)
            except OSError as error:
                if error.errno in _GONE:
                    continue
                raise
            yield from _procs_below(child, levels_left - 1, cgroups_left)
    finally:
        os.close(fd)


def _procs_in(fd: int) -> list[int]:
    try:
        data = read_records(fd, "cgroup.procs")
    except OSError as error:
        if error.errno in _NOT_LISTED:
            return []
        raise
    pids = [int(word) for word in data.split()]
    if 0 in pids:
        raise OSError(errno.EXDEV, "holds processes outside of our pid namespace")
    return pids


def _children(fd: int) -> list[str]:
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise
