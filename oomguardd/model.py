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


KILL_UNITS = ("process", "tree", "cgroup", "unit", "container", "pod", "job")
"""What may be killed together, as it is written in a rule; each but the first two is a place in the cgroup
tree.
"""


class Owner(NamedTuple):
    """Who runs a process, as its cgroup path alone tells (runtimes/); empty where it does not apply."""

    runtime: str = ""
    """Of the innermost container or job: docker, podman, containerd, cri-o, lxc, nspawn, slurm. Empty: the
    host's own.
    """
    unit: str = ""
    """The system manager's unit: "postgresql.service", "session-3.scope", "docker-<id>.scope"."""
    user_unit: str = ""
    """The unit of a user's manager: "app-gnome-firefox-123.scope"."""
    slice: str = ""
    """The innermost slice above the unit: "system.slice", "user-1000.slice"."""
    session: str = ""
    """A login session's number."""
    uid: int | None = None
    """Of user-1000.slice, or of a Slurm job on cgroup v1."""
    app: str = ""
    """The application of a user's unit: "firefox"."""
    container: str = ""
    """Its id, or its name where the runtime uses names."""
    pod: str = ""
    """The pod's UID, with dashes."""
    qos: str = ""
    """guaranteed, burstable or besteffort."""
    job: str = ""
    step: str = ""
    places: tuple[tuple[str, str], ...] = ()
    """One of KILL_UNITS and the cgroup path (a prefix of the process's own) that it stands for."""

    def place(self, unit: str) -> str:
        """The cgroup that holds the whole of it; empty if there is none."""
        return next((path for name, path in self.places if name == unit), "")


NO_OWNER = Owner()


class Memcg(NamedTuple):
    """What a process's cgroup, and those above it, say about its memory (v2 only)."""

    current_bytes: int = 0
    """memory.current of its own cgroup."""
    protected_share: float = 0.0
    """The part of its memory that memory.min and memory.low keep from reclaim, 0 to 1."""
    over_high_bytes: int = 0
    """By how much the most exceeded memory.high is exceeded."""
    preference: str = ""
    """"avoid" or "omit": systemd's ManagedOOMPreference=, of the nearest cgroup that has one."""
    preference_uid: int = 0
    """Who owns that cgroup: root's word counts for everybody."""
    oom_group: str = ""
    """The topmost cgroup with memory.oom.group=1; empty if there is none."""


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
    gid: int = 0
    sid: int = 0
    """Its session; equal to the pid of the session's leader."""
    terminal: bool = False
    """Whether it has a controlling terminal."""
    sched: str = "other"
    """Scheduling policy: other, fifo, rr, batch, idle or deadline."""
    owner: Owner = NO_OWNER
    exe: str | None = None
    """Path of its program. This and what follows is None or empty until it is asked for, and where it cannot
    be read.
    """
    cmdline: str | None = None
    """Its arguments, joined by blanks."""
    ancestors: tuple[str, ...] = ()
    """Names, the parent's first."""
    memcg: Memcg | None = None
    settled_bytes: int = 0
    """Of `held_bytes`, what it has held for long."""
    growth_bytes_per_s: float = 0.0
    """How fast it grows right now; negative if it shrinks."""

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
    rule: str = ""
    """The name of the rule that decided about it; empty if none did."""
    kill: str = "process"
    """One of KILL_UNITS: what is killed together with it."""
    kill_why: str = ""


class Spared(NamedTuple):
    """A process that was looked at and will not be taken, and why."""

    pid: int
    comm: str
    why: str


class Member(NamedTuple):
    """One of those that are killed together."""

    pid: int
    start_ticks: int
    comm: str
    held_bytes: int


class Party(NamedTuple):
    """Who is killed together, by one decision."""

    unit: str = "process"
    """One of KILL_UNITS, or "swarm"."""
    members: tuple[Member, ...] = ()
    """The victim first."""
    cgroup: str = ""
    """The cgroup whose processes these are; empty if it is not one's."""
    whole: bool = False
    """They are all that is in it."""
    why: str = ""
    """Who asked for it, in words."""
    reduced: str = ""
    """Why it is less than what was asked for; empty if it is not."""

    @property
    def held_bytes(self) -> int:
        return sum(member.held_bytes for member in self.members)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who must go, with the whole explanation."""

    victim: Weighed | None
    runners_up: tuple[Weighed, ...]
    spared: tuple[Spared, ...]
    dying: Candidate | None
    """The biggest that somebody else (the kernel, another daemon) is already killing."""
    totals: Totals
