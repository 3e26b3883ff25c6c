"""The memory controller's files of one cgroup, v2 and v1, and the limit of the container that we are in.

See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from oomguardd.kernel.files import SensorError, line_number, read_small
from oomguardd.kernel.vmstat import Vmstat, count_refaults
from oomguardd.model import PAGE_BYTES, Totals

_MOST = 1 << 62
"""v1 writes "no limit" as a number a little below 2**63."""


_ACTIVITY_LINES = (
    ("scanned", (b"pgscan", b"pgscan_direct")),
    ("stolen", (b"pgsteal", b"pgsteal_direct")),
    ("direct_scanned", (b"pgscan_direct",)),
    ("refaulted", (b"workingset_refault", b"workingset_refault_anon", b"workingset_refault_file")),
    ("swapped_in", (b"pswpin",)),
    ("swapped_out", (b"pswpout",)),
    ("major_faults", (b"pgmajfault",)),
)
"""Field of Vmstat -> lines of memory.stat, one of which is enough."""


@dataclass(frozen=True, slots=True)
class Container:
    """A cgroup whose limit is all the memory that we and our neighbours have. The rest are names of its
    files, empty where its version has none."""

    version: int
    directory: str
    maximum: str
    current: str
    stat: str
    events: str
    """Where `oom_kill` is counted."""
    swap_max: str
    """v2: of swap alone. v1: of memory and swap together (memsw)."""
    swap_current: str
    pressure: str


class MemcgStat(NamedTuple):
    """memory.stat, in bytes; with all descendants. It may be 2 s old (the kernel flushes it lazily)."""

    anon: int
    shmem: int
    active_file: int
    inactive_file: int
    slab_reclaimable: int
    activity: Vmstat
    """As in /proc/vmstat, without `oom_kills`. v1 has faults and refaults only."""

    @property
    def cache_bytes(self) -> int:
        return self.active_file + self.inactive_file


def container_v2(directory: str) -> Container:
    """The names of a v2 cgroup's files; whether they exist is another matter."""
    return Container(
        version=2,
        directory=directory,
        maximum="memory.max",
        current="memory.current",
        stat="memory.stat",
        events="memory.events",
        swap_max="memory.swap.max",
        swap_current="memory.swap.current",
        pressure="memory.pressure",
    )


def container_v1(directory: str) -> Container:
    """The names of a v1 memory cgroup's files."""
    return Container(
        version=1,
        directory=directory,
        maximum="memory.limit_in_bytes",
        current="memory.usage_in_bytes",
        stat="memory.stat",
        events="memory.oom_control",
        swap_max="memory.memsw.limit_in_bytes",
        swap_current="memory.memsw.usage_in_bytes",
        pressure="",
    )


def find_container(root: str = "/sys/fs/cgroup", ram_bytes: int | None = None) -> Container | None:
    """The limit that holds for all we can see; None where there is none below the size of RAM.

    The true root cgroup of v2 never has a memory.max, that of v1 never has a limit: one at the root of
    the mount means that we see a container's part of the tree. Limits further up cannot be seen from
    inside. `ram_bytes` is the machine's by default, asked of the kernel because lxcfs puts another
    MemTotal into /proc/meminfo.
    """
    if ram_bytes is None:
        ram_bytes = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    for container in (container_v2(root), container_v1(os.path.join(root, "memory"))):
        limit = read_limit(container.directory, container.maximum)
        if limit is not None and 0 < limit < ram_bytes:
            return container
    return None


def read_limit(directory: str, name: str) -> int | None:
    """A limit or a usage, in bytes; None for "max", for v1's "no limit", for no such file and for garbage."""
    fd = -1
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        limit = parse_limit(read_small(fd, name, 64))
    except (OSError, SensorError):
        return None
    finally:
        if fd >= 0:
            os.close(fd)
    return limit


def parse_limit(data: bytes) -> int | None:
    """Bytes; None for "max" and for v1's "no limit". SensorError for anything else."""
    word = data.strip()
    if word == b"max":
        return None
    if not word.isdigit():
        raise SensorError(f"cgroup: no limit: {data[:40]!r}")
    value = int(word[:20])
    return value if value < _MOST else None


def totals(limit: int, swap_limit: int | None, swap_total: int, swappiness: int, version: int = 2) -> Totals:
    """What badness is measured against when this limit is hit: mem_cgroup_get_max() of mm/memcontrol.c,
    in bytes.

    `swap_limit` is what `Container.swap_max` holds (None for no limit), `swap_total` is the machine's.
    """
    if swappiness == 0:
        return Totals(limit, 0)
    if swap_limit is None:
        return Totals(limit, swap_total)
    allowed = swap_limit if version == 2 else max(0, swap_limit - limit)
    return Totals(limit, min(allowed, swap_total))


def parse_memcg_stat(data: bytes, version: int = 2) -> MemcgStat:
    """SensorError without the file cache's lines: all memory in use would count as lost."""
    data = b"\n" + data
    prefix = b"\n" if version == 2 else b"\ntotal_"
    active = line_number(data, prefix + b"active_file ")
    inactive = line_number(data, prefix + b"inactive_file ")
    if active is None or inactive is None or not (0 <= active < _MOST and 0 <= inactive < _MOST):
        raise SensorError("memory.stat: no line active_file or inactive_file")
    anon = b"anon " if version == 2 else b"rss "
    return MemcgStat(
        anon=_value(data, prefix + anon),
        shmem=_value(data, prefix + b"shmem "),
        active_file=active,
        inactive_file=inactive,
        slab_reclaimable=_value(data, prefix + b"slab_reclaimable "),
        activity=_activity(data, prefix),
    )


def uncounted(data: bytes, version: int = 2) -> frozenset[str]:
    """Which fields of `MemcgStat.activity` this memory.stat has no line for: v1 most, v2 some until 6.13."""
    prefix = b"\n" if version == 2 else b"\ntotal_"
    lines = b"\n" + data
    return frozenset(
        field for field, keys in _ACTIVITY_LINES if all(lines.find(prefix + key + b" ") < 0 for key in keys)
    )


def parse_oom_kills(data: bytes) -> int:
    """How many the kernel killed in it, from memory.events (v2) or memory.oom_control (v1); 0 before 4.13."""
    return _value(b"\n" + data, b"\noom_kill ")


def available_bytes(limit: int, current: int, stat: MemcgStat) -> int:
    """What is left of a limit before somebody must be killed or swapped out, 0 at least.

    After the kernel's own MemAvailable: the cache counts but for a part that is always in use, half of it
    or the low watermark, whichever is less. A cgroup has no watermarks; 1% of its limit stands in for
    them, which is about what they are for a machine. `stat` may be older than `current`, so that no more
    than is used is counted as reclaimable.
    """
    reserve = limit // 100
    cache, slab = stat.cache_bytes, stat.slab_reclaimable
    reclaimable = cache - min(cache // 2, reserve) + slab - min(slab // 2, reserve)
    return max(0, limit - current + min(reclaimable, current))


def _activity(data: bytes, prefix: bytes) -> Vmstat:
    direct = _value(data, prefix + b"pgscan_direct ")
    return Vmstat(
        scanned=PAGE_BYTES * _by_kind(data, prefix + b"pgscan"),
        stolen=PAGE_BYTES * _by_kind(data, prefix + b"pgsteal"),
        direct_scanned=PAGE_BYTES * direct,
        refaulted=PAGE_BYTES * count_refaults(data, prefix),
        swapped_in=PAGE_BYTES * _value(data, prefix + b"pswpin "),
        swapped_out=PAGE_BYTES * _value(data, prefix + b"pswpout "),
        major_faults=_value(data, prefix + b"pgmajfault "),
        oom_kills=0,
    )


def _by_kind(data: bytes, key: bytes) -> int:
    """5.19 tells who scanned; older kernels, only how much in all."""
    if data.find(key + b"_direct ") < 0:
        return _value(data, key + b" ")
    return sum(_value(data, key + kind) for kind in (b"_kswapd ", b"_direct ", b"_khugepaged "))


def _value(data: bytes, key: bytes) -> int:
    value = line_number(data, key)
    return value if value is not None and 0 <= value < _MOST else 0
