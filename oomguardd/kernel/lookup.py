"""Which file a path leads to, without waiting for its file system.

See statx(2) and openat2(2). A file system may be a server that does not answer, or a user's program (FUSE)
that does not want to.
"""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

_SYS_OPENAT2 = 437  # on every architecture
_RESOLVE_CACHED = 0x20
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_STATX_DONT_SYNC = 0x4000
_STATX_INO = 0x100


class FileId(NamedTuple):
    """Two paths that have the same lead to the same file."""

    major: int
    minor: int
    inode: int


class _Statx(ctypes.Structure):
    _fields_ = (
        ("mask", ctypes.c_uint32),
        ("before", ctypes.c_uint32 * 7),
        ("inode", ctypes.c_uint64),
        ("between", ctypes.c_uint32 * 24),
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("after", ctypes.c_uint64 * 14),
    )


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_statx = getattr(_libc, "statx", None)  # glibc 2.28, musl 1.1.24
if _statx is not None:
    _statx.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)
_openat2 = _libc["syscall"]
_openat2.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
_openat2.restype = ctypes.c_long
_cached = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_CACHED)


def file_of_link(dir_fd: int, name: str) -> FileId | None:
    """Where one of /proc's links leads, as far as the kernel knows by itself. None if it leads nowhere, or
    we may not look, or there is no such call (statx, Linux 4.11)."""
    return _look(dir_fd, name.encode(), 0)


def file_at(path: bytes) -> FileId | None:
    """What an absolute path leads to, if the kernel has all of it in memory, as it has that of a program that
    runs. None if it has not, or there is no such call (RESOLVE_CACHED, Linux 5.12)."""
    fd = _openat2(_SYS_OPENAT2, _AT_FDCWD, path, ctypes.addressof(_cached), ctypes.sizeof(_cached))
    if fd < 0:
        return None
    try:
        return _look(fd, b"", _AT_EMPTY_PATH)
    finally:
        os.close(fd)


def _look(dir_fd: int, name: bytes, flags: int) -> FileId | None:
    if _statx is None:
        return None
    found = _Statx()
    if _statx(dir_fd, name, flags | _AT_STATX_DONT_SYNC, _STATX_INO, ctypes.addressof(found)) != 0:
        return None
    return FileId(found.major, found.minor, found.inode) if found.mask & _STATX_INO else None
