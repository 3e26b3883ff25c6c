"""/proc/vmstat: counters of what the kernel did to get memory back, since boot."""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.kernel.files import SensorError, line_number
from oomguardd.model import PAGE_BYTES


class Vmstat(NamedTuple):
    """Counters that only grow. Bytes, but for the last two. One that this kernel does not have stays 0."""

    scanned: int
    """Looked at by reclaim of all kinds but the proactive one, which somebody asked for."""
    stolen: int
    """Got back by it."""
    direct_scanned: int
    """Looked at by processes that wanted memory and had to look for it themselves: they stall."""
    refaulted: int
    """Read again soon after it had been thrown out: the measure of thrashing."""
    swapped_in: int
    swapped_out: int
    major_faults: int
    oom_kills: int
    """Killed by the kernel, for a cgroup or for the machine."""


def parse_vmstat(data: bytes) -> Vmstat:
    """SensorError if it has no counters of reclaim: all zero would say that none is going on."""
    direct = line_number(data, b"\npgscan_direct ")
    background = line_number(data, b"\npgscan_kswapd ")
    faults = line_number(data, b"\npgmajfault ")
    if direct is None or background is None or faults is None:
        raise SensorError("/proc/vmstat: no line pgscan_direct, pgscan_kswapd or pgmajfault")
    stolen = _count(data, b"\npgsteal_kswapd ") + _count(data, b"\npgsteal_direct ")
    return Vmstat(
        scanned=(direct + background + _count(data, b"\npgscan_khugepaged ")) * PAGE_BYTES,
        stolen=(stolen + _count(data, b"\npgsteal_khugepaged ")) * PAGE_BYTES,
        direct_scanned=direct * PAGE_BYTES,
        refaulted=count_refaults(data) * PAGE_BYTES,
        swapped_in=_count(data, b"\npswpin ") * PAGE_BYTES,
        swapped_out=_count(data, b"\npswpout ") * PAGE_BYTES,
        major_faults=faults,
        oom_kills=_count(data, b"\noom_kill "),
    )


def count_refaults(data: bytes, prefix: bytes = b"\n") -> int:
    """In pages; 5.9 split the counter in two. `memory.stat` of a cgroup has them under the same names."""
    anon = line_number(data, prefix + b"workingset_refault_anon ")
    file = line_number(data, prefix + b"workingset_refault_file ")
    if anon is None and file is None:
        return _count(data, prefix + b"workingset_refault ")
    return (anon or 0) + (file or 0)


def _count(data: bytes, key: bytes) -> int:
    return line_number(data, key) or 0
