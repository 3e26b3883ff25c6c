"""What an armed guard costs on a calm machine, and whether it grows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

from oomguardd.config import Config
from oomguardd.engine.pace import Speeds
from oomguardd.guard.loop import Guard
from oomguardd.guard.options import Options, orders_of
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.scout import Scout
from oomguardd.guard.strike import Striker
from oomguardd.guard.warden import Warden
from oomguardd.guard.watch import Watch
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.notify import Notifier
from oomguardd.launch.command import load_config
from oomguardd.model import Domain
from oomguardd.sensors import machine_sensors
from tests.bench.rows import Row, ms

CALM_S = 20.0
TICKS = 10_000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def idle() -> list[Row]:
    """A real guard, armed, left alone for a while."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "oomguardd", "--dry-run", "--no-reporter"]
        with subprocess.Popen(
            [*command, "--socket", f"{directory}/guard.sock"], stderr=subprocess.DEVNULL
        ) as guard:
            try:
                _until_armed(guard.pid)
                before_s, began_s = _cpu_s(guard.pid), monotonic()
                sleep(CALM_S)
                used_s, took_s = _cpu_s(guard.pid) - before_s, monotonic() - began_s
                status = _status(guard.pid)
            finally:
                guard.send_signal(signal.SIGTERM)
    return [
        Row(
            "armed guard: resident memory",
            f"{status['VmRSS'] / 1024:.1f} MiB",
            f"{status['VmRSS'] / 1024 / 20:.2f} of 20 MiB",
        ),
        Row(
            "armed guard: processor time when calm",
            f"{used_s / took_s * 100:.3f}% of a core",
            f"over {took_s:.0f} s",
        ),
        Row(
            "armed guard: voluntary wake-ups when calm",
            f"{status['voluntary_ctxt_switches']}",
            "since its start",
        ),
    ]


def ticking() -> list[Row]:
    """Ten thousand ticks of the loop on the real machine, without the sleeps between them."""
    with tempfile.TemporaryDirectory() as directory:
        guard = _build(load_config(Options(dry_run=True)), directory)
        for _ in range(2 * TICKS):  # until the allocator has what it will ever need
            guard.tick()
        before, began_s = _status(os.getpid())["VmRSS"], monotonic()
        for _ in range(TICKS):
            guard.tick()
        took_s, after = monotonic() - began_s, _status(os.getpid())["VmRSS"]
    return [
        Row("one tick on a calm machine", ms(took_s / TICKS), f"{TICKS} ticks"),
        Row("growth over 10,000 ticks", f"{after - before} KiB", f"after {2 * TICKS} ticks"),
    ]


def _build(config: Config, directory: str) -> Guard:
    outbox = Outbox("bench")
    memory, pressure, reclaim = machine_sensors()
    speeds = Speeds(1e9, 1e9)
    watch = Watch(
        Domain("machine"), memory, (pressure, reclaim), config.triggers, speeds, lambda where, error: None
    )
    proc_fd = open_dir("/proc")
    striker = Striker(
        "machine", proc_fd, Scout(proc_fd, 64, 5), outbox, watch.look, lambda: None, orders_of(config)
    )
    return Guard(config, watch, striker, outbox, Warden(directory, 2.0), Notifier({}), frozenset)


def _until_armed(pid: int) -> None:
    deadline_s = monotonic() + 20
    while monotonic() < deadline_s:
        if _status(pid).get("VmLck", 0) > 0:
            sleep(1)
            return
        sleep(0.05)
    raise TimeoutError("the guard was not armed within 20 s")


def _status(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    words = [line.replace(":", " ").split() for line in lines]
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}


def _cpu_s(pid: int) -> float:
    """From schedstat, which counts nanoseconds: a clock tick is longer than all that it uses."""
    return sum(int(p.read_text().split()[0]) for p in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
