"""How much memory and swap is left, after everything that makes the kernel's own figures misleading."""

from __future__ import annotations

from typing import ClassVar

from oomguardd.kernel.files import HeldFile, SensorError
from oomguardd.kernel.memcg import (
    Container,
    available_bytes,
    parse_limit,
    parse_memcg_stat,
    read_limit,
    totals,
)
from oomguardd.kernel.meminfo import Meminfo, parse_meminfo
from oomguardd.kernel.zfs import Arc, parse_arcstats
from oomguardd.kernel.zoneinfo import parse_pcp_bytes
from oomguardd.model import Ramp, Sample, Signal, Totals, Unit
from oomguardd.sensors.swap import SwapSensor

_PROBE_S = 10.0
"""How often to look for what may come later: the modules of zram and ZFS, another limit of the container."""

SIGNALS = (
    Signal("mem_total", Unit.BYTES, "Memory that processes can have: all but the pools of huge pages"),
    Signal(
        "mem_available",
        Unit.BYTES,
        "Memory that can be had without swapping (MemAvailable), and what the ARC of ZFS would give back",
        "mem_total",
        Ramp.FILL,
    ),
    Signal("mem_free", Unit.BYTES, "Memory that nothing uses, not even as cache", "mem_total", Ramp.FILL),
    Signal("swap_total", Unit.BYTES, "Size of all swap areas"),
    Signal(
        "swap_free",
        Unit.BYTES,
        "Swap that is left; of zram, only what it would gain after compression",
        "swap_total",
        Ramp.SWAP,
    ),
    Signal("shmem", Unit.BYTES, "Shared memory and tmpfs; killing need not free it", "mem_total", Ramp.FILL),
    Signal("hugetlb", Unit.BYTES, "Pools of huge pages, used or not"),
    Signal("zswap_pool", Unit.BYTES, "Memory that zswap takes", "mem_total", Ramp.FILL),
    Signal("zram_used", Unit.BYTES, "Memory that swap on zram takes", "mem_total", Ramp.FILL),
    Signal("arc_reclaimable", Unit.BYTES, "What the ARC of ZFS holds above its minimum", "mem_total"),
    Signal("anon", Unit.BYTES, "Memory of processes that only swap could take", "mem_total", Ramp.FILL),
)


class MemorySensor:
    """The machine's. SensorError or OSError if /proc/meminfo cannot be used at all."""

    signals: ClassVar[tuple[Signal, ...]] = SIGNALS

    def __init__(self, proc_root: str = "/proc", sys_root: str = "/sys") -> None:
        self._arc_path = f"{proc_root}/spl/kstat/zfs/arcstats"
        self._arc: HeldFile | None = None
        self._zones: HeldFile | None = None
        self._probed_s: float | None = None
        self._meminfo = HeldFile(f"{proc_root}/meminfo")
        try:
            now = parse_meminfo(self._meminfo.read())
        except (SensorError, OSError):
            self._meminfo.close()
            raise
        self.missing = _missing(now)
        try:
            self._zones = HeldFile(f"{proc_root}/zoneinfo", size=16384, in_records=True)
        except OSError as error:
            self.missing += (
                f"No {proc_root}/zoneinfo ({error.strerror}): free memory in per-CPU lists is not seen.",
            )
        self._swap = SwapSensor(proc_root, sys_root)

    def sample(self, now_s: float, into: Sample) -> None:
        """SensorError, OSError."""
        self._probe(now_s)
        info = parse_meminfo(self._meminfo.read())
        worth = self._swap.worth(info.swap_free)
        arc = self._read_arc()
        # Clamped: what is in the pools of huge pages is nobody's, and no available memory is more than all.
        total = max(0, info.total - info.hugetlb)
        arc_bytes = arc.reclaimable_bytes if arc is not None else 0
        into["mem_total"] = float(total)
        into["mem_available"] = float(min(total, info.available + arc_bytes))
        into["mem_free"] = float(min(total, info.free))
        into["swap_total"] = float(info.swap_total)
        into["swap_free"] = float(worth.free)
        into["shmem"] = float(info.shmem)
        into["hugetlb"] = float(info.hugetlb)
        into["zswap_pool"] = float(info.zswap)
        into["zram_used"] = float(worth.zram_used)
        into["arc_reclaimable"] = float(arc_bytes)
        into["anon"] = float(info.anon)

    def totals(self) -> Totals:
        """RAM and swap as the kernel measures badness against, now. SensorError, OSError."""
        info = parse_meminfo(self._meminfo.read())
        return Totals(info.total, info.swap_total)

    def hidden_bytes(self) -> int:
        """Free memory in per-CPU lists, which MemAvailable does not count; 0 if unknown. Costly: ask
        before a kill."""
        if self._zones is None:
            return 0
        try:
            return parse_pcp_bytes(self._zones.read())
        except OSError:
            return 0

    def reset(self) -> None:
        """Nothing to forget but when we last looked for zram and ZFS."""
        self._probed_s = None

    def close(self) -> None:
        """May be called twice."""
        self._meminfo.close()
        self._swap.close()
        for file in (self._arc, self._zones):
            if file is not None:
                file.close()
        self._arc = self._zones = None

    def _probe(self, now_s: float) -> None:
        if self._probed_s is not None and 0 <= now_s - self._probed_s < _PROBE_S:
            return
        self._probed_s = now_s
        self._swap.probe()
        if self._arc is None:
            try:
                self._arc = HeldFile(self._arc_path, size=16384, in_records=True)
            except OSError:
                return

    def _read_arc(self) -> Arc | None:
        if self._arc is None:
            return None
        try:
            return parse_arcstats(self._arc.read())
        except OSError:
            self._arc.close()  # the module was unloaded
            self._arc = None
            return None


class ContainerMemorySensor:
    """What a cgroup's limit leaves, and never more than the machine has. The machine's sensor is asked
    first, so that `shmem`, `zram_used` and the like are the machine's unless the cgroup counts its own.

    OSError or SensorError if the cgroup's files cannot be used at all.
    """

    signals: ClassVar[tuple[Signal, ...]] = SIGNALS

    def __init__(self, container: Container, machine: MemorySensor, proc_root: str = "/proc") -> None:
        self._container = container
        self._machine = machine
        self._swappiness = _swappiness(container, proc_root)
        self._limits_s: float | None = None
        self._limit = 0
        self._swap_limit: int | None = None
        self._swap: HeldFile | None = None
        base = container.directory
        self._current = HeldFile(f"{base}/{container.current}", size=64)
        self._stat = HeldFile(f"{base}/{container.stat}", size=16384)
        self.missing = machine.missing
        try:
            self._swap = HeldFile(f"{base}/{container.swap_current}", size=64)
        except OSError as error:
            self.missing += (
                f"No {container.swap_current} ({error.strerror}): swap is taken as the machine's, "
                "not as the container's.",
            )

    def sample(self, now_s: float, into: Sample) -> None:
        """SensorError, OSError."""
        # First what may fail: the machine's figures alone would pass for the container's.
        self._read_limits(now_s)
        current = _usage(self._current)
        swap_used = self._swap_used(current)
        stat = parse_memcg_stat(self._stat.read(), self._container.version)
        self._machine.sample(now_s, into)
        left = available_bytes(self._limit, current, stat)
        swap_total = totals(
            self._limit, self._swap_limit, int(into["swap_total"]), self._swappiness, self._container.version
        ).swap_bytes
        into["mem_total"] = float(self._limit)
        into["mem_available"] = min(float(left), into["mem_available"])
        into["mem_free"] = min(float(max(0, self._limit - current)), into["mem_free"])
        into["swap_total"] = float(swap_total)
        into["swap_free"] = min(float(max(0, swap_total - swap_used)), into["swap_free"])
        into["shmem"] = float(stat.shmem)
        into["anon"] = float(stat.anon)

    def totals(self) -> Totals:
        """As mem_cgroup_get_max() counts them, now. SensorError, OSError."""
        self._read_limits(None)
        return totals(
            self._limit,
            self._swap_limit,
            self._machine.totals().swap_bytes,
            self._swappiness,
            self._container.version,
        )

    def hidden_bytes(self) -> int:
        """0: the limit counts pages that are given out, and those in per-CPU lists are not."""
        return 0

    def reset(self) -> None:
        """Look at the limits again."""
        self._limits_s = None
        self._machine.reset()

    def close(self) -> None:
        """May be called twice; closes the machine's as well."""
        self._machine.close()
        self._current.close()
        self._stat.close()
        if self._swap is not None:
            self._swap.close()

    def _read_limits(self, now_s: float | None) -> None:
        if now_s is not None and self._limits_s is not None and 0 <= now_s - self._limits_s < _PROBE_S:
            return
        self._limits_s = now_s
        base = self._container.directory
        # Without a limit any more, the machine's is what counts.
        self._limit = read_limit(base, self._container.maximum) or self._machine.totals().ram_bytes
        self._swap_limit = read_limit(base, self._container.swap_max)

    def _swap_used(self, current: int) -> int:
        if self._swap is None:
            return 0
        used = _usage(self._swap)
        return used if self._container.version == 2 else max(0, used - current)


def _usage(file: HeldFile) -> int:
    value = parse_limit(file.read())
    if value is None:
        raise SensorError(f"{file.name}: not an amount")
    return value


def _swappiness(container: Container, proc_root: str) -> int:
    """v1 has one for each cgroup, v2 the machine's; where it cannot be read, anything but 0 is the same
    to us."""
    of_v1 = (container.directory, "memory.swappiness")
    value = read_limit(*(of_v1 if container.version == 1 else (f"{proc_root}/sys/vm", "swappiness")))
    return 60 if value is None else value


def _missing(info: Meminfo) -> tuple[str, ...]:
    said = []
    if info.available_is_estimate:
        said.append(
            "This kernel has no MemAvailable: free memory and file cache are taken for it, which is too much."
        )
    if info.swap_total == 0:
        said.append(
            "No swap: nothing slows down before memory is full, and conditions on swap tell nothing"
            " (add zram or another swap, if that is not meant)."
        )
    return tuple(said)
