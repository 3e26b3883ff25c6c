"""Terminals: which one a process has (/proc/PID/stat, tty_nr), and writing to one. See tty(4), pts(4)."""

from __future__ import annotations

import os
import stat

from oomguardd.kernel.files import read_small

_PTS_MAJORS = range(136, 144)  # Documentation/admin-guide/devices.txt
_PTS_PER_MAJOR = 1 << 20  # all are below the first major since there are 20 bits of minor numbers
_TTY_MAJOR = 4
_CONSOLES = 64
_TTY_NR = 4
"""The field's place behind the name and the state in /proc/PID/stat, counted from the state."""


def terminal_name(tty_nr: int) -> str:
    """`pts/3`, `tty1`, `ttyS0`; empty for none, and for kinds that nobody logs in at."""
    major, minor = (tty_nr >> 8) & 0xFFF, (tty_nr & 0xFF) | ((tty_nr >> 12) & 0xFFF00)
    if major in _PTS_MAJORS:
        return f"pts/{(major - _PTS_MAJORS.start) * _PTS_PER_MAJOR + minor}"
    if major != _TTY_MAJOR:
        return ""
    return f"tty{minor}" if minor < _CONSOLES else f"ttyS{minor - _CONSOLES}"


def parse_terminal(data: bytes) -> str:
    """Of /proc/PID/stat; empty also when it is no such line."""
    fields = data[data.rfind(b")") + 1 :].split(None, _TTY_NR + 1)
    try:
        return terminal_name(int(fields[_TTY_NR]) & 0xFFFFFFFF)
    except (ValueError, IndexError):
        return ""


def read_terminal(proc_fd: int, pid: int) -> str:
    """The controlling terminal of a process; empty if it has none, or has gone."""
    try:
        return parse_terminal(read_small(proc_fd, f"{pid}/stat", 1024))
    except OSError:
        return ""


def write_terminal(dev_fd: int, name: str, text: bytes) -> bool:
    """Without waiting: a terminal that is stopped (Ctrl-S) gets nothing. OSError if it cannot be opened.

    False if it is none, if its user wants no messages (`mesg n`), or if it did not take anything.
    """
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(name, flags, dir_fd=dev_fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISCHR(status.st_mode) or not status.st_mode & stat.S_IWGRP or not os.isatty(fd):
            return False
        return os.write(fd, text) > 0
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
