"""The second loop of defence: if the main loop is late, the process is given up and started again by systemd.

Rule of this file: a guard that hangs is given up, not one that is not being run: a new one would not be
run either,
and would have to be read from a disk first. So late is counted in naps of the warden's own (when the whole
machine stood still, one nap was long), and only while the main thread neither waits for a processor nor for
its timer, as it does on a virtual processor that its host forgets. What it saw goes to a file beside the
socket, under systemd on tmpfs, which cannot block, and the next guard tells it. If even this thread cannot
run, systemd's own watchdog is left.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import stat
import threading
from collections.abc import Callable

from oomguardd.kernel.clock import monotonic_s

EVIDENCE = "stalled"
"""Name of the evidence file beside the socket."""
NAPS = 4
"""So many naps without a sign of the main loop make up the limit."""

TIMER_WAITS = (b"ep_poll", b"do_epoll_wait")
"""Where the main thread is in the kernel when it waits for its timer or an event."""


class Warden:
    """Call `expect` before every sleep; what comes later than that plus the limit ends the process.

    `give_up` is what ends it; only a test has another.
    """

    def __init__(self, directory: str, limit_s: float, give_up: Callable[[int], object] = os._exit) -> None:
        self.limit_s = limit_s
        self._path = os.path.join(directory, EVIDENCE)
        self._give_up = give_up
        self._fd = -1
        self._due_s = 0.0
        self._pid = os.getpid()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def take_evidence(self) -> str:
        """What the warden of the previous guard wrote before it gave it up; empty if there is nothing."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return ""
        text = ""
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                text = os.read(fd, 16384).decode(errors="replace")
        finally:
            os.close(fd)
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        return text

    def open(self) -> OSError | None:
        """Makes the evidence file and starts to watch, before arming: from then on no file is opened for
        writing. The error is about the file; without it there is a watch all the same."""
        self.expect(0.0)
        self._thread = threading.Thread(target=self._watch, name="warden", daemon=True)
        self._thread.start()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            return error
        return None

    def expect(self, within_s: float) -> None:
        """The main loop will be here again within that time, or the process ends with status 1."""
        self._due_s = monotonic_s() + within_s

    def close(self) -> None:
        """Ends the watch and removes the evidence file; may be called twice."""
        self._done.set()
        if self._thread is not None:
            self._thread.join(timeout=self.limit_s)
            self._thread = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _watch(self) -> None:
        nap_s = self.limit_s / NAPS
        missed = 0
        cpu_ticks = -1
        while not self._done.wait(max(self._due_s - monotonic_s(), 0.0) + nap_s):
            late_s = monotonic_s() - self._due_s
            before, (hangs, cpu_ticks) = cpu_ticks, main_thread(self._pid)
            missed = missed + 1 if late_s >= nap_s and (hangs or cpu_ticks > before) else 0
            if missed >= NAPS:
                self._testify(late_s)
                self._give_up(1)
                return

    def _testify(self, late_s: float) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._fd, f"the main loop was {late_s:.1f} s late\n".encode())
                faulthandler.dump_traceback(self._fd, all_threads=True)


def main_thread(pid: int) -> tuple[bool, int]:
    """Whether the main thread hangs in something, and how long it has run (in clock ticks): if it neither
    hangs nor runs, it waits to be run. See proc_pid_stat(5)."""
    try:
        stat_line = _read(f"/proc/{pid}/task/{pid}/stat")
        fields = stat_line[stat_line.rfind(b")") + 2 :].split()
        state, cpu_ticks = fields[0], int(fields[11]) + int(fields[12])
        waits = state == b"R" or (state == b"S" and _read(f"/proc/{pid}/task/{pid}/wchan") in TIMER_WAITS)
    except (OSError, ValueError, IndexError):
        return True, 0
    return not waits, cpu_ticks


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 1024)
    finally:
        os.close(fd)
