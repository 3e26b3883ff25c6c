"""Many idle processes of our own, in a pid namespace of their own where we may make one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

HOG = """
import sys, time
held = [b"x" * int(sys.argv[1])]
print("ready", flush=True)
while len(held) < 600:  # 1.5 GiB at most
    held.append(bytes([len(held) % 250 + 1]) * (5 << 19))
    time.sleep(0.1)
time.sleep(3600)
"""


@contextlib.contextmanager
def hog(size_bytes: int) -> Iterator[int]:
    """One process that stands out and goes on growing, as there is on a machine in need."""
    with subprocess.Popen([sys.executable, "-c", HOG, str(size_bytes)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@contextlib.contextmanager
def idle_processes(count: int) -> Iterator[list[int]]:
    """`count` processes that sleep; all are gone afterwards."""
    pids: list[int] = []
    try:
        for _ in range(count):
            pids.append(os.posix_spawn("/bin/sleep", ["sleep", "3600"], {}))  # noqa: PERF401  # so that all end
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
