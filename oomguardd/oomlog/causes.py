"""Why it happened, in sentences.

Rule of this file: only what the report proves is said plainly; what it merely suggests says so.
"""

from __future__ import annotations

from oomguardd.oomlog.phrases import cgroup, is_v1, listed, name, percent, size, usable
from oomguardd.oomlog.report import Memory, Report, Usage, Zone

_COSTLY_ORDER = 3
"""Above it the kernel gives up rather than kill: PAGE_ALLOC_COSTLY_ORDER."""

_SMALL_ZONES = ("DMA", "Device")


def why(report: Report) -> list[str]:
    """The cause. Never empty."""
    return _CAUSES.get(report.cause, _unknown)(report)


def _sysrq(report: Report) -> list[str]:
    free, whole = _free(report.memory), usable(report.memory)
    state = f": {size(free)} of {size(whole)} ({percent(free, whole)}) was free" if free and whole else ""
    return [f"Somebody asked for it with SysRq-f; memory need not have been short{state}."]


def _memcg(report: Report) -> list[str]:
    memcg = report.memcg
    owner = cgroup(memcg.owner) if memcg and memcg.owner else "the cgroup (the log does not say which)"
    lines = [f"Memory ran out inside {owner}, not in the whole machine."]
    if memcg is None:
        return lines
    v1 = is_v1(report)
    for usage, what in (
        (memcg.memory, "memory.limit_in_bytes" if v1 else "memory.max"),
        (memcg.memory_and_swap, "memory.memsw.limit_in_bytes, memory and swap together"),
        (memcg.kernel, "memory.kmem.limit_in_bytes, the kernel's memory for it"),
    ):
        if usage is not None and is_full(usage):
            lines.append(f"It used {_of(usage)}: its limit, {what}.")
    if len(lines) == 1 and memcg.memory is not None:
        lines.append(f"It used {_of(memcg.memory)} when this was printed.")
    lines += _cgroup_swap(memcg.swap)
    if memcg.owner and memcg.victim and memcg.victim != memcg.owner:
        lines.append(f"The limit is not that of the victim's own cgroup, {cgroup(memcg.victim)}.")
    return lines


def is_full(usage: Usage) -> bool:
    """At its limit, but for what one allocation takes."""
    return usage.limit_bytes is not None and usage.usage_bytes >= usage.limit_bytes * 0.97


def _of(usage: Usage) -> str:
    limit = "an unlimited amount" if usage.limit_bytes is None else size(usage.limit_bytes)
    return f"{size(usage.usage_bytes)} of {limit}"


def _cgroup_swap(swap: Usage | None) -> list[str]:
    if swap is None:
        return []
    if swap.limit_bytes == 0:
        return ["It may not swap at all (memory.swap.max=0)."]
    if is_full(swap):
        return [f"Its swap was full as well: {_of(swap)} (memory.swap.max)."]
    if not swap.usage_bytes:
        return ["Nothing of it was in swap, though its limit allows that: the machine may have none."]
    return [f"It had {size(swap.usage_bytes)} in swap."]


def _cpuset(report: Report) -> list[str]:
    where = f"cpuset {cgroup(report.cpuset)}" if report.cpuset else "its cpuset"
    return _nodes(report, f"The task may only use memory of node {report.mems_allowed or '?'} ({where})")


def _mempolicy(report: Report) -> list[str]:
    return _nodes(report, f"The task's memory policy allows only node {report.nodemask or '?'}")


def _nodes(report: Report, limit: str) -> list[str]:
    allowed = _node_set(report.mems_allowed if report.cause == "cpuset" else report.nodemask)
    zones = report.memory.zones if report.memory else ()
    elsewhere = sum(zone.free_bytes or 0 for zone in zones if allowed and zone.node not in allowed)
    rest = f"; other nodes had {size(elsewhere)} free" if elsewhere else ""
    return [f"{limit}, and there it ran out{rest}.", *_zones(report), *_swap(report.memory)]


def _node_set(text: str) -> set[int]:
    """{0, 2, 3} of `0,2-3`; empty when it is no list. The kernel has at most 1024 nodes."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()) or len(part) > 9:
            return set()
        found.update(range(int(first), min(int(last or first), 1023) + 1))
    return found


def _global(report: Report) -> list[str]:
    whole = usable(report.memory)
    ram = f" ({size(whole)} of RAM)" if whole else ""
    lines = [f"The whole machine{ram} was out of memory that could be had."]
    pieces = fragmentation(report)
    if pieces:
        lines = [f"The machine{ram} had free memory, but not in one piece.", *pieces]
    return [*lines, *_zones(report), *_swap(report.memory), *_kernel_request(report)]


def fragmentation(report: Report) -> list[str]:
    """Free pages enough, and no block as large as was wanted; empty when that was not it."""
    order = report.order or 0
    if order <= 0:
        return []
    wanted = report.page_bytes << min(order, 32)
    zones = [zone for zone in _large(report) if zone.blocks and zone.free_bytes is not None]
    above = [zone for zone in zones if (zone.free_bytes or 0) > (zone.min_bytes or 0)]
    blocks = sum(count for zone in zones for block_bytes, count in zone.blocks if block_bytes >= wanted)
    pages = f"{1 << min(order, 32)} pages in a row ({size(wanted)}) were wanted"
    if above and not blocks:
        free = sum(zone.free_bytes or 0 for zone in above)
        return [f"{pages}: {size(free)} was free, but in smaller pieces. That is fragmentation."]
    if above and order > _COSTLY_ORDER:
        return [f"{pages}; only {blocks} such blocks were free, which may be kept for others."]
    return []


def _large(report: Report) -> list[Zone]:
    """The zones that ordinary memory comes from; the 16 MiB of DMA do not count beside others."""
    zones = report.memory.zones if report.memory else ()
    return [zone for zone in zones if zone.name not in _SMALL_ZONES] or list(zones)


def _zones(report: Report) -> list[str]:
    zones = _large(report)
    low = [
        z for z in zones if z.free_bytes is not None and z.free_bytes <= (z.low_bytes or z.min_bytes or -1)
    ]
    told = [
        f"{_zone_name(zone)} had {size(zone.free_bytes)} free, and keeps {size(zone.min_bytes)}"
        for zone in low
    ]
    high = [z for z in zones if z.name in ("HighMem", "Movable") and z not in low and z.free_bytes]
    if low and high:
        free = sum(zone.free_bytes or 0 for zone in high)
        told.append(f"{size(free)} in {listed([z.name for z in high])} is of no use to the kernel itself")
    text = "; ".join(told[:8])
    return [f"{text[:1].upper()}{text[1:]}."] if told else []


def _zone_name(zone: Zone) -> str:
    return f"zone {zone.name} of node {zone.node}"


def _free(memory: Memory | None) -> int:
    if memory is None:
        return 0
    return memory.counters.get("free") or sum(zone.free_bytes or 0 for zone in memory.zones)


def _swap(memory: Memory | None) -> list[str]:
    if memory is None or memory.swap_total_bytes is None:
        return []
    total, free = memory.swap_total_bytes, memory.swap_free_bytes
    if not total:
        return ["There is no swap."]
    if free is None:
        return []
    if free < total * 0.05:
        return [f"Swap was full: {size(free)} of {size(total)} was free."]
    return [f"{size(free)} of {size(total)} swap was still free: what held the memory cannot be swapped out."]


def _kernel_request(report: Report) -> list[str]:
    narrow = [
        flag for flag in report.gfp_flags if flag in ("GFP_DMA", "GFP_DMA32", "__GFP_DMA", "__GFP_DMA32")
    ]
    if narrow and report.trigger:
        return [
            f"{name(report.trigger.comm)} needed memory of a low zone ({narrow[0]}), which is always small."
        ]
    return []


def _unknown(report: Report) -> list[str]:
    return ["The log does not have the lines that tell why: the report is cut, or was rate-limited."]


_CAUSES = {
    "sysrq": _sysrq,
    "memcg": _memcg,
    "cpuset": _cpuset,
    "mempolicy": _mempolicy,
    "global": _global,
}
