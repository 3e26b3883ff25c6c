"""Names and sizes for sentences. Whatever a process or a cgroup calls itself is made printable here."""

from __future__ import annotations

from oomguardd.oomlog.report import Memory, Report, Task, Victim
from oomguardd.units import format_bytes, printable

LONGEST_PATH = 120

NEVER_KILLED = -1000


def size(size_bytes: int | None) -> str:
    return "an unknown amount" if size_bytes is None else format_bytes(size_bytes)


def name(comm: str) -> str:
    """A process's name; of hostile ones only the beginning."""
    return printable(comm[:64]) or "?"


def who(process: Victim | Task) -> str:
    """`mysqld[6576]`."""
    return f"{name(process.comm)}[{process.pid}]"


def cgroup(path: str) -> str:
    """Its end tells more than its beginning."""
    shown = printable(path)
    return shown if len(shown) <= LONGEST_PATH else "…" + shown[1 - LONGEST_PATH :]


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "?"


def listed(words: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def counter(memory: Memory | None, *names: str) -> int:
    """The sum of what the kernel counts under those names; 0 for what it did not tell."""
    if memory is None:
        return 0
    if any(key in memory.counters for key in names):
        return sum(memory.counters.get(key, 0) for key in names)
    return sum(node.get(key, 0) for node in memory.nodes.values() for key in names)


def usable(memory: Memory | None) -> int:
    """RAM without what the kernel has set aside at boot."""
    if memory is None or memory.ram_bytes is None:
        return 0
    return max(0, memory.ram_bytes - (memory.reserved_bytes or 0))


def is_v1(report: Report) -> bool:
    """Whether the cgroups are those of version 1."""
    memcg = report.memcg
    return memcg is not None and (memcg.memory_and_swap is not None or memcg.kernel is not None)
