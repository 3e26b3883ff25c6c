"""Who holds most memory right now, for a warning: by application, because nobody knows what a pid is.

The guard knows best, but a warning is no reason to ask it. One small file of each process is read, once every
few minutes at most; where /proc hides others' processes (hidepid, ProtectProc=) nothing is said.
"""

from __future__ import annotations

import heapq
import os

from oomguardd.engine.words import safe, size
from oomguardd.kernel.files import SensorError, open_dir
from oomguardd.kernel.process import glances, held_bytes, inspect
from oomguardd.runtimes import owner_of

LOOKED_AT = 100
"""The worst by the kernel's score; an application may be as many processes."""
SHOWN = 3
LEAST_BYTES = 64 << 20
"""What holds less is not worth closing."""


def read_biggest(proc: str = "/proc") -> str:
    """`firefox 2.13 GiB, code 812 MiB`; empty when that cannot be known. Blocks for 10 µs a process."""
    try:
        proc_fd = open_dir(proc)
    except OSError:
        return ""
    try:
        if held_bytes(proc_fd, 1) is None:
            return ""  # we see our own processes only
        return _words(_by_name(proc_fd))
    except (OSError, SensorError):
        return ""
    finally:
        os.close(proc_fd)


def _by_name(proc_fd: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, pid in heapq.nlargest(LOOKED_AT, glances(proc_fd)):
        c = inspect(proc_fd, pid, 0.0)
        if c is not None:
            owner = owner_of(c.cgroup)
            app = owner.app if owner.app != "vte-spawn" else ""
            name = safe(app or c.comm, 40)
            found[name] = found.get(name, 0) + c.held_bytes
    return found


def _words(found: dict[str, int]) -> str:
    biggest = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    return ", ".join(f"{name} {size(held)}" for name, held in biggest if held >= LEAST_BYTES)
