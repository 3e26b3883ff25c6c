"""What can only be read by waiting: command lines, and programs whose path needs proof.

Rule of this file: whoever asks never waits for the process that is read. Reading happens in threads of our
own, ahead of need; one that is stuck on a process (its mmap_lock, its file system) leaves the others free.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from queue import SimpleQueue
from typing import NamedTuple

from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.process import start_ticks
from oomguardd.kernel.program import read_cmdline, read_genuine_exe
from oomguardd.model import Candidate

THREADS = 2
QUEUED_MAX = 256
KEPT_MAX = 1024

Key = tuple[int, int, str]
"""pid, start_ticks, and the name, which another program changes."""


class Program(NamedTuple):
    """None where it could not be read."""

    exe: str | None
    cmdline: str | None


UNKNOWN = Program(None, None)


class Programs:
    """Remembers what was read of a bounded number of processes."""

    def __init__(self, proc_fd: int, threads: int = THREADS) -> None:
        self._proc_fd = proc_fd
        self._threads = [
            threading.Thread(target=self._work, name=f"programs-{index}", daemon=True)
            for index in range(threads)
        ]
        self._queue: SimpleQueue[Key | None] = SimpleQueue()
        self._known: OrderedDict[Key, Program] = OrderedDict()
        self._asked: set[Key] = set()
        self._change = threading.Condition()
        self._started = self._closed = False

    def start(self) -> None:
        """Before this, nothing is read; may be called twice."""
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()

    def ask(self, c: Candidate) -> None:
        """Have it read some time soon; nothing where too much is asked already."""
        key = _key(c)
        with self._change:
            if (
                not self._started
                or key in self._known
                or key in self._asked
                or len(self._asked) >= QUEUED_MAX
            ):
                return
            self._asked.add(key)
        self._queue.put(key)

    def get(self, c: Candidate, within_s: float) -> Program:
        """What is known of it, waiting no longer than that; asks for it if nothing is."""
        self.ask(c)
        key, until_s = _key(c), monotonic_s() + within_s
        with self._change:
            while self._started and key not in self._known:
                left_s = until_s - monotonic_s()
                if left_s <= 0 or not self._change.wait(left_s):
                    break
            return self._known.get(key, UNKNOWN)

    def close(self) -> None:
        """Ends those threads that are not stuck. May be called twice."""
        if self._started and not self._closed:
            self._closed = True
            for _ in self._threads:
                self._queue.put(None)
            for thread in self._threads:
                thread.join(timeout=0.2)

    def _work(self) -> None:
        while (key := self._queue.get()) is not None:
            try:
                program = self._read(key)
            except OSError:
                program = UNKNOWN  # no descriptors left; asked again later
            with self._change:
                self._asked.discard(key)
                if program is not UNKNOWN:
                    self._known[key] = program
                    while len(self._known) > KEPT_MAX:
                        self._known.popitem(last=False)
                self._change.notify_all()

    def _read(self, key: Key) -> Program:
        pid, ticks, _ = key
        program = Program(read_genuine_exe(self._proc_fd, pid), read_cmdline(self._proc_fd, pid))
        return program if start_ticks(self._proc_fd, pid) == ticks else UNKNOWN


def _key(c: Candidate) -> Key:
    return c.pid, c.start_ticks, c.comm
