"""/proc/meminfo. See Documentation/filesystems/proc.rst."""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.kernel.files import SensorError, line_number

_MOST_KIB = 1 << 52
"""More than any machine will have; a larger number is garbage."""


class Meminfo(NamedTuple):
    """What we use of it, in bytes. A line that this kernel does not have is 0."""

    total: int
    free: int
    available: int
    available_is_estimate: bool
    """The kernel has no MemAvailable (before 3.14); this is the sum that people used before it."""
    swap_total: int
    swap_free: int
    swap_cached: int
    shmem: int
    anon: int
    hugetlb: int
    """All pools of huge pages, used or not: nobody else can have that memory."""
    zswap: int
    """The memory that compressed swap takes,"""
    zswapped: int
    """and what it would take uncompressed; its pages still have their slots in a swap area."""
    slab_reclaimable: int
    active_file: int
    inactive_file: int
    dirty: int


_LINES: tuple[tuple[bytes, int | None], ...] = (
    (b"\nMemTotal:", None),
    (b"\nMemFree:", None),
    (b"\nMemAvailable:", -1),
    (b"\nSwapCached:", 0),
    (b"\nActive(file):", 0),
    (b"\nInactive(file):", 0),
    (b"\nSwapTotal:", None),
    (b"\nSwapFree:", None),
    (b"\nZswap:", 0),
    (b"\nZswapped:", 0),
    (b"\nDirty:", 0),
    (b"\nAnonPages:", 0),
    (b"\nShmem:", 0),
    (b"\nSReclaimable:", 0),
    (b"\nHugetlb:", -1),
)
"""A line and its value where it is missing; with None that is an error, because zero would look like a
machine that has nothing left, and somebody would be killed for it. In the order of the file, so that each
search is short."""


def parse_meminfo(data: bytes) -> Meminfo:
    """SensorError if one of the lines is missing or malformed on which somebody's life depends."""
    # The newline before each keeps "Active(file)" from being found in "Inactive(file)".
    data = b"\n" + data
    values = _values(data)
    total, free, available, swap_cached, active_file, inactive_file, swap_total, swap_free = values[:8]
    zswap, zswapped, dirty, anon, shmem, slab, hugetlb = values[8:]
    if total <= 0:
        raise SensorError("/proc/meminfo: MemTotal is 0")
    estimate = available < 0
    if estimate:
        # Not MemFree + Cached: tmpfs and shared memory are in Cached, and cannot be dropped.
        available = min(total, free + active_file + inactive_file + slab)
    if hugetlb < 0:
        hugetlb = _huge_pool(data)
    return Meminfo(
        total,
        free,
        available,
        estimate,
        swap_total,
        swap_free,
        swap_cached,
        shmem,
        anon,
        hugetlb,
        zswap,
        zswapped,
        slab,
        active_file,
        inactive_file,
        dirty,
    )


def _values(data: bytes) -> list[int]:
    """Those of _LINES, in bytes. One loop without calls or a dictionary, because it runs twenty times a
    second."""
    find, values, at = data.find, [], 0
    for key, if_missing in _LINES:
        start = find(key, at)
        if start < 0:
            start = find(key)  # another kernel's order
        if start >= 0:
            at = find(b" kB\n", start)
            values.append(_amount(data, start + len(key), at))
        elif if_missing is None:
            raise SensorError(f"/proc/meminfo: no line {key[1:].decode()}")
        else:
            values.append(if_missing)
    return values


def _amount(data: bytes, start: int, end: int) -> int:
    try:
        value = int(data[start:end]) if 0 < end - start < 32 else -1
    except ValueError:
        value = -1
    if not 0 <= value < _MOST_KIB:
        # Taken for missing, it might be replaced by an estimate, and that acted on.
        line = data[data.rfind(b"\n", 0, start) + 1 : start + 40]
        raise SensorError(f"/proc/meminfo: bad value: {line!r}")
    return value * 1024


def _huge_pool(data: bytes) -> int:
    """Before 4.19, which counts only the pool of the default size."""
    pages = line_number(data, b"\nHugePages_Total:") or 0
    key = b"\nHugepagesize:"
    start = data.find(key)
    if pages <= 0 or start < 0:
        return 0
    size = _amount(data, start + len(key), data.find(b" kB\n", start))
    return min(pages * size, _MOST_KIB * 1024)
