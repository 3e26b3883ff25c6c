"""cgroup v1: being told when a memory limit is reached, by an eventfd of each cgroup that has one.

Only root may register, so that it is done once, before privileges are dropped; cgroups that are made later
are found by the machine's counter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from oomguardd.kernel.memory_events import cgroups_below, has_limit, register_oom

MOST_EVENTS = 64
MOST_CGROUPS = 1000
DEPTH = 5
PAUSE_S = 0.5


class LimitWatch:
    """`reached` is called with a cgroup whose limit, or one above it, was reached. OSError from the
    constructor where that cannot be registered; none at all have a limit is no error."""

    def __init__(self, root: str, reached: Callable[[str], None]) -> None:
        self._reached = reached
        self._events: dict[int, str] = {}
        self._on = False
        try:
            for path, _ in cgroups_below(root, MOST_CGROUPS, DEPTH):
                if len(self._events) < MOST_EVENTS and has_limit(root + path):
                    self._register(root, path)
        except OSError:
            self._drop()
            raise

    @property
    def count(self) -> int:
        """How many cgroups are watched."""
        return len(self._events)

    def _register(self, root: str, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # gone again
            self._events[register_oom(root + path)] = path

    def start(self) -> None:
        """In a running loop."""
        self._on = True
        for event in self._events:
            asyncio.get_running_loop().add_reader(event, self._readable, event)

    def _readable(self, event: int) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            os.eventfd_read(event)
        # A cgroup without the OOM killer reports again and again.
        loop.remove_reader(event)
        loop.call_later(PAUSE_S, self._listen, event, self._events[event])
        self._reached(self._events[event])

    def _listen(self, event: int, path: str) -> None:
        if self._events.get(event) == path:  # not closed meanwhile
            asyncio.get_running_loop().add_reader(event, self._readable, event)

    def close(self) -> None:
        """In the loop that it was started in, if it was. May be called twice."""
        for event in self._events if self._on else ():
            asyncio.get_running_loop().remove_reader(event)
        self._drop()

    def _drop(self) -> None:
        for event in self._events:
            os.close(event)
        self._events.clear()
