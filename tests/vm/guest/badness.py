"""Compares oomguardd's badness with the kernel's own /proc/PID/oom_score, for every process of the guest.

Prints one JSON object. See mm/oom_kill.c, oom_badness(), and lib/percpu_counter.c.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from oomguardd.engine.badness import kernel_pages, oom_score
from oomguardd.kernel.process import glance, inspect, pids
from oomguardd.model import Candidate, Totals

from . import machine

TRIES = 3
# Kernels 6.2 to 7.1 add up badness from counters that may each lag by a batch (32 or more pages) on each of
# the two CPUs, where `status` is exact: nearer than that nobody can know.
COUNTER_ERROR_PAGES = 4 * 2 * 64


def main() -> None:
    totals = Totals(machine.meminfo_bytes("MemTotal"), machine.meminfo_bytes("SwapTotal"))
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    rows = [row for pid in sorted(pids(proc)) if (row := compare(proc, pid, totals))]
    print(json.dumps(summary(rows) | {"rows": [row for row in rows if not row["exact"]]}))


def compare(proc: int, pid: int, totals: Totals) -> dict[str, Any] | None:
    """What both say about one process; None if it has gone."""
    row = None
    for _ in range(TRIES):
        before = glance(proc, pid)
        candidate = inspect(proc, pid, time.clock_gettime(time.CLOCK_BOOTTIME))
        after = glance(proc, pid)
        if candidate is None or before is None:
            return row
        row = describe(candidate, before, totals)
        if row["exact"]:
            return row
        if before != after:
            time.sleep(0.05)
    return row


def describe(candidate: Candidate, kernel: int, totals: Totals) -> dict[str, Any]:
    pages = kernel_pages(candidate, totals)
    ours = 0 if never(candidate) else oom_score(pages, totals)
    near = {oom_score(pages + error, totals) for error in (-COUNTER_ERROR_PAGES, COUNTER_ERROR_PAGES)}
    return {
        "pid": candidate.pid,
        "comm": candidate.comm,
        "adj": candidate.oom_score_adj,
        "swap_mib": candidate.swap_bytes >> 20,
        "shmem_mib": candidate.rss_shmem_bytes >> 20,
        "state": candidate.state,
        "kernel": kernel,
        "ours": ours,
        "exact": ours == kernel,
        "near": ours != 0 and min(near) <= kernel <= max(near),
    }


def never(candidate: Candidate) -> bool:
    """For which the kernel prints 0."""
    return candidate.kernel_thread or candidate.pid == 1 or candidate.oom_score_adj == -1000


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "compared": len(rows),
        "exact": sum(row["exact"] for row in rows),
        "wrong": sum(not row["exact"] and not row["near"] for row in rows),
        "negative_adj": sum(row["adj"] < 0 for row in rows),
        "swapped_mib": sum(row["swap_mib"] for row in rows),
        "zombie_leaders": sum(row["state"] == "Z" for row in rows),
    }


if __name__ == "__main__":
    main()
