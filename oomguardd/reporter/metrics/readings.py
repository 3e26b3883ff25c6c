"""The guard's readings as metrics: which signal is shown by which.

Rule of this file: these are the values that the guard decided by, and nothing else of the machine. For
the rest there is node_exporter.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.reporter.metrics.row import Row, counter, gauge


class Reading(NamedTuple):
    """How a signal is shown: the metric, and the labels that tell it from others of that name."""

    metric: str
    labels: tuple[str, ...] = ()


def _pressure(kind: str, window: str) -> Reading:
    return Reading("oomguard_memory_pressure_ratio", (kind, window))


READINGS: dict[str, Reading] = {
    "mem_total": Reading("oomguard_memory_size_bytes"),
    "mem_available": Reading("oomguard_memory_available_bytes"),
    "mem_free": Reading("oomguard_memory_free_bytes"),
    "swap_total": Reading("oomguard_swap_size_bytes"),
    "swap_free": Reading("oomguard_swap_free_bytes"),
    "shmem": Reading("oomguard_memory_shared_bytes"),
    "hugetlb": Reading("oomguard_memory_hugetlb_bytes"),
    "zswap_pool": Reading("oomguard_zswap_pool_bytes"),
    "zram_used": Reading("oomguard_zram_used_bytes"),
    "arc_reclaimable": Reading("oomguard_arc_reclaimable_bytes"),
    "anon": Reading("oomguard_memory_anonymous_bytes"),
    "psi_some_avg10": _pressure("some", "avg10"),
    "psi_some_avg60": _pressure("some", "avg60"),
    "psi_full_avg10": _pressure("full", "avg10"),
    "psi_full_avg60": _pressure("full", "avg60"),
    "psi_some_2s": _pressure("some", "2s"),
    "psi_some_10s": _pressure("some", "10s"),
    "psi_some_30s": _pressure("some", "30s"),
    "psi_full_2s": _pressure("full", "2s"),
    "psi_full_10s": _pressure("full", "10s"),
    "psi_full_30s": _pressure("full", "30s"),
    "reclaim_scan_rate": Reading("oomguard_reclaim_scan_bytes_per_second"),
    "reclaim_steal_rate": Reading("oomguard_reclaim_steal_bytes_per_second"),
    "direct_reclaim_rate": Reading("oomguard_direct_reclaim_bytes_per_second"),
    "refault_rate": Reading("oomguard_refault_bytes_per_second"),
    "swap_in_rate": Reading("oomguard_swap_in_bytes_per_second"),
    "swap_out_rate": Reading("oomguard_swap_out_bytes_per_second"),
    "major_fault_rate": Reading("oomguard_major_faults_per_second"),
    "oom_kills": Reading("oomguard_vmstat_oom_kills_total"),
}
"""Signal of the sensors -> its metric. Percent become a ratio from 0 to 1."""

READING_ROWS: tuple[Row, ...] = (
    gauge("oomguard_memory_size_bytes", "bytes", "Memory that processes can have"),
    gauge(
        "oomguard_memory_available_bytes",
        "bytes",
        "Memory that can be had without swapping, as the guard used it last",
    ),
    gauge("oomguard_memory_free_bytes", "bytes", "Memory that nothing uses, not even as cache"),
    gauge("oomguard_memory_shared_bytes", "bytes", "Shared memory and tmpfs; killing need not free it"),
    gauge("oomguard_memory_hugetlb_bytes", "bytes", "Pools of huge pages, used or not"),
    gauge("oomguard_memory_anonymous_bytes", "bytes", "Memory of processes that only swap could take"),
    gauge("oomguard_swap_size_bytes", "bytes", "Size of all swap areas"),
    gauge(
        "oomguard_swap_free_bytes",
        "bytes",
        "Swap that is left, as the guard used it last; of zram, only what it would gain",
    ),
    gauge("oomguard_zswap_pool_bytes", "bytes", "Memory that zswap takes"),
    gauge("oomguard_zram_used_bytes", "bytes", "Memory that swap on zram takes"),
    gauge("oomguard_arc_reclaimable_bytes", "bytes", "What the ARC of ZFS holds above its minimum"),
    gauge(
        "oomguard_memory_pressure_ratio",
        "ratio",
        "Share of time in which tasks waited for memory, as the guard used it last",
        "kind",
        "window",
    ),
    gauge("oomguard_reclaim_scan_bytes_per_second", "bytes_per_second", "Memory that reclaim looks at"),
    gauge("oomguard_reclaim_steal_bytes_per_second", "bytes_per_second", "Memory that reclaim gets back"),
    gauge(
        "oomguard_direct_reclaim_bytes_per_second",
        "bytes_per_second",
        "Memory that processes look at themselves because they cannot wait for reclaim",
    ),
    gauge(
        "oomguard_refault_bytes_per_second",
        "bytes_per_second",
        "Memory that is read again soon after it was reclaimed: thrashing",
    ),
    gauge("oomguard_swap_in_bytes_per_second", "bytes_per_second", "Memory read back from swap"),
    gauge("oomguard_swap_out_bytes_per_second", "bytes_per_second", "Memory written to swap"),
    gauge(
        "oomguard_major_faults_per_second", "faults per second", "Page faults that had to wait for a device"
    ),
    counter(
        "oomguard_vmstat_oom_kills_total",
        "kills",
        "The kernel's own count of its OOM kills since boot (oom_kill in /proc/vmstat)",
    ),
)
