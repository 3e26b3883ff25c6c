"""How long it takes to find the victim, against listing /proc and reading every oom_score once."""

from __future__ import annotations

import os
from collections.abc import Callable
from statistics import median
from time import perf_counter

from oomguardd.engine.select import Limits
from oomguardd.guard.scout import Found, Scout
from oomguardd.kernel.files import open_dir
from oomguardd.model import Sample
from oomguardd.sensors import machine_sensors
from tests.bench.population import hog, idle_processes
from tests.bench.rows import Row, ms


def baseline() -> int:
    """What any daemon written in Python would do at the least."""
    worst = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                fd = os.open(f"/proc/{name}/oom_score", os.O_RDONLY)
            except OSError:
                continue
            try:
                worst = max(worst, int(os.read(fd, 32)))
            except OSError:
                pass
            finally:
                os.close(fd)
    return worst


def timed(work: Callable[[], object]) -> float:
    began_s = perf_counter()
    work()
    return perf_counter() - began_s


def choosing(count: int, rounds: int) -> list[Row]:
    """Baseline, scan and scan-ahead in turn, so that a slow moment hits all three."""
    memory = machine_sensors()[0]
    sample: Sample = {}
    memory.sample(0.0, sample)
    unused = sample["mem_available"] + sample["swap_free"]
    totals = memory.totals()
    proc_fd = open_dir("/proc")
    limits = Limits(100, 16 << 20, frozenset({os.getpid()}), ())
    cold = Scout(proc_fd, 64, 5)
    warned = Scout(proc_fd, 64, 5)
    base, full, ahead = [], [], []

    def right(found: Found) -> Found:
        victim = found.verdict.victim
        assert victim is not None, "nobody was chosen"
        assert victim.candidate.pid == pid, "the wrong one was chosen"
        return found

    used_ahead = 0
    with idle_processes(count), hog(totals.ram_bytes // 50) as pid:
        for _ in range(rounds):
            base.append(timed(baseline))
            cold.ahead = None
            full.append(timed(lambda: right(cold.choose(unused, totals, limits))))
            warned.look_ahead(unused, totals, limits)
            began_s = perf_counter()
            used_ahead += right(warned.choose(unused, totals, limits)).ahead
            ahead.append(perf_counter() - began_s)
    os.close(proc_fd)
    whole = median(base)
    return [
        Row(f"{count} processes: list /proc and read every oom_score", ms(whole), "1.00"),
        Row(f"{count} processes: choose", ms(median(full)), f"{median(full) / whole:.2f}"),
        Row(
            f"{count} processes: choose after a warning ({used_ahead} of {rounds} from the scan ahead)",
            ms(median(ahead)),
            f"1/{whole / median(ahead):.1f}",
        ),
    ]
