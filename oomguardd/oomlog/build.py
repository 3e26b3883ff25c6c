"""From raw facts to a report: pages become bytes, and the cause is named.

Rule of this file: conclusions are drawn here and nowhere else, each from what only that cause leaves behind.
"""

from __future__ import annotations

from dataclasses import replace

from oomguardd.oomlog.draft import Draft, RawZone
from oomguardd.oomlog.report import (
    ASSUMED_PAGE_BYTES,
    Memcg,
    Memory,
    Named,
    Report,
    Task,
    Victim,
    Zone,
)

MOST_SHOWN = 10
"""Slab caches and allocators that are kept; what is below holds little."""

_PAGE_KB = (4, 8, 16, 32, 64, 128, 256)


def build(draft: Draft) -> Report:
    """The report, of whatever was found."""
    known = _page_kb(draft)
    page_bytes = known * 1024 if known else ASSUMED_PAGE_BYTES
    tasks = tuple(
        _task(pid, columns, numbers, name, page_bytes) for pid, (columns, numbers, name) in draft.rows.items()
    )
    return Report(
        _cause(draft),
        draft.first.uptime_s,
        draft.first.stamp,
        draft.first.host,
        draft.kernel,
        draft.hardware,
        draft.trigger,
        draft.gfp_mask,
        draft.gfp_flags,
        draft.order,
        draft.constraint,
        draft.nodemask,
        draft.cpuset,
        draft.mems_allowed,
        _memcg(draft),
        _memory(draft, page_bytes),
        tasks,
        draft.announced,
        tuple(_victim(draft, victim) for victim in draft.victims.values()),
        tuple(draft.exiting),
        draft.nobody,
        draft.allocating_task,
        draft.panic,
        draft.headed and bool(draft.victims or draft.exiting or draft.nobody or draft.panic),
        page_bytes,
        known is None,
    )


def _cause(draft: Draft) -> str:
    """5.0 to 5.2-rc always print CONSTRAINT_NONE, so a cgroup's limit is told by what else is there."""
    if draft.order == -1 or draft.sysrq:
        return "sysrq"
    usages = bool(draft.usages) or draft.stats_of is not None
    if draft.in_memcg or draft.owner is not None or usages or draft.constraint == "CONSTRAINT_MEMCG":
        return "memcg"
    if draft.constraint == "CONSTRAINT_CPUSET":
        return "cpuset"
    if draft.constraint == "CONSTRAINT_MEMORY_POLICY":
        return "mempolicy"
    if draft.in_machine or draft.global_oom or draft.counters or draft.zones:
        return "global"
    return "unknown"


def _page_kb(draft: Draft) -> int | None:
    """The smallest free block is a page; and the victim's pages and kB are known from its row."""
    for zone in draft.zones.values():
        if len(zone.blocks) > 2 and zone.blocks[0][0] in _PAGE_KB:
            return zone.blocks[0][0]
    for victim in draft.victims.values():
        columns, numbers, _ = draft.rows.get(victim.pid, ((), (), ""))
        pages = dict(zip(columns, numbers, strict=False)).get("total_vm", 0)
        total_kb = (victim.total_vm_bytes or 0) >> 10
        if pages > 0 and total_kb % pages == 0 and total_kb // pages in _PAGE_KB:
            return total_kb // pages
    return None


def _task(pid: int, columns: tuple[str, ...], numbers: tuple[int, ...], name: str, page_bytes: int) -> Task:
    row = dict(zip(columns, numbers, strict=False))
    sizes = {column: pages * page_bytes if pages > 0 else 0 for column, pages in row.items()}
    tables: int | None = None
    if "pgtables_bytes" in row:
        tables = max(0, row["pgtables_bytes"])
    elif "nr_ptes" in row:
        tables = sizes["nr_ptes"] + sizes.get("nr_pmds", 0) + sizes.get("nr_puds", 0)
    return Task(
        pid,
        name,
        row.get("uid", 0),
        row.get("tgid", pid),
        sizes.get("total_vm", 0),
        sizes.get("rss", 0),
        sizes.get("rss_anon"),
        sizes.get("rss_file"),
        sizes.get("rss_shmem"),
        tables,
        sizes.get("swapents"),
        row.get("oom_score_adj"),
        row.get("oom_adj"),
    )


def _victim(draft: Draft, victim: Victim) -> Victim:
    """What its own line does not say, from the others."""
    columns, numbers, name = draft.rows.get(victim.pid, ((), (), ""))
    row = dict(zip(columns, numbers, strict=False))
    chosen = draft.chosen == victim.pid
    announced = draft.announced if draft.announced and draft.announced.pid == victim.pid else None
    uid = victim.uid if victim.uid is not None else draft.chosen_uid if chosen else None
    adj = victim.oom_score_adj
    return replace(
        victim,
        comm=victim.comm or (draft.chosen_comm if chosen else "") or name,
        uid=row.get("uid") if uid is None else uid,
        score=announced.score if announced else None,
        oom_score_adj=row.get("oom_score_adj") if adj is None else adj,
    )


def _memcg(draft: Draft) -> Memcg | None:
    protected = draft.protected_kb
    stats = dict(draft.stats)
    for below in draft.stats_below.values():
        for name, size_bytes in below.items():
            stats[name] = stats.get(name, 0) + size_bytes
    found = Memcg(
        draft.owner or draft.stats_of or None,
        draft.victim_cgroup,
        draft.group,
        draft.usages.get("memory"),
        draft.usages.get("swap"),
        draft.usages.get("memory+swap"),
        draft.usages.get("kmem"),
        stats,
        protected[0] << 10 if protected else None,
        protected[1] << 10 if protected else None,
    )
    return found if found != Memcg() else None


def _memory(draft: Draft, page_bytes: int) -> Memory | None:
    ram, reserved = draft.pages.get("ram"), draft.pages.get("reserved")
    total, free = draft.swap_kb.get("total"), draft.swap_kb.get("free")
    huge = sum(draft.hugepages_kb.values()) << 10 if draft.hugepages_kb else None
    found = Memory(
        None if ram is None else ram * page_bytes,
        None if reserved is None else reserved * page_bytes,
        None if total is None else total << 10,
        None if free is None else free << 10,
        huge,
        {name: pages * page_bytes for name, pages in draft.counters.items()},
        {node: _positive(sizes_kb) for node, sizes_kb in draft.nodes_kb.items()},
        tuple(_zone(*key, raw) for key, raw in draft.zones.items()),
        _largest({name: size_kb << 10 for name, size_kb in draft.slabs_kb.items()}),
        _largest(draft.allocations),
    )
    return found if found != Memory() else None


def _positive(sizes_kb: dict[str, int]) -> dict[str, int]:
    return {name: max(0, size_kb) << 10 for name, size_kb in sizes_kb.items()}


def _zone(node: int, name: str, raw: RawZone) -> Zone:
    sizes = _positive(raw.counters)
    return Zone(
        node,
        name,
        sizes.get("free"),
        sizes.get("min"),
        sizes.get("low"),
        sizes.get("high"),
        sizes.get("managed", sizes.get("present")),
        raw.unreclaimable,
        tuple((size_kb << 10, count) for size_kb, count in raw.blocks),
    )


def _largest(sizes: dict[str, int]) -> tuple[Named, ...]:
    rows = sorted((Named(name, size_bytes) for name, size_bytes in sizes.items()), key=lambda row: -row[1])
    return tuple(row for row in rows[:MOST_SHOWN] if row.size_bytes)
