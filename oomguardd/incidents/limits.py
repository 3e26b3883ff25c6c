"""How much whoever took too much should be given.

Rule of this file: the limit is made of what was measured: the machine's memory without the victim, less what
everybody else needs to be at ease. Where that leaves too little to work with, no limit is proposed.
"""

from __future__ import annotations

from collections.abc import Iterator

from oomguardd.engine.words import size
from oomguardd.incidents.case import Case
from oomguardd.incidents.places import Limit, place_of, tasks_place
from oomguardd.incidents.remedy import GIB, MIB, Advice, rounded_bytes, setting_size

RESERVE = (0.2, 8 * GIB)
"""Of RAM, and at most so much: a little more than the built-in trigger for warnings leaves (15 %, 6 GiB)."""

HIGH_PART = 0.85
"""memory.high, from where it is slowed down and reclaimed from, below the limit that kills."""

SMALL_PART = 0.05
LEAST_PART = 0.4
"""With less of what it held hardly anything can do its work."""

LEAST = 64 * MIB
LEAST_TASKS = 512
"""Threads count as tasks: a desktop application or a service may well have some hundreds."""


def limit_for(case: Case) -> Limit | None:
    """What the victim could have had without taking everybody's air; None where that is next to nothing, or
    cannot be known."""
    held, total, available = case.held_bytes, case.reading("mem_total"), case.reading("mem_available")
    if held is None or total is None or available is None or case.asked_for:
        return None
    most = min(held, available + _resident(case) - min(RESERVE[0] * total, RESERVE[1]))
    if most < max(LEAST, LEAST_PART * held):
        return None
    return Limit(rounded_bytes(HIGH_PART * most), rounded_bytes(most))


def _resident(case: Case) -> float:
    """What its end gives back to memory; of a party nobody says what was in swap."""
    in_swap = (case.victim.number("swap_bytes") or 0.0) if case.count == 1 else 0.0
    return max(0.0, (case.held_bytes or 0.0) - in_swap)


def is_small(case: Case) -> bool:
    """Whose limit would not have saved anything: it was not the one who took the memory."""
    total = case.reading("mem_total")
    return bool(total and case.held_bytes is not None and case.held_bytes < SMALL_PART * total)


def _of_a_limit(case: Case) -> bool:
    """It has a limit already, and that was the reason."""
    return case.kind == "kernel_kill" and case.kill.text("constraint", "none") not in ("none", "")


def limit(case: Case) -> Iterator[Advice]:
    """For a kill because the machine ran short."""
    found = limit_for(case)
    if found is None or _of_a_limit(case) or is_small(case):
        return
    place = place_of(case.owner, found)
    why = (
        f"It held {size(case.held_bytes)} when {size(case.reading('mem_available'))} were left. With at most"
        f" {size(found.max_bytes)} the others would have kept room enough"
    )
    slowed = f": from {size(found.high_bytes)} on it is slowed down, and at the limit it alone is ended"
    why += slowed if "MemoryHigh" in place.change else ": at its limit it alone is ended"
    yield Advice(f"Give {place.what} a limit", f"{why}.", place.where, place.change)


def overfull(case: Case) -> Iterator[Advice]:
    """Whoever is ended, the rest is too much."""
    total, available = case.reading("mem_total"), case.reading("mem_available")
    if (
        total is None
        or available is None
        or case.held_bytes is None
        or limit_for(case)
        or _of_a_limit(case)
        or is_small(case)
        or case.asked_for
    ):
        return
    others = max(0.0, total - available - _resident(case))
    yield Advice(
        "Have less run here, or add memory",
        f"It held {size(case.held_bytes)}, and all the others {size(others)} of {size(total)}: a limit small"
        " enough to leave them room would not have let it work.",
        "who holds how much",
        "oomguardctl rank -n all",
    )


_OWN_SETTINGS = {
    "java": ("its heap", "-XX:MaxRAMPercentage=60   # of its container's or cgroup's limit; or -Xmx{heap}"),
    "node": ("its heap", "NODE_OPTIONS=--max-old-space-size={heap_mib}"),
    "postgres": (
        "its buffers and sorts",
        "shared_buffers = {quarter}B\nwork_mem = 16MB\nmax_connections = 100",
    ),
    "mysqld": ("its buffer pool", "[mysqld]\ninnodb_buffer_pool_size = {heap}"),
    "mariadbd": ("its buffer pool", "[mariadbd]\ninnodb_buffer_pool_size = {heap}"),
    "redis-server": ("what it keeps", "maxmemory {heap}b\nmaxmemory-policy allkeys-lru"),
    "valkey-server": ("what it keeps", "maxmemory {heap}b\nmaxmemory-policy allkeys-lru"),
    "mongod": ("its cache", "storage:\n  wiredTiger:\n    engineConfig:\n      cacheSizeGB: {gib}"),
    "cc1plus": ("the number of compilers at once", "MAKEFLAGS=-j{jobs}"),
    "rustc": ("the number of compilers at once", "CARGO_BUILD_JOBS={jobs}"),
}
"""Programs that can be told how much to take: what is set, and how. The heap is 70 % of the limit."""

_PER_COMPILER = 2 * GIB


def own_setting(case: Case) -> Iterator[Advice]:
    """Where the program itself can be told, that is better than a limit that kills it."""
    comm = case.victim.text("comm", "")
    known, found = _OWN_SETTINGS.get(comm), limit_for(case)
    if known is None or found is None or is_small(case):
        return
    heap = rounded_bytes(0.7 * found.max_bytes)
    total = case.reading("mem_total") or case.kill.fields("totals").number("ram_bytes") or 0.0
    change = known[1].format(
        heap=setting_size(heap),
        heap_mib=heap // MIB,
        quarter=setting_size(rounded_bytes(found.max_bytes / 4)),
        gib=f"{max(0.25, heap / GIB):.2f}",
        jobs=max(1, int(0.8 * total / _PER_COMPILER)),
    )
    yield Advice(
        f"Tell {comm} how much it may take",
        f"A program that knows its bound gives memory back where a limit would end it; {known[0]} can be"
        " set.",
        "its own settings",
        change,
    )


def tasks(case: Case) -> Iterator[Advice]:
    """Against many small ones: as many as the limit on their memory would hold."""
    party, found = case.party, limit_for(case)
    held = party.number("held_bytes")
    if party.text("unit", "") != "swarm" or not held or found is None:
        return
    most = max(LEAST_TASKS, int(found.max_bytes / (held / case.count)))
    where, change = tasks_place(case.owner, most)
    yield Advice(
        "Bound the number of processes",
        f"{case.count} processes of the same name held {size(held)} together: a fork bomb, or a program that"
        f" starts one worker after another. {most} tasks, threads included, are room for what is no bomb.",
        where,
        change,
    )
