"""Readings of the guest and its processes, and its swap. See proc(5)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

SWAP_DRIVE = "/dev/vdc"
SETTLE_LIMIT_S = 25.0
PASSING = {"(udev-worker)", "(sd-worker)", "systemctl", "journalctl", "true", "sh", "(direxec)"}
"""Commands that come and go by themselves."""


def meminfo_bytes(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def meminfo_mib(name: str) -> int:
    return meminfo_bytes(name) >> 20


def kernel_oom_kills() -> int:
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def full_avg10_pct() -> float:
    """The share of stalled time in the last 10 s; 0 on a kernel without PSI."""
    try:
        full = Path("/proc/pressure/memory").read_text().splitlines()[1]
    except OSError:
        return 0.0
    return float(full.split()[1].partition("=")[2])


def processes() -> dict[int, str]:
    """pid -> comm of everything in user space."""
    named = ((int(name), _comm(name)) for name in os.listdir("/proc") if name.isdigit())
    return {pid: comm for pid, comm in named if comm}


def _comm(pid: str) -> str:
    try:
        os.readlink(f"/proc/{pid}/exe")  # which a kernel thread does not have
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def footprint(pid: int) -> dict[str, int]:
    """Resident kB and major faults so far; empty when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {"rss_kb": int(fields["VmRSS"].split()[0]), "majflt": int(stat[9])}


def swap(on: bool) -> None:
    if on:
        subprocess.run(["mkswap", "-q", SWAP_DRIVE], check=True, capture_output=True)
        subprocess.run(["swapon", SWAP_DRIVE], check=True)
    elif meminfo_mib("SwapTotal"):
        subprocess.run(["swapoff", SWAP_DRIVE], check=True)


def settle(available_mib: int) -> None:
    """Waits until about so much memory is available again and nothing stalls (25 s at most)."""
    end_s = time.monotonic() + SETTLE_LIMIT_S
    while time.monotonic() < end_s:
        if meminfo_mib("MemAvailable") >= available_mib - 40 and full_avg10_pct() < 5:
            return
        time.sleep(0.5)


def wait_idle() -> None:
    """Waits until the processors have next to nothing to do: daemons start slowly here (25 s at most)."""
    end_s = time.monotonic() + SETTLE_LIMIT_S
    quiet = 0
    while quiet < 2 and time.monotonic() < end_s:
        before = _cpu_ticks()
        time.sleep(1)
        idle, total = (now - then for now, then in zip(_cpu_ticks(), before, strict=True))
        quiet = quiet + 1 if idle > 0.85 * total else 0


def _cpu_ticks() -> tuple[int, int]:
    """Idle ticks of all processors, and all ticks."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    ticks = [int(word) for word in words]
    return ticks[3] + ticks[4], sum(ticks)


def send(pid: int, number: signal.Signals) -> None:
    """Unless it has gone, or is nobody (0)."""
    try:
        if pid:
            os.kill(pid, number)
    except ProcessLookupError:
        return
