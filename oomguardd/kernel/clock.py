"""The two clocks that count from boot. Neither is ever set; only one goes on while the machine is
suspended."""

from __future__ import annotations

import time


def monotonic_s() -> float:
    """Stands still during suspend: the clock of everything that takes time here."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def boottime_s() -> float:
    """Goes on during suspend: the clock that the kernel stamps a process's start with."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def suspended_s() -> float:
    """How long the machine has been suspended since boot. When it grows, pressure seen before means
    nothing."""
    monotonic = monotonic_s()  # the earlier one first, so that it is never negative
    return boottime_s() - monotonic
