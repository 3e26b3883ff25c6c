"""A report while it is being read: raw facts, in the kernel's units.

Rule of this file: no parsing and no conclusions; those who parse are head, meminfo, memcg, tasktable and
kills, the one who concludes is build.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

from oomguardd.oomlog.prefix import Line
from oomguardd.oomlog.report import Announced, Trigger, Usage, Victim

MOST_TASKS = 1 << 16
MOST_VICTIMS = 1 << 14
MOST_NAMES = 1024
"""Zones, slab caches, counters. No machine comes near; a hostile log must not fill our memory."""


class Section(IntEnum):
    """Which part of the report the last opening line began."""

    NONE = 0
    HEAD = 1
    MEMORY = 2
    ALLOCATIONS = 3
    SLABS = 4
    MEMCG = 5
    STATS = 6
    TABLE = 7


@dataclass(slots=True)
class RawZone:
    """Of one zone: its counters in kB, its free blocks as (kB, how many)."""

    counters: dict[str, int] = field(default_factory=dict)
    blocks: tuple[tuple[int, int], ...] = ()
    unreclaimable: bool = False


@dataclass(slots=True)
class Draft:
    """One report, as far as it has been read."""

    first: Line
    headed: bool = False
    proven: bool = False
    """Something in it is only printed when the OOM killer runs."""
    ended: bool = False
    section: Section = Section.NONE
    first_at: int = 0
    last_at: int = 0
    """The numbers of the first and the last line that it took."""
    header: str = ""

    trigger: Trigger | None = None
    gfp_mask: int | None = None
    gfp_flags: tuple[str, ...] = ()
    order: int | None = None
    sysrq: bool = False
    kernel: str = ""
    hardware: str = ""
    nodemask: str = ""
    cpuset: str = ""
    mems_allowed: str = ""
    constraint: str = ""
    global_oom: bool = False

    owner: str | None = None
    victim_cgroup: str | None = None
    chosen: int | None = None
    """The pid of the oom-kill: line."""
    chosen_comm: str = ""
    chosen_uid: int | None = None
    group: str | None = None
    usages: dict[str, Usage] = field(default_factory=dict)
    stats_of: str | None = None
    stats: dict[str, int] = field(default_factory=dict)
    stats_below: dict[str, dict[str, int]] = field(default_factory=dict)
    """cgroup -> its own, without those below it, in bytes: to 5.1."""
    protected_kb: tuple[int, int] | None = None

    counters: dict[str, int] = field(default_factory=dict)
    """Of the machine, in pages."""
    nodes_kb: dict[int, dict[str, int]] = field(default_factory=dict)
    zones: dict[tuple[int, str], RawZone] = field(default_factory=dict)
    pages: dict[str, int] = field(default_factory=dict)
    """`ram`, `reserved`."""
    swap_kb: dict[str, int] = field(default_factory=dict)
    """`total`, `free`."""
    hugepages_kb: dict[tuple[int, int], int] = field(default_factory=dict)
    slabs_kb: dict[str, int] = field(default_factory=dict)
    allocations: dict[str, int] = field(default_factory=dict)

    columns: tuple[str, ...] = ()
    rows: dict[int, tuple[tuple[str, ...], tuple[int, ...], str]] = field(default_factory=dict)
    """pid -> its columns, their numbers, and the name."""

    announced: Announced | None = None
    victims: dict[int, Victim] = field(default_factory=dict)
    in_memcg: bool = False
    """A line says that it is a cgroup's."""
    by_memcg: bool = False
    """The stack says so."""
    in_machine: bool = False
    """A line says that it is not."""
    exiting: list[int] = field(default_factory=list)
    nobody: bool = False
    allocating_task: bool = False
    panic: str = ""

    @property
    def is_of_memcg(self) -> bool | None:
        """Whether it is a cgroup's; None: not known yet."""
        if self.by_memcg or self.in_memcg or self.usages:
            return True
        return False if self.counters or self.zones or self.global_oom else None

    @property
    def expected(self) -> int | None:
        """Who must be the victim; None when it is not said, or when it may be a child."""
        return self.chosen if self.announced is None else None

    def may_take(self, pid: int) -> bool:
        """Whether the death of that process can be of this report."""
        return not self.victims and self.expected in (None, pid)

    def add_victim(self, victim: Victim) -> None:
        """A victim, or what is newly known of one."""
        if victim.pid in self.victims or len(self.victims) < MOST_VICTIMS:
            self.victims[victim.pid] = _merged(self.victims.get(victim.pid), victim)


def _merged(old: Victim | None, new: Victim) -> Victim:
    """A line that is pasted, or killed, twice must not lose what the first one told."""
    if old is None:
        return new
    return replace(
        old,
        comm=new.comm or old.comm,
        uid=new.uid if old.uid is None else old.uid,
        total_vm_bytes=_known(new.total_vm_bytes, old.total_vm_bytes),
        rss_anon_bytes=_known(new.rss_anon_bytes, old.rss_anon_bytes),
        rss_file_bytes=_known(new.rss_file_bytes, old.rss_file_bytes),
        rss_shmem_bytes=_known(new.rss_shmem_bytes, old.rss_shmem_bytes),
        pagetables_bytes=_known(new.pagetables_bytes, old.pagetables_bytes),
        oom_score_adj=_known(new.oom_score_adj, old.oom_score_adj),
        reaped=new.reaped or old.reaped,
        unreapable=new.unreapable or old.unreapable,
    )


def _known(new: int | None, old: int | None) -> int | None:
    return old if new is None else new
