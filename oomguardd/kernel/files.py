"""Reading kernel files with nothing between us and the system call.

Python's file objects cost twice as much, allocate their buffers just when there is no memory, and look up
codecs.
"""

from __future__ import annotations

import os

_READ = os.O_RDONLY | os.O_CLOEXEC
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class SensorError(Exception):
    """A kernel file is not what it should be; the message names the file and what is wrong with it."""


def open_dir(path: str, dir_fd: int | None = None) -> int:
    """A descriptor to open files below; OSError if there is none. Of a process, it stays that process's
    for ever: once it has exited, lookups fail, even when its pid has been given to another."""
    return os.open(path, _DIRECTORY, dir_fd=dir_fd)


def read_small(dir_fd: int, name: str, size: int = 4096) -> bytes:
    """The content of a file that the kernel makes in one piece; `size` is one read. OSError if it cannot
    be read."""
    fd = os.open(name, _READ, dir_fd=dir_fd)
    try:
        data = os.read(fd, size)
        if len(data) == size:
            data = _read_rest(fd, data, size)
    finally:
        os.close(fd)
    return data


def read_records(dir_fd: int, name: str, size: int = 16384) -> bytes:
    """The content of a file that the kernel hands out record by record, at most a page at a time (lists of
    processes): a short read is not yet its end. OSError if it cannot be read."""
    fd = os.open(name, _READ, dir_fd=dir_fd)
    try:
        return _read_rest(fd, os.read(fd, size), size)
    finally:
        os.close(fd)


def _read_rest(fd: int, data: bytes, size: int) -> bytes:
    parts = [data]
    while data:
        data = os.read(fd, size)
        parts.append(data)
    return b"".join(parts)


def line_number(data: bytes, key: bytes) -> int | None:
    """The number between `key` (with the newline before it and the blank after it) and the end of its line.

    None if there is no such line, if it is cut short or is no number: half a number would be a wrong one.
    """
    start = data.find(key)
    if start < 0:
        return None
    start += len(key)
    end = data.find(b"\n", start)
    # No counter has more than twenty digits, and a thousand of them would not fit into a float.
    if not 0 < end - start < 32:
        return None
    try:
        return int(data[start:end])
    except ValueError:
        return None


class HeldFile:
    """A kernel file that stays open: reading it again needs no path lookup and no free descriptor.

    `in_records`: the kernel hands this file out record by record (vmstat, zoneinfo, swaps), so that a
    short read is not yet its end. Files made in one piece (meminfo, pressure, memory.stat) are made anew
    for each read, so there a second read only to see the end would cost as much as the first.
    """

    __slots__ = ("_fd", "_in_records", "_size", "name")

    def __init__(
        self, name: str, dir_fd: int | None = None, size: int = 8192, in_records: bool = False
    ) -> None:
        self.name = name
        self._size = size
        self._in_records = in_records
        self._fd = os.open(name, _READ, dir_fd=dir_fd)

    def read(self) -> bytes:
        """The file as it is now. OSError if it cannot be read."""
        data = os.pread(self._fd, self._size, 0)
        if self._in_records or len(data) == self._size:
            return self._read_on(data)
        return data

    def _read_on(self, data: bytes) -> bytes:
        whole = data
        while data:
            data = os.pread(self._fd, self._size, len(whole))
            whole += data
        return whole

    def close(self) -> None:
        """May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
