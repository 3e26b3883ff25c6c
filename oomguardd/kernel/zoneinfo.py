"""/proc/zoneinfo: here only the free memory that the kernel keeps in lists of each CPU."""

from __future__ import annotations

from oomguardd.model import PAGE_BYTES

_MOST_PAGES = 1 << 40
"""A larger count is garbage."""


def parse_pcp_bytes(data: bytes) -> int:
    """Free memory in the per-CPU page lists, in bytes; what cannot be understood counts nothing.

    It is in neither MemFree nor MemAvailable. After a process of 1 GiB has died, 400 MiB may be there for
    seconds: without this sum it would look as if killing it had not helped.
    """
    pages = 0
    for zone in data.split(b"\nNode "):
        _, found, sets = zone.partition(b"\n  pagesets\n")
        if found:
            pages += sum(_count(line) for line in sets.split(b"\n"))
    return min(pages, _MOST_PAGES) * PAGE_BYTES


def _count(line: bytes) -> int:
    words = line.split()
    if len(words) != 2 or words[0] != b"count:" or not words[1].isdigit() or len(words[1]) > 18:
        return 0
    return int(words[1])
