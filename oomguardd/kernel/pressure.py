"""/proc/pressure/memory and memory.pressure of a cgroup. See Documentation/accounting/psi.rst."""

from __future__ import annotations

import os
from typing import NamedTuple

from oomguardd.kernel.files import SensorError

_FAST = (150_000, 1_000_000)
_SLOW = (300_000, 2_000_000)
"""The same share of a window of 2 s, which the kernel gives to anybody: it averages that often anyway."""

_NAMES = (b"avg10=", b"avg60=", b"avg300=", b"total=")


class Stall(NamedTuple):
    """How much of the time tasks waited, over three spans, in percent; and in all."""

    avg10_pct: float
    avg60_pct: float
    avg300_pct: float
    total_s: float


class Pressure(NamedTuple):
    """`some`: at least one task waited for memory. `full`: all that could have run did."""

    some: Stall
    full: Stall


_NO_STALL = Stall(0.0, 0.0, 0.0, 0.0)


def parse_pressure(data: bytes) -> Pressure:
    """SensorError if it is anything else. Without a line `full` that stall is all zero."""
    some, _, rest = data.partition(b"\n")
    full, _, _ = rest.partition(b"\n")
    return Pressure(_parse_stall(b"some", some), _parse_stall(b"full", full) if full else _NO_STALL)


def _parse_stall(kind: bytes, line: bytes) -> Stall:
    words = line.split()
    try:
        name, w10, w60, w300, total = words
        if name != kind or (w10[:6], w60[:6], w300[:7], total[:6]) != _NAMES:
            raise ValueError
        stall = Stall(float(w10[6:]), float(w60[6:]), float(w300[7:]), int(total[6:26]) / 1e6)
        # In this form it is false for a NaN as well.
        if stall[3] < 0 or not all(0 <= average <= 1000 for average in stall[:3]):
            raise ValueError
    except ValueError:
        raise SensorError(f"pressure/memory: not a line of PSI: {line[:100]!r}") from None
    return stall


def arm_trigger(fd: int, stall_us: int, window_us: int) -> None:
    """Have `fd` report EPOLLPRI when some task has waited for `stall_us` within `window_us`, at most once
    a window.

    OSError: EINVAL (a window that this kernel does not give, or not to us: below 2 s needs
    CAP_SYS_RESOURCE in whoever opened the file), EBUSY (armed before), EOPNOTSUPP (psi=0).
    """
    # The kernel overwrites the last byte that it was given. Without the NUL that would be a digit of the
    # window.
    os.write(fd, b"some %d %d\0" % (stall_us, window_us))


def open_trigger(path: str, given_fd: int | None = None) -> tuple[int, str] | None:
    """An armed trigger on a pressure file, and how it was got; None if this kernel gives us none, then poll.

    "openfile": `given_fd`, opened for us by systemd, whose CAP_SYS_RESOURCE counts. "direct": opened here.
    "slow_window": opened here, with a window of 2 s. `given_fd` stays the caller's, whatever comes out.
    """
    if given_fd is not None and _is_pressure(given_fd) and _try_arm(given_fd, _FAST):
        return given_fd, "openfile"
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if _try_arm(fd, _FAST):
        return fd, "direct"
    if _try_arm(fd, _SLOW):
        return fd, "slow_window"
    os.close(fd)
    return None


def _is_pressure(fd: int) -> bool:
    """Whether it is such a file at all: a trigger must not be written into anything else."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}").endswith(("/pressure/memory", "/memory.pressure"))
    except OSError:
        return False


def _try_arm(fd: int, stall_and_window_us: tuple[int, int]) -> bool:
    try:
        arm_trigger(fd, *stall_and_window_us)
    except OSError:
        return False
    return True
