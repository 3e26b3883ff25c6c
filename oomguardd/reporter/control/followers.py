"""The last events, and those who wait for the next one.

Rule of this file: there is one list of events for everybody, with an end; who reads too slowly finds a gap,
and is told how long it is. So followers cost no memory, however many and however slow they are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from oomguardd.reporter.control.varlink import encode

MOST_EVENTS = 500
MOST_BYTES = 1 << 20
"""A kill takes 10 KiB with its words."""


class Followers:
    """Events are encoded once."""

    def __init__(self, most_events: int = MOST_EVENTS, most_bytes: int = MOST_BYTES) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._first = 0
        """The number of the oldest event that is still there."""
        self._arrived = asyncio.Event()
        self.count = 0
        """How many follow now."""

    def add(self, event: bytes) -> None:
        """A new event, encoded."""
        self._events.append(event)
        self._bytes += len(event)
        while len(self._events) > self._most_events or (
            self._bytes > self._most_bytes and len(self._events) > 1
        ):
            self._bytes -= len(self._events.popleft())
            self._first += 1
        waiting, self._arrived = self._arrived, asyncio.Event()
        waiting.set()

    async def follow(self, backlog: int) -> AsyncIterator[bytes]:
        """An empty reply at once, then so many past events, then each new one; never ends by itself."""
        self.count += 1
        try:
            at = self._first + max(0, len(self._events) - backlog)
            yield gap(0)
            while True:
                if at < self._first:
                    lost, at = self._first - at, self._first
                    yield gap(lost)
                elif at < self._first + len(self._events):
                    at += 1
                    yield self._events[at - 1 - self._first]
                else:
                    await self._arrived.wait()
        finally:
            self.count -= 1


def gap(lost: int) -> bytes:
    """The reply that says how many events a follower has missed."""
    return encode({"record": None, "lines": [], "lost": lost}, continues=True)
