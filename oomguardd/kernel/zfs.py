"""/proc/spl/kstat/zfs/arcstats: the cache of ZFS, which the kernel's page cache knows nothing of."""

from __future__ import annotations

from typing import NamedTuple

_MOST = 1 << 62


class Arc(NamedTuple):
    """The ARC gives memory back when asked to, down to its minimum."""

    size_bytes: int
    min_bytes: int

    @property
    def reclaimable_bytes(self) -> int:
        return max(0, self.size_bytes - self.min_bytes)


def parse_arcstats(data: bytes) -> Arc | None:
    """By name, because every release of ZFS adds and removes lines. None without a size; without a
    minimum nothing of it counts as reclaimable, because then we do not know."""
    size = _value(data, b"\nsize ")
    minimum = _value(data, b"\nc_min ")
    if size is None:
        return None
    return Arc(size, size if minimum is None else minimum)


def _value(data: bytes, key: bytes) -> int | None:
    """A line is: name, type, value."""
    start = data.find(key)
    end = data.find(b"\n", start + 1)
    if start < 0 or end < 0:
        return None
    words = data[start:end].split()
    if len(words) != 3 or not words[2].isdigit():
        return None
    return min(int(words[2][:20]), _MOST)
