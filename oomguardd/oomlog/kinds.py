"""What kind of line this is, told by its first word where that is possible.

Rule of this file: a line is of one kind or of none, whatever came before it; only lines that mean nothing by
themselves (a row of memory.stat) are told by the section they stand in.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from oomguardd.oomlog import head, kills, memcg, meminfo, tasktable
from oomguardd.oomlog.draft import Draft, Section

Take = Callable[[Draft, str, bool], bool]
"""Whether the draft wants that line, and has understood it; True as the last argument: it is the line that it
took before, with more of its end."""

Score = Callable[[Draft, str], int]
"""How much of a line is there, to find out whether another one is the rest of it."""


class Opens(Enum):
    """Whether a line of this kind can begin a report whose real beginning is lost."""

    NEVER = 0
    AT_START = 1
    """Only where the log itself may begin in the middle of a report: others print such lines, too."""
    ALWAYS = 2


class Kind(NamedTuple):
    """A kind of line, and who understands it."""

    take: Take
    after: frozenset[Section] = frozenset()
    """Where it may stand; with two reports at once, the one that is there gets it."""
    opens: Opens = Opens.NEVER
    score: Score | None = None
    """None: it is too short to be broken by anybody."""
    glue: str = " "
    """How two halves are put together when both ways make sense."""
    ends_in: str = ""
    """What must be in a rest for it to score more."""
    whole: int = 1 << 30
    """The score of a line to which nothing can be added."""
    turns: bool = False
    """Reports begin, end or change by it, so it is not just offered to them."""


def _nothing(draft: Draft, text: str, again: bool) -> bool:
    return False


_IN_HEAD = frozenset((Section.HEAD,))
_IN_MEMORY = frozenset((Section.MEMORY,))
_IN_MEMCG = frozenset((Section.MEMCG,))
_IN_STATS = frozenset((Section.STATS,))
_IN_SLABS = frozenset((Section.SLABS,))
_IN_ALLOCATIONS = frozenset((Section.ALLOCATIONS,))
_IN_TABLE = frozenset((Section.TABLE,))
_BEFORE_TABLE = frozenset(Section) - _IN_HEAD - {Section.NONE}
HEADER = Kind(head.take_header, frozenset(), Opens.ALWAYS, head.header_score, turns=True)
KILLED = Kind(kills.take_killed, frozenset(), Opens.ALWAYS, kills.killed_score, turns=True)
SHARER = Kind(_nothing, turns=True)
REAPED = Kind(_nothing, turns=True)
GROUP = Kind(memcg.take_group, frozenset(), Opens.ALWAYS, turns=True)
SYSRQ = Kind(_nothing, turns=True)
NOBODY = Kind(kills.take_nobody, frozenset(), Opens.ALWAYS)
PANIC = Kind(kills.take_panic, frozenset(), Opens.ALWAYS)
EXITING = Kind(kills.take_exiting, frozenset(), Opens.ALWAYS)

_ANNOUNCED = Kind(kills.take_announced, frozenset(), Opens.ALWAYS, kills.announced_score)
_CHOSEN = Kind(kills.take_chosen, _IN_TABLE, Opens.ALWAYS, kills.chosen_score, "")
_CPU = Kind(head.take_cpu, _IN_HEAD, Opens.NEVER, head.cpu_score, whole=3)
_PROCESS = Kind(head.take_process, _IN_HEAD)
_HARDWARE = Kind(head.take_hardware, _IN_HEAD, Opens.NEVER, head.hardware_score, whole=2)
_CPUSET = Kind(head.take_cpuset, _IN_HEAD)
_BY_SYSRQ = Kind(head.take_sysrq, _IN_HEAD)
_BY_MEMCG = Kind(head.take_memcg, _IN_HEAD)
_TASK_IN = Kind(memcg.take_task_in, _IN_HEAD, Opens.ALWAYS, memcg.task_in_score, "")
_USAGE = Kind(memcg.take_usage, _IN_MEMCG, Opens.ALWAYS)
_STATS_FOR = Kind(memcg.take_stats_for, _IN_MEMCG, Opens.ALWAYS, memcg.stats_score, "", "B")
_PROTECTION = Kind(memcg.take_protection, frozenset(), Opens.ALWAYS)
_STAT = Kind(memcg.take_stat, _IN_STATS)
_OPENING = Kind(meminfo.take_opening, _IN_HEAD, Opens.AT_START)
_COUNTERS = Kind(meminfo.take_counters, _IN_MEMORY, Opens.AT_START, meminfo.counters_score, "")
_NODE = Kind(meminfo.take_node, _IN_MEMORY, Opens.AT_START, meminfo.sizes_score, "", "B")
_ZONE = Kind(meminfo.take_zone, _IN_MEMORY, Opens.AT_START, meminfo.sizes_score, "", "B")
_SWAP = Kind(meminfo.take_swap, _IN_MEMORY, Opens.AT_START)
_PAGES = Kind(meminfo.take_pages, _IN_MEMORY, Opens.AT_START)
_SLABS = Kind(meminfo.open_slabs, _IN_MEMORY)
_SLAB = Kind(meminfo.take_slab, _IN_SLABS)
_ALLOCATIONS = Kind(meminfo.open_allocations, _IN_MEMORY)
_ALLOCATION = Kind(meminfo.take_allocation, _IN_ALLOCATIONS)
_STATE = Kind(tasktable.take_state, _BEFORE_TABLE)
_TABLE = Kind(tasktable.take_header, _BEFORE_TABLE, Opens.ALWAYS, tasktable.header_score)
_ROW = Kind(tasktable.take_row, _IN_TABLE, Opens.AT_START, tasktable.row_score, whole=100)

_OF_MEMCG = frozenset((memcg.take_task_in, memcg.take_usage, memcg.take_stats_for))
_OF_MACHINE = frozenset(
    (meminfo.take_opening, meminfo.take_counters, meminfo.take_node, meminfo.take_zone, meminfo.take_swap)
)

_BY_WORD = {
    "Mem-Info:": _OPENING,
    "Mem-info:": _OPENING,
    "Node": _NODE,
    "DMA": _ZONE,
    "DMA32": _ZONE,
    "Normal": _ZONE,
    "HighMem": _ZONE,
    "Movable": _ZONE,
    "DMA:": _ZONE,
    "DMA32:": _ZONE,
    "Normal:": _ZONE,
    "HighMem:": _ZONE,
    "Movable:": _ZONE,
    "Free": _SWAP,
    "Total": _SWAP,
    "CPU:": _CPU,
    "Pid:": _CPU,
    "Process": _PROCESS,
    "Hardware": _HARDWARE,
    "memory:": _USAGE,
    "memory+swap:": _USAGE,
    "swap:": _USAGE,
    "kmem:": _USAGE,
    "Unreclaimable": _SLABS,
}
BY_SECTION = {
    Section.MEMORY: Kind(meminfo.take_counters),
    Section.STATS: _STAT,
    Section.SLABS: _SLAB,
    Section.ALLOCATIONS: _ALLOCATION,
}
"""What a line is taken for that is of no kind by itself. None of them ends a report, or can be broken."""


def kind_of(text: str) -> Kind | None:
    """The kind of the line by itself; None: not one of a report's, or only in its section."""
    if "ill" in text and (found := _kill_kind(text)):
        return found
    if text[:1] == "[":
        return _bracket_kind(text)
    word = text.partition(" ")[0]
    found = _BY_WORD.get(word)
    if found is not None:
        return found
    if word in _BY_WORD_AND_MORE:
        return _BY_WORD_AND_MORE[word](text)
    if word.isdecimal():
        return _PAGES if " pages" in text[:40] else None
    if ":" in word and word[-1].isdecimal() and word[0].isalpha():
        return _COUNTERS if meminfo.has_counters(text) else None
    if "oom" in text or "OOM" in text or "mem" in text:
        return _rare_kind(text)
    return None


def is_of_memcg(kind: Kind, text: str) -> bool | None:
    """Whether only a cgroup's report has such a line; False: only the machine's; None: both."""
    if kind.take in _OF_MEMCG or "CONSTRAINT_MEMCG" in text:
        return True
    return False if kind.take in _OF_MACHINE or ",global_oom," in text else None


def _kill_kind(text: str) -> Kind | None:
    if head.is_header(text):
        return HEADER
    if "illed process " in text:
        return KILLED
    if "ill process " in text:
        return SHARER if "sharing same memory" in text else _ANNOUNCED
    if "no killable process" in text:
        return NOBODY
    if "is already exiting. Skip kill" in text:
        return EXITING
    if text.startswith("Tasks in ") and "are going to be killed" in text:
        return GROUP
    return _CHOSEN if text.startswith("oom-kill:constraint=") else None


def _bracket_kind(text: str) -> Kind | None:
    if tasktable.is_row(text):
        return _ROW
    return _TABLE if "total_vm" in text and "pid" in text[:10] else None


def _memory_kind(text: str) -> Kind | None:
    if text.startswith("Memory cgroup stats"):
        return _STATS_FOR
    if text.startswith("Memory cgroup min protection"):
        return _PROTECTION
    return _ALLOCATIONS if text.startswith("Memory allocations:") else None


def _task_kind(text: str) -> Kind | None:
    if text.startswith("Tasks state"):
        return _STATE
    return _TASK_IN if text.startswith("Task in") else None


_BY_WORD_AND_MORE: dict[str, Callable[[str], Kind | None]] = {
    "Memory": _memory_kind,
    "Task": _task_kind,
    "Tasks": _task_kind,
}


def _rare_kind(text: str) -> Kind | None:
    """Each of these has `oom`, `OOM` or `mem` in it."""
    if text.startswith("oom_reaper: "):
        return REAPED
    if "moom_callback" in text:
        return _BY_SYSRQ
    if "mem_cgroup_out_of_memory+" in text:
        return _BY_MEMCG
    if "Manual OOM execution" in text:
        return SYSRQ
    if " cpuset=" in text and "mems_allowed=" in text:
        return _CPUSET
    if "deadlocked on memory" in text or "panic_on_oom" in text:
        return PANIC
    return None
