"""What the watchers share: where records go, what was said already, and whom else they ask."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from oomguardd.kernel.files import open_dir, read_small
from oomguardd.reporter.inbox import Record, made_here
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.present import Present
from oomguardd.reporter.watchers.ours import Ours

MOST_FAULTS = 100
"""Causes that are remembered; no more are told then."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are; a test has its own."""

    kmsg: str = "/dev/kmsg"
    proc: str = "/proc"
    cgroup: str = "/sys/fs/cgroup"
    journalctl: str = "journalctl"


@dataclass(slots=True)
class Desk:
    """One for all watchers."""

    publish: Callable[[Record], None]
    present: Present
    meters: Meters
    clock: Callable[[], float]
    """Wall clock."""
    places: Places
    ours: Ours = field(default_factory=Ours)
    boot: str = ""
    """The beginning of the boot's id; a part of every key."""
    _said: set[str] = field(default_factory=set)
    _faults: set[str] = field(default_factory=set)

    def attempt(self, step: Callable[..., object], *arguments: object) -> None:
        """Does it. What goes wrong in one step, of a log that anybody may write to, must not end the others;
        it is told once for each cause."""
        try:
            step(*arguments)
        except Exception as error:
            where = f"reporter, watchers, {getattr(step, '__qualname__', 'a part')}"
            cause = f"{type(error).__name__}: {error}"[:300]
            if f"{where}: {cause}" not in self._faults and len(self._faults) < MOST_FAULTS:
                self._faults.add(f"{where}: {cause}")
                self.publish(made_here("fault", 4, self.clock(), where=where, error=cause, count=1))

    def missing(self, what: str, cost: str, remedy: str) -> None:
        """Says once that something is not there."""
        if what not in self._said:
            self._said.add(what)
            self.publish(made_here("missing", 5, self.clock(), what=what, cost=cost, remedy=remedy))

    def guard_words(self) -> str:
        """What the guard made of the situation, as a sentence; empty if nothing is known of it."""
        if not self.present.connected:
            return "the guard was not running" if self.present.heard_s is not None else ""
        return f"the guard was at level {self.present.level}" if self.present.level else ""


def read_boot(proc: str) -> str:
    """Eight hexadecimal digits of /proc/sys/kernel/random/boot_id; "unknown" if it cannot be read."""
    try:
        fd = open_dir(proc)
    except OSError:
        return "unknown"
    try:
        return read_small(fd, "sys/kernel/random/boot_id", 64).decode("ascii", "replace")[:8] or "unknown"
    except OSError:
        return "unknown"
    finally:
        os.close(fd)
