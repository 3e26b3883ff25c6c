"""inotify(7): being told when files change, as asyncio likes it: one descriptor that becomes readable."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

ATTRIB = 0x4
MODIFY = 0x2
CREATE = 0x100
OVERFLOW = 0x4000
"""In what is read only: something was dropped."""
IGNORED = 0x8000
"""In what is read only: the watch is no more, as what was watched has gone."""
ONLYDIR = 0x0100_0000
IS_DIR = 0x4000_0000

_EVENT = struct.Struct("iIII")
_BUFFER_BYTES = 65536

_libc = ctypes.CDLL(None, use_errno=True)
_init = _libc.inotify_init1
_init.argtypes = (ctypes.c_int,)
_add = _libc.inotify_add_watch
_add.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_remove = _libc.inotify_rm_watch
_remove.argtypes = (ctypes.c_int, ctypes.c_int)


class Change(NamedTuple):
    """One event."""

    watch: int
    """-1 for OVERFLOW."""
    mask: int
    name: str
    """Of what changed in a watched directory; empty for what is watched itself."""


def parse_changes(data: bytes) -> list[Change]:
    """Events as they are read; a part of one at the end is left out."""
    found: list[Change] = []
    at = 0
    while at + _EVENT.size <= len(data):
        watch, mask, _, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        name = data[at : at + length].rstrip(b"\0")
        at += length
        found.append(Change(watch, mask, os.fsdecode(name)))
    return found


class Inotify:
    """OSError if there is no instance left (fs.inotify.max_user_instances)."""

    def __init__(self) -> None:
        self._fd: int = _init(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _error("inotify_init1")

    def fileno(self) -> int:
        """For a poll: readable when something has changed."""
        return self._fd

    def watch(self, path: str, mask: int) -> int:
        """The number of the watch; that of before, if it is watched already. OSError: it has gone, may not be
        read, or there is no watch left (ENOSPC: fs.inotify.max_user_watches)."""
        number = int(_add(self._fd, os.fsencode(path), mask))
        if number < 0:
            raise _error(path)
        return number

    def forget(self, watch: int) -> None:
        """Ends a watch; one that has ended by itself is no error."""
        _remove(self._fd, watch)

    def read(self) -> list[Change]:
        """What has changed; none if nothing has. Equal ones in a row are one."""
        try:
            return parse_changes(os.read(self._fd, _BUFFER_BYTES))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _error(what: str) -> OSError:
    number = ctypes.get_errno() or errno.EINVAL
    return OSError(number, os.strerror(number), what)
