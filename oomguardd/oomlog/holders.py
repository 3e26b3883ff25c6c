"""Who held the memory: processes, and what no process's death gives back.

Rule of this file: a share is of what ran out, that is of the cgroup's limit or of the machine's RAM.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.oomlog.phrases import NEVER_KILLED, counter, listed, name, percent, size, usable, who
from oomguardd.oomlog.report import Named, Report, Task

MOST_NAMED = 5

_MUCH = 0.2
_KERNEL_MUCH = 0.15

_CACHE = ("active_file", "inactive_file", "Active_file", "Inactive_file")
_ANON = ("active_anon", "inactive_anon", "Active_anon", "Inactive_anon", "isolated_anon")


class Share(NamedTuple):
    """Something other than a process that held much."""

    what: str
    """shmem, kernel, hugepages, pagetables, unaccounted."""
    size_bytes: int
    whole_bytes: int


def whole_bytes(report: Report) -> int:
    """What ran out: the cgroup's limit, or the machine's RAM; 0 when it is not said."""
    memcg = report.memcg
    if report.cause == "memcg" and memcg is not None:
        usage = memcg.memory
        return (usage.limit_bytes or usage.usage_bytes) if usage else 0
    return usable(report.memory)


def shares(report: Report) -> list[Share]:
    """What held a large part without being any process's private memory, largest first."""
    whole = whole_bytes(report)
    found = _cgroup_sizes(report) if report.cause == "memcg" else _machine_sizes(report)
    least = {"shmem": _MUCH, "pagetables": 0.1, "hugepages": 0.1}
    large = [
        Share(what, size_bytes, whole)
        for what, size_bytes in found.items()
        if whole and size_bytes > whole * least.get(what, _KERNEL_MUCH)
    ]
    return sorted(large, key=lambda share: -share.size_bytes)


def _cgroup_sizes(report: Report) -> dict[str, int]:
    stats = report.memcg.stats if report.memcg else {}
    return {
        "shmem": stats.get("total_shmem", stats.get("shmem", 0)),
        "pagetables": stats.get("pagetables", 0),
        "kernel": max(
            0, stats.get("kernel", stats.get("slab_unreclaimable", 0)) - stats.get("pagetables", 0)
        ),
    }


def _machine_sizes(report: Report) -> dict[str, int]:
    memory = report.memory
    sizes = {
        "shmem": counter(memory, "shmem"),
        "kernel": counter(memory, "slab_unreclaimable", "slab"),
        "pagetables": counter(memory, "pagetables", "sec_pagetables"),
        "hugepages": (memory.hugepages_bytes or 0) if memory else 0,
    }
    known = sum(sizes.values()) - sizes["shmem"] + counter(memory, *_ANON, *_CACHE, "isolated_file")
    known += counter(memory, "free", "unevictable", "slab_reclaimable", "free_pcp", "kernel_misc_reclaimable")
    known += sum(node.get("kernel_stack", 0) for node in memory.nodes.values()) if memory else 0
    if memory and {"free", "slab_unreclaimable", "active_anon", "active_file"} <= set(memory.counters):
        sizes["unaccounted"] = max(0, usable(memory) - known)
    return sizes


def holders(report: Report) -> list[str]:
    """What a list of the largest processes does not show."""
    return [
        *_together(report),
        *_passed_over(report),
        *_little(report),
        *(_in_words(report, one) for one in shares(report)),
    ]


def largest(report: Report) -> list[Task]:
    """All processes of the table, those that held most first; threads of one memory are one row each."""
    return sorted(report.tasks, key=lambda task: -task.held_bytes)


def processes(report: Report) -> list[str]:
    """The largest processes, in a sentence; empty when the table is not there."""
    tasks = [task for task in largest(report) if task.held_bytes]
    told = [f"{who(task)} {_held(task)}" for task in tasks[:MOST_NAMED]]
    rest = sum(task.held_bytes for task in tasks[MOST_NAMED:])
    if rest:
        told.append(f"{len(tasks) - MOST_NAMED} more {size(rest)}")
    return [f"The processes that held most: {listed(told)}."] if told else []


def _together(report: Report) -> list[str]:
    """Many small ones of one name are one large one."""
    by_name: dict[str, list[int]] = {}
    for task in report.tasks:
        by_name.setdefault(task.comm, []).append(task.held_bytes)
    if not by_name:
        return []
    comm, sizes = max(by_name.items(), key=lambda item: sum(item[1]))
    alone = max(task.held_bytes for task in report.tasks)
    if len(sizes) < 2 or sum(sizes) < alone * 1.2:
        return []
    return [f"Together, {len(sizes)} processes named {name(comm)} held {size(sum(sizes))}."]


def _little(report: Report) -> list[str]:
    """Where all processes together are not what fills the machine, no kill can help."""
    whole, held = whole_bytes(report), sum(task.rss_bytes for task in report.tasks)
    if report.cause != "global" or not report.tasks or held > whole * 0.4:
        return []
    return [
        f"All processes together had only {size(held)} ({percent(held, whole)}) in memory: something else"
        " held the rest, and no kill brings that back."
    ]


def _held(task: Task) -> str:
    swapped = f" ({size(task.swap_bytes)} of it in swap)" if task.swap_bytes else ""
    return f"{size(task.held_bytes)}{swapped}"


def _passed_over(report: Report) -> list[str]:
    """Larger than the victim, and spared: the question that everybody asks."""
    victim, tasks = report.victim, largest(report)
    if victim is None or not tasks or report.cause == "sysrq":
        return []
    own = next((task.held_bytes for task in tasks if task.pid == victim.pid), victim.held_bytes or 0)
    larger = [
        task
        for task in tasks
        if task.held_bytes > own * 1.05 and task.pid != victim.pid and (task.oom_score_adj or 0) < 0
    ]
    told = [
        f"{who(task)} ({'never killed' if task.oom_score_adj == NEVER_KILLED else 'oom_score_adj'}"
        f"{'' if task.oom_score_adj == NEVER_KILLED else f' {task.oom_score_adj}'}, {size(task.held_bytes)})"
        for task in larger[:MOST_NAMED]
    ]
    return [f"Larger than the victim, but protected: {listed(told)}."] if told else []


def _in_words(report: Report, share: Share) -> str:
    amount = f"{size(share.size_bytes)} ({percent(share.size_bytes, share.whole_bytes)})"
    if share.what == "shmem":
        return (
            f"{amount} was shared memory: files in tmpfs (/dev/shm, /tmp, /run), memfds, System V segments."
            " Killing a process does not free files in a tmpfs."
        )
    if share.what == "hugepages":
        return f"{amount} is set aside as huge pages, used or not (vm.nr_hugepages)."
    if share.what == "pagetables":
        return f"{amount} were page tables: many processes map the same memory, or sparsely."
    if share.what == "unaccounted":
        return (
            f"{amount} is in none of the kernel's counters: a driver, a GPU, a balloon of the hypervisor,"
            " zram, or ZFS may hold it."
        )
    return f"{amount} was the kernel's own and cannot be reclaimed{_kernel_names(report)}."


def _kernel_names(report: Report) -> str:
    memory = report.memory
    if memory is None:
        return ""
    slabs = [_named(slab) for slab in memory.slabs[:3]]
    callers = [_named(caller) for caller in memory.allocations[:3]]
    return (f"; largest slab caches: {listed(slabs)}" if slabs else "") + (
        f"; largest allocators: {listed(callers)}" if callers else ""
    )


def _named(one: Named) -> str:
    return f"{name(one.name)} {size(one.size_bytes)}"
