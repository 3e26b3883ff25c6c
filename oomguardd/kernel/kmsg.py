"""/dev/kmsg: the kernel's log, record by record. See Documentation/ABI/testing/dev-kmsg."""

from __future__ import annotations

import os
from typing import NamedTuple

_RECORD_BYTES = 8192
"""A smaller buffer is EINVAL for a long record."""
_MOST_AT_ONCE = 2000
"""Records of one `read`, so that a flood of them leaves others their turn."""
_LOST_AT_ONCE = 100
"""So many overruns in one `read` before it is given up for now."""
_FACILITY_SHIFT = 3


class Message(NamedTuple):
    """One record."""

    facility: int
    """0: the kernel's own. Others are of processes that wrote into /dev/kmsg."""
    sequence: int
    """Counts from boot, without gaps."""
    uptime_s: float
    """By the kernel's log clock, which stands still in suspend."""
    line: str
    """The record as it is read, without its dictionary: `prio,sequence,µs,flags[,caller=];text`, in which
    what is not printable is written as \\xNN."""


def parse_message(data: bytes) -> Message | None:
    """None if it is no record."""
    line = data.partition(b"\n")[0].decode("ascii", "replace")
    header, semicolon, _ = line.partition(";")
    words = header.split(",")
    if not semicolon or len(words) < 4 or any(len(word) > 24 for word in words[:3]):
        return None
    try:
        priority, sequence, uptime_us = (int(word) for word in words[:3])
    except ValueError:
        return None
    return Message(priority >> _FACILITY_SHIFT, sequence, uptime_us / 1e6, line)


class KernelLog:
    """The log from now on or, with `past`, from its oldest record. OSError if it may not be read
    (dmesg_restrict without CAP_SYSLOG) or is not there; once open, it stays readable whoever we become."""

    def __init__(self, path: str = "/dev/kmsg", past: bool = False) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.lseek(self._fd, 0, os.SEEK_SET if past else os.SEEK_END)
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """For a poll: readable when there is something new."""
        return self._fd

    def read(self) -> tuple[list[Message], bool]:
        """What is new, and whether something before it was overwritten unread. OSError if the log is no
        more."""
        found: list[Message] = []
        lost = 0
        while len(found) < _MOST_AT_ONCE and lost < _LOST_AT_ONCE:
            try:
                data = os.read(self._fd, _RECORD_BYTES)
            except BlockingIOError:
                break
            except BrokenPipeError:  # the next read goes on with the oldest that is left
                lost += 1
                continue
            if not data:
                break
            message = parse_message(data)
            if message is not None:
                found.append(message)
        return found, lost > 0

    def close(self) -> None:
        """May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
