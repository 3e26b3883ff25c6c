"""The nouns that every room shares.

Rule of this file: values only. Nothing here reads, waits or decides. Units end the names: bytes
`_bytes`, seconds `_s` (monotonic unless it says wall), percent `_pct`; *points* are thousandths of
RAM + swap, the scale of /proc/PID/oom_score_adj; *pages* are the kernel's, of `PAGE_BYTES`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Level(IntEnum):
    """How bad it is, and what may be done about it."""

    CALM = 0
    WARN = 1
    TERM = 2
    KILL = 3


LEVEL_NAMES = {"warn": Level.WARN, "terminate": Level.TERM, "kill": Level.KILL}
"""The words that a trigger's `level` may be in the configuration."""


class Unit(Enum):
    """What a signal is measured in, and how its bounds are written in the configuration."""

    BYTES = "bytes"
    PERCENT = "percent"
    BYTES_PER_S = "bytes/s"
    PER_S = "1/s"
    COUNT = "count"


class Ramp(Enum):
    """What limits how fast a signal can run towards its bound; the pace is computed from it."""

    FILL = "memory fill rate"
    SWAP = "swap fill rate"
    WINDOW = "length of its own window"
    NONE = "nothing"


class Signal(NamedTuple):
    """One named reading that a trigger's condition may use."""

    name: str
    unit: Unit
    help: str
    total: str = ""
    """The signal that a percentage of this one refers to; empty if it cannot be given in percent."""
    ramp: Ramp = Ramp.NONE
    window_s: float = 0.0


Sample = dict[str, float]
"""Signal name -> value in the signal's unit. What could not be read is absent."""


class Condition(NamedTuple):
    """`signal < bound` or `signal > bound`; a bound in percent is one of the signal's total."""

    signal: str
    below: bool
    bound: float
    relative: bool
    """True: `bound` is a percentage of the signal's total. False: it is in the signal's unit."""
    text: str
    """As the administrator wrote it."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Holds when all of its conditions have held for `for_s`; then it orders its level."""

    name: str
    level: Level
    conditions: tuple[Condition, ...]
    for_s: float = 0.0


class Totals(NamedTuple):
    """What badness is measured against. See mm/oom_kill.c, oom_badness(), `totalpages`."""

    ram_bytes: int
    swap_bytes: int

    @property
    def pages(self) -> int:
        return (self.ram_bytes + self.swap_bytes) // PAGE_BYTES

    @property
    def point_pages(self) -> int:
        """Pages in one point: the kernel divides before it multiplies."""
        return self.pages // 1000


@dataclass(frozen=True, slots=True)
class Domain:
    """A part of the machine that runs out of memory on its own.

    The machine is the first one (`cgroup` empty). A cgroup subtree has its own readings, totals
    and candidates; inside a container that is the container's limit.
    """

    name: str
    cgroup: str = ""


class Glance(NamedTuple):
    """What one read of /proc/PID/oom_score tells: enough to leave most processes alone."""

    score: int
    pid: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A process read in full."""

    pid: int
    ppid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: with the pid, the identity of a process."""
    comm: str
    uid: int
    nice: int
    age_s: float
    state: str
    threads: int
    cgroup: str
    rss_anon_bytes: int
    rss_file_bytes: int
    rss_shmem_bytes: int
    swap_bytes: int
    pagetables_bytes: int
    oom_score_adj: int
    dying: bool = False
    """Somebody's SIGKILL is already on its way, or it is exiting."""
    kernel_thread: bool = False

    @property
    def resident_bytes(self) -> int:
        return self.rss_anon_bytes + self.rss_file_bytes + self.rss_shmem_bytes

    @property
    def held_bytes(self) -> int:
        """What its death gives back at once; mapped files were reclaimable anyway."""
        return self.rss_anon_bytes + self.rss_shmem_bytes + self.swap_bytes + self.pagetables_bytes

    @property
    def identity(self) -> tuple[int, int]:
        return self.pid, self.start_ticks


class Adjustment(NamedTuple):
    """One opinion on a candidate, in points (negative spares), with its reason in words."""

    policy: str
    points: float
    why: str


@dataclass(frozen=True, slots=True)
class Weighed:
    """A candidate with its badness, term by term: pages = kernel_pages + all adjustments."""

    candidate: Candidate
    kernel_pages: int
    """Exactly what the kernel's oom_badness() computes."""
    adjustments: tuple[Adjustment, ...]
    pages: int
    """What candidates are ranked by."""


class Spared(NamedTuple):
    """A process that was looked at and will not be taken, and why."""

    pid: int
    comm: str
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who must go, with the whole explanation."""

    victim: Weighed | None
    runners_up: tuple[Weighed, ...]
    spared: tuple[Spared, ...]
    dying: Candidate | None
    """The biggest that somebody else (the kernel, another daemon) is already killing."""
    totals: Totals
