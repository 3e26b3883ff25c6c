"""/proc/PID/exe and /proc/PID/cmdline: what a process is running, and whether that is true.

None for a process that has gone, that we may not look into (exe: ptrace access), or that runs nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from oomguardd.kernel.lookup import FileId, file_at, file_of_link
from oomguardd.kernel.process import pids

CMDLINE_MAX_BYTES = 4096

_DELETED = b" (deleted)"
_READ = os.O_RDONLY | os.O_CLOEXEC
_SCAN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OURS = (errno.EMFILE, errno.ENFILE)


class Claim(NamedTuple):
    """Where a process says that its program is."""

    path: str
    file: FileId | None
    """The program; None if that cannot be told."""
    proved: bool
    """The path leads to it. If not, it may still do so for who can wait (`read_genuine_exe`)."""


def read_exe(proc_fd: int, pid: int) -> str | None:
    """The path of its program, without the " (deleted)" of one that was replaced. Does not wait for anything
    (since Linux 4.1).

    It is only a claim: whoever may make a user namespace, or mount with FUSE, can run a program of theirs
    under any path.
    """
    _, target = _find_link(proc_fd, pid)
    return _text(target.removesuffix(_DELETED)) or None


def read_claim(proc_fd: int, pid: int) -> Claim | None:
    """As `read_exe`, with what can be said about it without waiting."""
    name, target = _find_link(proc_fd, pid)
    if not target.startswith(b"/"):
        return None
    file = file_of_link(proc_fd, name)
    path = target.removesuffix(_DELETED)
    # Nobody can have exchanged the program between the two looks but by another, whose path was not that.
    proved = file is not None and path == target and file_at(path) == file
    return Claim(_text(path), file, proved)


def read_genuine_exe(proc_fd: int, pid: int) -> str | None:
    """As `read_exe`, if that path really leads to the program; None if it does not.

    It may wait for the file system on which that is: never call it in the guard's loop. A program that was
    replaced or deleted is believed if it is on the file system of its directory, and belongs to root or to
    the owner of that.
    """
    name, target = _find_link(proc_fd, pid)
    if not target.startswith(b"/"):
        return None
    try:
        program = os.stat(name, dir_fd=proc_fd)
    except OSError:
        return None
    views = [b""]
    if _in_our_user_namespace(proc_fd, pid):
        # Nobody but root can have made the mounts that it sees, such as those of a container.
        views.append(b"%d/root" % pid)
    deleted = target.endswith(_DELETED) and program.st_nlink == 0
    path = target.removesuffix(_DELETED) if deleted else target
    if any(_is_there(proc_fd, view + path, program, deleted) for view in views):
        return _text(path)
    return None


def read_cmdline(proc_fd: int, pid: int) -> str | None:
    """Its arguments joined by blanks, as far as they are in the first 4096 bytes; empty for a kernel thread.

    It may wait for as long as the process likes (for its mmap_lock, and for its pages to come back from
    swap): never call it in the guard's loop.
    """
    found = None
    for name in _of_any_thread(proc_fd, pid, "cmdline"):
        data = _read_start(proc_fd, name)
        found = data if data is not None else found
        if found:
            break
    return None if found is None else _text(found.rstrip(b"\0").replace(b"\0", b" "))


def _find_link(proc_fd: int, pid: int) -> tuple[str, bytes]:
    """The exe link that leads anywhere, and where to; nowhere is empty."""
    for name in _of_any_thread(proc_fd, pid, "exe"):
        target = _read_link(proc_fd, name)
        if target != b"":
            return name, target or b""
    return "", b""


def _read_link(proc_fd: int, name: str) -> bytes | None:
    """Empty where there is no program, None where we may not look."""
    try:
        return os.readlink(name.encode(), dir_fd=proc_fd)
    except (FileNotFoundError, ProcessLookupError):
        return b""
    except OSError as error:
        _raise_if_ours(error)
        return None


def _of_any_thread(proc_fd: int, pid: int, name: str) -> Iterator[str]:
    """The file of the process, then that of each of its threads: a main thread that has called exit has none
    of it any more, while the others go on."""
    yield f"{pid}/{name}"
    try:
        fd = os.open(f"{pid}/task", _SCAN, dir_fd=proc_fd)
    except OSError as error:
        _raise_if_ours(error)
        return
    try:
        tids = [tid for tid in pids(fd) if tid != pid]
    except OSError as error:
        _raise_if_ours(error)
        return
    finally:
        os.close(fd)
    for tid in tids:
        yield f"{pid}/task/{tid}/{name}"


def _is_there(proc_fd: int, path: bytes, program: os.stat_result, deleted: bool) -> bool:
    try:
        found = os.stat(os.path.dirname(path) if deleted else path, dir_fd=proc_fd)
    except OSError:
        return False
    if deleted:
        return found.st_dev == program.st_dev and program.st_uid in (0, found.st_uid)
    return os.path.samestat(found, program)


def _in_our_user_namespace(proc_fd: int, pid: int) -> bool:
    try:
        theirs = os.readlink(f"{pid}/ns/user", dir_fd=proc_fd)
        return theirs == os.readlink("self/ns/user", dir_fd=proc_fd)
    except OSError:
        return False


def _read_start(proc_fd: int, name: str) -> bytes | None:
    try:
        fd = os.open(name, _READ, dir_fd=proc_fd)
        try:
            return os.read(fd, CMDLINE_MAX_BYTES)
        finally:
            os.close(fd)
    except OSError as error:
        _raise_if_ours(error)
        return None


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def _raise_if_ours(error: OSError) -> None:
    if error.errno in _OURS:
        raise error
