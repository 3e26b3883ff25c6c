"""What a kernel's OOM report says, once it is understood.

Rule of this file: nouns only. What a report does not say is None (or empty), never a guess and never 0; the
one assumption, a page of 4 KiB, is marked. Formats: mm/oom_kill.c, mm/show_mem.c, mm/memcontrol.c.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

ASSUMED_PAGE_BYTES = 4096


class Trigger(NamedTuple):
    """The task whose allocation could not be met: not the victim, though it often is."""

    comm: str
    pid: int | None = None
    oom_score_adj: int | None = None
    oom_adj: int | None = None
    """Of kernels before 2.6.36 (-17..15)."""


class Announced(NamedTuple):
    """Whom kernels up to 5.1 said they would kill; a child of it may have died in its place."""

    pid: int
    comm: str
    score: int | None
    why: str
    """What comes before the colon: `Out of memory`."""


class Reaped(NamedTuple):
    """What the oom_reaper left of the victim's memory."""

    rss_anon_bytes: int | None
    rss_file_bytes: int | None
    rss_shmem_bytes: int | None


@dataclass(frozen=True, slots=True)
class Victim:
    """A process that was killed."""

    pid: int
    comm: str
    uid: int | None = None
    score: int | None = None
    total_vm_bytes: int | None = None
    rss_anon_bytes: int | None = None
    rss_file_bytes: int | None = None
    rss_shmem_bytes: int | None = None
    pagetables_bytes: int | None = None
    oom_score_adj: int | None = None
    reaped: Reaped | None = None
    unreapable: bool = False
    """The oom_reaper gave up on it."""

    @property
    def held_bytes(self) -> int | None:
        """Resident memory when it was killed; None where the kernel did not say."""
        parts = (self.rss_anon_bytes, self.rss_file_bytes, self.rss_shmem_bytes)
        known = [part for part in parts if part is not None]
        return sum(known) if known else None


class Task(NamedTuple):
    """A row of the task table: who could have been killed, and those with -1000."""

    pid: int
    comm: str
    uid: int
    tgid: int
    total_vm_bytes: int
    rss_bytes: int
    rss_anon_bytes: int | None = None
    rss_file_bytes: int | None = None
    rss_shmem_bytes: int | None = None
    pagetables_bytes: int | None = None
    swap_bytes: int | None = None
    oom_score_adj: int | None = None
    oom_adj: int | None = None

    @property
    def held_bytes(self) -> int:
        """What oom_badness() counts: resident, swapped, and page tables."""
        return self.rss_bytes + (self.swap_bytes or 0) + (self.pagetables_bytes or 0)


class Usage(NamedTuple):
    """One counter of a memory cgroup."""

    usage_bytes: int
    limit_bytes: int | None
    """None: unlimited."""
    failures: int
    """How often it could not be charged."""


@dataclass(frozen=True, slots=True)
class Memcg:
    """What is said of memory cgroups. In a report of the whole machine only `victim` and `protected_*`."""

    owner: str | None = None
    """The cgroup whose limit was reached."""
    victim: str | None = None
    """The victim's cgroup: the owner or one below it."""
    group: str | None = None
    """The cgroup that was killed as a whole, by memory.oom.group."""
    memory: Usage | None = None
    swap: Usage | None = None
    """cgroup v2: of swap alone."""
    memory_and_swap: Usage | None = None
    """cgroup v1: of both."""
    kernel: Usage | None = None
    """cgroup v1."""
    stats: dict[str, int] = field(default_factory=dict)
    """memory.stat of the owner, by the kernel's names: sizes in bytes, events as counts."""
    protected_min_bytes: int | None = None
    protected_low_bytes: int | None = None


class Zone(NamedTuple):
    """One zone of one node; `free` below `min` is what the allocator failed on."""

    node: int
    name: str
    free_bytes: int | None
    min_bytes: int | None
    low_bytes: int | None
    high_bytes: int | None
    managed_bytes: int | None
    """What the zone has in all; `present` where the kernel does not say."""
    unreclaimable: bool
    blocks: tuple[tuple[int, int], ...] = ()
    """(size in bytes, how many are free), by size; empty when not said."""


class Named(NamedTuple):
    """A slab cache, or a line of the kernel's own code, and what it holds."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Memory:
    """The state of the machine's memory."""

    ram_bytes: int | None = None
    reserved_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    hugepages_bytes: int | None = None
    """Set aside for hugetlbfs, used or not."""
    counters: dict[str, int] = field(default_factory=dict)
    """Of the whole machine, by the kernel's names (active_anon, shmem, free, ...), in bytes."""
    nodes: dict[int, dict[str, int]] = field(default_factory=dict)
    """The same of each NUMA node, as far as the kernel tells it (4.8 and later)."""
    zones: tuple[Zone, ...] = ()
    slabs: tuple[Named, ...] = ()
    """The largest unreclaimable ones, where the kernel listed them."""
    allocations: tuple[Named, ...] = ()
    """The kernel's own largest allocators (6.10 and later, with memory allocation profiling)."""


@dataclass(frozen=True, slots=True)
class Report:
    """One decision of the kernel's OOM killer, or what the log kept of it."""

    cause: str
    """memcg (a cgroup's limit), global (the machine), cpuset or mempolicy (some of its nodes), sysrq
    (somebody asked for it), or unknown."""
    uptime_s: float | None = None
    """Seconds since boot of its first line."""
    stamp: str = ""
    """The wall clock of its first line, as printed."""
    host: str = ""
    kernel: str = ""
    """The version, as in `uname -r`."""
    hardware: str = ""
    trigger: Trigger | None = None
    gfp_mask: int | None = None
    gfp_flags: tuple[str, ...] = ()
    order: int | None = None
    """2^order pages in a row were wanted; -1 is SysRq-f."""
    constraint: str = ""
    """As printed (CONSTRAINT_...); before 5.0 there is none, and 5.0 to 5.2-rc always say CONSTRAINT_NONE."""
    nodemask: str = ""
    cpuset: str = ""
    mems_allowed: str = ""
    memcg: Memcg | None = None
    memory: Memory | None = None
    tasks: tuple[Task, ...] = ()
    announced: Announced | None = None
    victims: tuple[Victim, ...] = ()
    """Whom it killed, each once; several when children, sharers or a whole cgroup died."""
    already_exiting: tuple[int, ...] = ()
    """Pids that were on their way out, so that nobody was killed."""
    nobody_killable: bool = False
    allocating_task: bool = False
    """vm.oom_kill_allocating_task=1 chose the victim."""
    panic: str = ""
    """What the kernel panicked with."""
    complete: bool = False
    """Its beginning and its end are there."""
    page_bytes: int = ASSUMED_PAGE_BYTES
    page_assumed: bool = True
    """Nothing in the report tells the size of a page."""

    @property
    def victim(self) -> Victim | None:
        """The first one killed."""
        return self.victims[0] if self.victims else None
