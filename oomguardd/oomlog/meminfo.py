"""The Mem-Info block: counters of the machine, nodes, zones, free blocks, swap, slab caches.

It has changed with nearly every release, so this reads `name:number` pairs wherever they stand. Counters of
the machine are pages, all else says its unit.
"""

from __future__ import annotations

import re

from oomguardd.oomlog.draft import MOST_NAMES, Draft, RawZone, Section

_COUNTER = re.compile(r"([a-zA-Z_]{2,40}(?:\((?:anon|file)\))?):(-?\d{1,18})(?=\s|$)")
_FIRST_COUNTERS = frozenset(
    (
        "Active",
        "Active_anon",
        "active_anon",
        "active_file",
        "free",
        "inactive_file",
        "kernel_misc_reclaimable",
        "mapped",
        "sec_pagetables",
        "slab_reclaimable",
        "unevictable",
    )
)
_SIZE = re.compile(r"([a-z_]{2,40}(?:\((?:anon|file)\))?): ?(-?\d{1,18})[kK]B")
_NODE = re.compile(r"^Node (\d{1,5}) (?=[a-z])")
_ZONE = re.compile(r"^(?:Node (\d{1,5}) )?(DMA32|DMA|Normal|HighMem|Movable|Device) (?=free:)")
_BLOCKS = re.compile(r"^(?:Node (\d{1,5}) )?(DMA32|DMA|Normal|HighMem|Movable|Device): (?=\d{1,12}\*)")
_BLOCK = re.compile(r"(\d{1,12})\*(\d{1,9})kB")
_HUGE = re.compile(r"^(?:Node (\d{1,5}) )?hugepages_total=(\d{1,12}) .*hugepages_size=(\d{1,12})kB")
_SWAP = re.compile(r"^(Free|Total) swap *[=:]? *(-?\d{1,18})kB")
_PAGES = re.compile(r"^(\d{1,15}) (?:pages (?:of )?(RAM|reserved)|(reserved) pages)")
_SLAB = re.compile(r"^(\S{1,80}) +(\d{1,15})KB +(\d{1,15})KB$")
_ALLOCATION = re.compile(r"^(\d{1,18}|\d{1,9}(?:\.\d{1,3})? (?:B|[KMGTP]i?B)) +\d{1,18} (\S.*)$")
_UNITS = {"B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50}
_UNRECLAIMABLE = "all_unreclaimable? yes"


def take_opening(draft: Draft, text: str, again: bool) -> bool:
    """`Mem-Info:` (2.6.8: `Mem-info:`)."""
    if draft.counters or draft.zones:
        return False
    draft.section = Section.MEMORY
    return True


def take_counters(draft: Draft, text: str, again: bool) -> bool:
    """`active_anon:788641 inactive_anon:3457 isolated_anon:0`, in pages, on several lines."""
    found = [(name, int(value)) for name, value in _COUNTER.findall(text)] if ":" in text else []
    if not found or draft.zones or (found[0][0] in draft.counters and not again):
        return False
    for name, value in found:
        if len(draft.counters) < MOST_NAMES:
            draft.counters[name] = max(0, value)
    draft.section = Section.MEMORY
    return True


def has_counters(text: str) -> bool:
    """Whether one that has been the first of its line in any kernel is there."""
    found = _COUNTER.match(text)
    return found is not None and found.group(1) in _FIRST_COUNTERS


def counters_score(draft: Draft, text: str) -> int:
    return len(_COUNTER.findall(text))


def take_node(draft: Draft, text: str, again: bool) -> bool:
    """`Node 0 active_anon:5653768kB ...`, `Node 0 hugepages_total=0 ...`."""
    if found := _ZONE.match(text):
        return _take_sizes(draft, found, text, again)
    if found := _BLOCKS.match(text):
        return _take_blocks(draft, found, text, again)
    if "hugepages_total" in text:
        return _take_hugepages(draft, text)
    found = _NODE.match(text)
    if not found or (int(found.group(1)) in draft.nodes_kb and not again):
        return False
    if len(draft.nodes_kb) < MOST_NAMES:
        draft.nodes_kb[int(found.group(1))] = _sizes(text)
    return True


def take_zone(draft: Draft, text: str, again: bool) -> bool:
    """`Node 0 DMA32 free:63304kB boost:0kB min:13760kB ...`; kernels without NUMA leave out the node."""
    if found := _ZONE.match(text):
        return _take_sizes(draft, found, text, again)
    found = _BLOCKS.match(text)
    return found is not None and _take_blocks(draft, found, text, again)


def _take_sizes(draft: Draft, found: re.Match[str], text: str, again: bool) -> bool:
    zone = _zone(draft, found)
    if zone is None or (zone.counters and not again):
        return False
    zone.counters = _sizes(text)
    zone.unreclaimable = _UNRECLAIMABLE in text
    return True


def _take_blocks(draft: Draft, found: re.Match[str], text: str, again: bool) -> bool:
    """`Node 0 DMA32: 550*4kB (UM) 250*8kB (UE) ... = 63624kB`: the smallest block is a page."""
    zone = _zone(draft, found)
    if zone is None or (zone.blocks and not again):
        return False
    zone.blocks = tuple((int(size_kb), int(count)) for count, size_kb in _BLOCK.findall(text)[:64])
    return True


def sizes_score(draft: Draft, text: str) -> int:
    """Of all lines of zones and nodes."""
    return len(_SIZE.findall(text)) + len(_BLOCK.findall(text))


def _zone(draft: Draft, found: re.Match[str]) -> RawZone | None:
    key = (int(found.group(1) or 0), found.group(2))
    if key not in draft.zones and len(draft.zones) >= MOST_NAMES:
        return None
    return draft.zones.setdefault(key, RawZone())


def _sizes(text: str) -> dict[str, int]:
    return {name: int(size_kb) for name, size_kb in _SIZE.findall(text)[:64]}


def _take_hugepages(draft: Draft, text: str) -> bool:
    found = _HUGE.match(text)
    if not found:
        return False
    node, total, size_kb = (int(number or 0) for number in found.groups())
    if len(draft.hugepages_kb) < MOST_NAMES:
        draft.hugepages_kb[node, size_kb] = total * size_kb
    return True


def take_swap(draft: Draft, text: str, again: bool) -> bool:
    """`Free swap  = 84kB`. The kernel has been seen to print less than nothing."""
    found = _SWAP.match(text)
    key = found.group(1).lower() if found else ""
    if not found or key in draft.swap_kb:
        return False
    draft.swap_kb[key] = max(0, int(found.group(2)))
    return True


def take_pages(draft: Draft, text: str, again: bool) -> bool:
    """`4115400 pages RAM`, `97082 pages reserved` (2.6.8: `pages of RAM`, `reserved pages`)."""
    found = _PAGES.match(text)
    if not found:
        return False
    key = "ram" if found.group(2) == "RAM" else "reserved"
    if key in draft.pages:
        return False
    draft.pages[key] = int(found.group(1))
    return True


def open_slabs(draft: Draft, text: str, again: bool) -> bool:
    """`Unreclaimable slab info:`."""
    draft.section = Section.SLABS
    return True


def open_allocations(draft: Draft, text: str, again: bool) -> bool:
    """`Memory allocations:`."""
    draft.section = Section.ALLOCATIONS
    return True


def take_slab(draft: Draft, text: str, again: bool) -> bool:
    """`xfs_buf_item             696KB       1189KB`: used, and held."""
    found = _SLAB.match(text)
    if not found or len(draft.slabs_kb) >= MOST_NAMES:
        return False
    draft.slabs_kb[found.group(1)] = int(found.group(3))
    return True


def take_allocation(draft: Draft, text: str, again: bool) -> bool:
    """`3176243200   247900 mm/slub.c:2264 func:alloc_slab_page`; newer kernels write `2.96 GiB`."""
    found = _ALLOCATION.match(text)
    if not found or len(draft.allocations) >= MOST_NAMES:
        return False
    number, _, unit = found.group(1).partition(" ")
    draft.allocations[found.group(2)[:200]] = round(float(number) * (1 << _UNITS[unit[:1] or "B"]))
    return True
