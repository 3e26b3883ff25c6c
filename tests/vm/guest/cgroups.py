"""The cgroups of a scenario: made here, not by the service manager, and removed with all that is in them.
See cgroups(7)."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from . import machine

ROOT = Path("/sys/fs/cgroup")
_MADE: list[Path] = []


def path_of(name: str) -> Path:
    return ROOT / name.strip("/")


def make(name: str) -> Path:
    """The directory of that group, made with those above it where they are missing, memory accounted for."""
    path = path_of(name)
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for group in reversed(missing):
        (group.parent / "cgroup.subtree_control").write_text("+memory +pids")
        group.mkdir()
        _MADE.append(group)
    return path


def clear() -> None:
    """Ends every process in the groups that were made here, and removes them."""
    while _MADE:
        _remove(_MADE.pop())


def _remove(group: Path) -> None:
    for _ in range(100):
        for pid in (group / "cgroup.procs").read_text().split():
            machine.send(int(pid), signal.SIGKILL)
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.1)
