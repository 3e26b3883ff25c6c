"""The two clocks that count from boot. Neither is ever set; only one goes on while the machine is
suspended."""

from __future__ import annotations

import time

_AT_ONCE_S = 0.01


def monotonic_s() -> float:
    """Stands still during suspend: the clock of everything that takes time here."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def boottime_s() -> float:
    """Goes on during suspend: the clock that the kernel stamps a process's start with."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def suspended_s() -> float:
    """How long the machine has been suspended since boot. When it grows, pressure seen before means
    nothing."""
    for _ in range(10):
        before_s, boot_s, after_s = monotonic_s(), boottime_s(), monotonic_s()
        if after_s - before_s < _AT_ONCE_S:  # otherwise somebody else ran between the two clocks
            break
    return boot_s - before_s


def process_cpu_s() -> float:
    """Processor time that this process has used, user and system."""
    return time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)
