"""What is said of a report: why, who held the memory, and what would help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oomguardd.oomlog import Memcg, Memory, Report, Task, Usage, Victim, Zone, explain, explain_parts
from oomguardd.oomlog.report import Named, Reaped

MIB, GIB = 1 << 20, 1 << 30

COUNTERS = {
    "active_anon": 2 * GIB,
    "inactive_anon": 0,
    "active_file": 0,
    "inactive_file": 0,
    "slab_unreclaimable": 100 * MIB,
    "slab_reclaimable": 0,
    "shmem": 0,
    "pagetables": 0,
    "free": 100 * MIB,
}
ZONE = Zone(0, "Normal", 30 * MIB, 40 * MIB, 50 * MIB, 60 * MIB, 4 * GIB, False)


def machine(memory: Memory | None = None, **more: Any) -> Report:
    state = memory or Memory(4 * GIB, 0, 8 * GIB, 0, 0, {**COUNTERS, "active_anon": 4 * GIB - 200 * MIB})
    victim = Victim(7, "java", 1000, None, 9 * GIB, 3 * GIB, 0, 0)
    return replace(Report("global", memory=state, victims=(victim,), order=0, complete=True), **more)


def task(pid: int, comm: str, rss_bytes: int, adj: int = 0, swap_bytes: int = 0) -> Task:
    return Task(pid, comm, 0, pid, rss_bytes, rss_bytes, swap_bytes=swap_bytes, oom_score_adj=adj)


def words(report: Report) -> str:
    return " ".join(explain(report))


@pytest.mark.parametrize(
    ("total", "free", "expected"),
    [
        (0, 0, "There is no swap."),
        (8 * GIB, 0, "Swap was full: 0 B of 8.0 GiB was free."),
        (8 * GIB, 4 * GIB, "4.0 GiB of 8.0 GiB swap was still free"),
    ],
)
def test_swap(total: int, free: int, expected: str) -> None:
    assert expected in words(machine(Memory(4 * GIB, 0, total, free)))


def test_fragmentation() -> None:
    zone = ZONE._replace(free_bytes=900 * MIB, blocks=((4096, 230000), (8192, 100), (16384, 0), (32768, 0)))
    memory = Memory(4 * GIB, 0, 0, 0, 0, COUNTERS, zones=(zone,))
    report = machine(memory, order=2)
    assert "had free memory, but not in one piece" in words(report)
    assert "4 pages in a row (16 KiB) were wanted: 900 MiB was free, but in smaller pieces" in words(report)
    assert "vm.min_free_kbytes" in words(report)
    assert "fragmentation" not in words(machine(memory, order=1))


def test_a_zone_below_its_minimum() -> None:
    assert "Zone Normal of node 0 had 30 MiB free, and keeps 40 MiB." in words(machine(Memory(zones=(ZONE,))))


def test_low_memory_of_32_bits() -> None:
    high = ZONE._replace(name="HighMem", free_bytes=3 * GIB)
    assert "3.0 GiB in HighMem is of no use to the kernel itself" in words(
        machine(Memory(zones=(ZONE, high)))
    )


@pytest.mark.parametrize(
    ("counters", "huge", "expected", "advice"),
    [
        ({"shmem": 2 * GIB}, 0, "2.0 GiB (50%) was shared memory", "tmpfs"),
        ({"slab_unreclaimable": GIB}, 0, "1.0 GiB (25%) was the kernel's own", "slabtop"),
        ({"pagetables": GIB}, 0, "1.0 GiB (25%) were page tables", "page tables small"),
        ({}, GIB, "1.0 GiB (25%) is set aside as huge pages", "fewer huge pages"),
        ({}, 0, "1.8 GiB (45%) is in none of the kernel's counters", "MemTotal"),
    ],
)
def test_what_no_kill_frees(counters: dict[str, int], huge: int, expected: str, advice: str) -> None:
    said = words(machine(Memory(4 * GIB, 0, 0, 0, huge, {**COUNTERS, **counters})))
    assert expected in said
    assert advice in said


def test_the_names_of_slab_caches() -> None:
    memory = Memory(
        4 * GIB, 0, 0, 0, 0, {**COUNTERS, "slab_unreclaimable": 2 * GIB}, slabs=(Named("dentry", GIB),)
    )
    assert "largest slab caches: dentry 1.0 GiB" in words(machine(memory))


def test_who_held_most() -> None:
    tasks = (*(task(100 + at, "chrome", 100 * MIB) for at in range(20)), task(7, "java", GIB, 0, GIB))
    parts = explain_parts(machine(tasks=tasks))
    assert parts.largest[0].startswith(
        "The processes that held most: java[7] 2.0 GiB (1.0 GiB of it in swap)"
    )
    assert "and 16 more 1.6 GiB." in parts.largest[0]
    many = explain_parts(machine(tasks=(*tasks, *(task(200 + at, "chrome", GIB) for at in range(4)))))
    assert "Together, 24 processes named chrome held 6.0 GiB." in many.held


def test_the_largest_was_spared() -> None:
    tasks = (task(7, "java", 100 * MIB), task(8, "postgres", 3 * GIB, -1000), task(9, "sshd", GIB, -900))
    said = words(machine(tasks=tasks))
    assert (
        "Larger than the victim, but protected: postgres[8] (never killed, 3.0 GiB) and sshd[9]"
        " (oom_score_adj -900, 1.0 GiB)." in said
    )


def test_no_process_held_it() -> None:
    said = words(machine(tasks=(task(7, "java", 40 * MIB),)))
    assert "All processes together had only 40 MiB (1%) in memory" in said


def test_limits_of_cgroups() -> None:
    full = Usage(512 * MIB, 512 * MIB, 9)
    v2 = Report("memcg", memcg=Memcg("/a", "/a/b", memory=full, swap=Usage(0, 0, 0)))
    assert "It used 512 MiB of 512 MiB: its limit, memory.max." in words(v2)
    assert "It may not swap at all" in words(v2)
    assert "The limit is not that of the victim's own cgroup, /a/b." in words(v2)
    v1 = Report("memcg", memcg=Memcg("/a", "/a", memory=Usage(GIB, 2 * GIB, 0), memory_and_swap=full))
    assert "memory.memsw.limit_in_bytes" in words(v1)
    assert "memory.limit_in_bytes" not in " ".join(explain_parts(v1).why)
    kernel = Report("memcg", memcg=Memcg("/a", memory=Usage(GIB, None, 0), kernel=full))
    assert "memory.kmem.limit_in_bytes" in words(kernel)
    swapped = Report("memcg", memcg=Memcg("/a", memory=full, swap=full))
    assert "Its swap was full as well: 512 MiB of 512 MiB" in words(swapped)


def test_a_cgroup_full_of_shared_memory() -> None:
    memcg = Memcg("/a", memory=Usage(512 * MIB, 512 * MIB, 9), stats={"anon": MIB, "shmem": 400 * MIB})
    assert "400 MiB (78%) was shared memory" in words(Report("memcg", memcg=memcg))


def test_ends() -> None:
    victim = Victim(7, "java", reaped=Reaped(0, 0, 5 * MIB))
    assert "5 MiB of it stayed" in words(Report("global", victims=(victim,)))
    stuck = replace(victim, reaped=None, unreapable=True)
    assert "stuck in the kernel" in words(Report("global", victims=(stuck,)))
    assert "exiting already" in words(Report("global", already_exiting=(7,)))
    assert "The kernel panicked: no hope." in words(Report("global", panic="no hope"))
    assert "The log ends before it says who was killed." in words(Report("unknown"))
    nobody = Report("memcg", nobody_killable=True, tasks=(task(1, "a", 1, -1000),))
    assert "give that to fewer" in words(nobody)


def test_an_empty_report_has_words() -> None:
    for cause in ("memcg", "global", "cpuset", "mempolicy", "sysrq", "unknown"):
        assert len(explain(Report(cause))) >= 2
