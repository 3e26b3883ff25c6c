"""Reading what may make the reader wait, in threads of our own, ahead of need.

Rule of this file: whoever asks never waits for what is read, but as long as they say. A thread that is stuck
on one process leaves the others free, and what was read of some is kept for a bounded number of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from oomguardd.kernel.clock import monotonic_s

THREADS = 2
QUEUED_MAX = 128
KEPT_MAX = 512
STUCK_S = 1.0

Key = TypeVar("Key", bound=Hashable)


class Reading(NamedTuple):
    """What was found, None where it could not be read; and whether it was still the key's when that was
    done."""

    text: str | None
    holds: bool


class ReadAhead(Generic[Key]):
    """`read` is called in the threads, and nothing before `start`; its OSError means: not this time."""

    def __init__(self, name: str, read: Callable[[Key], Reading], threads: int = THREADS) -> None:
        self._read = read
        self._threads = [
            threading.Thread(target=self._work, args=(index,), name=f"{name}-{index}", daemon=True)
            for index in range(threads)
        ]
        self._queue: SimpleQueue[Key | None] = SimpleQueue()
        self._known: OrderedDict[Key, str | None] = OrderedDict()
        self._asked: set[Key] = set()
        self._since_s: dict[int, float] = {}
        self._change = threading.Condition()
        self._started = self._closed = False

    @property
    def stuck(self) -> int:
        """How many of the threads have been waiting for one process for more than a second."""
        with self._change:
            return self._count_stuck()

    def start(self) -> None:
        """May be called twice."""
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()

    def ask(self, key: Key) -> None:
        """Have it read some time soon; nothing where too much is asked already."""
        with self._change:
            self._ask(key)

    def get(self, key: Key, within_s: float = 0.0) -> str | None:
        """What is known of it, waiting no longer than that; asks for it if nothing is. Does not wait
        while all threads are stuck."""
        until_s = monotonic_s() + within_s
        with self._change:
            self._ask(key)
            if key in self._asked and self._count_stuck() < len(self._threads):
                while key in self._asked and (left_s := until_s - monotonic_s()) > 0:
                    self._change.wait(left_s)
            return self._known.get(key)

    def close(self) -> None:
        """Ends those threads that are not stuck. May be called twice."""
        if self._started and not self._closed:
            self._closed = True
            for _ in self._threads:
                self._queue.put(None)
            for thread in self._threads:
                thread.join(timeout=0.2)

    def _ask(self, key: Key) -> None:
        if key in self._known:
            self._known.move_to_end(key)
        elif self._started and key not in self._asked and len(self._asked) < QUEUED_MAX:
            self._asked.add(key)
            self._queue.put(key)

    def _count_stuck(self) -> int:
        now_s = monotonic_s()
        return sum(1 for since_s in self._since_s.values() if now_s - since_s > STUCK_S)

    def _work(self, index: int) -> None:
        while (key := self._queue.get()) is not None:
            with self._change:
                self._since_s[index] = monotonic_s()
            try:
                found = self._read(key)
            except OSError:
                found = Reading(None, False)  # no descriptors left, perhaps
            with self._change:
                del self._since_s[index]
                self._asked.discard(key)
                if found.holds:
                    self._keep(key, found.text)
                self._change.notify_all()

    def _keep(self, key: Key, text: str | None) -> None:
        self._known[key] = text
        while len(self._known) > KEPT_MAX:
            self._known.popitem(last=False)
