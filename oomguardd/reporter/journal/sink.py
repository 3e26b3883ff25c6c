"""Records as structured entries of the systemd journal.

Rule of this file: an entry counts as taken when it is in journald's queue. While that is full, or journald is
away, we wait, for ever if need be, and the order stays; nobody but us waits with us.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable, Sequence

from oomguardd.history.identity import incident_id, is_incident
from oomguardd.kernel import journald
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.journal.fields import entry_of
from oomguardd.reporter.words import priority_of, words_of
from oomguardd.sensors import SIGNAL_OF

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 1.0
"""Between two attempts: one that finds journald back within a second of its return."""

_AWAY = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ENOENT,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.EDESTADDRREQ,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
    }
)
"""It may come back, or have room again. Anything else (EACCES) will not change by waiting."""


def journal_there(path: str = journald.SOCKET) -> bool:
    """Whether a journald listens, by this moment's look."""
    with contextlib.suppress(OSError), journald.open_socket() as sock:
        sock.connect(path)
        return True
    return False


class JournalSink:
    """A sink of the relay. `path` is journald's socket, `clock` the wall clock; `threshold` is the last
    syslog priority that is sent, and may be changed."""

    name = "journal"
    must = True
    ticks = False

    def __init__(
        self, threshold: int, path: str = journald.SOCKET, clock: Callable[[], float] = time.time
    ) -> None:
        self.threshold = threshold
        self._path = path
        self._clock = clock
        self._sock: socket.socket | None = None

    async def take(self, records: Sequence[Record]) -> None:
        """Returns when all of them are in journald's hands. If it would not take one however long we waited
        (OSError), that is raised when the rest was sent."""
        refused: Exception | None = None
        for record in records:
            if priority_of(record) > self.threshold:
                continue
            try:
                await self._deliver(record)
            except Exception as error:
                refused = error  # whatever it is, the others are not to be lost for it
            await asyncio.sleep(0)  # a millisecond each: a hundred of them would keep a scrape waiting
        if refused is not None:
            raise refused

    async def close(self) -> None:
        """May be called twice."""
        self._hang_up()

    async def _deliver(self, record: Record) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                # Anew each time: it says how late it is.
                journald.send(self._connected(), self._encoded(record))
                return
            except BlockingIOError:
                await self._room(pause_s)
            except OSError as error:
                self._hang_up()
                if error.errno not in _AWAY:
                    raise
                await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _encoded(self, record: Record) -> bytes:
        incident = incident_id(record) if is_incident(record) else ""
        fields = entry_of(record, words_of(record), SIGNAL_OF, incident=incident, now_s=self._clock())
        return journald.encode(fields)

    def _connected(self) -> socket.socket:
        """Connected, because only then the kernel can tell when there is room."""
        if self._sock is None:
            sock = journald.open_socket()
            try:
                sock.connect(self._path)
            except OSError:
                sock.close()
                raise
            self._sock = sock
        return self._sock

    async def _room(self, pause_s: float) -> None:
        """Until journald has read something, but not for long: the next attempt may find that it has gone."""
        sock = self._sock
        if sock is None:
            return
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(sock.fileno(), ready.set)
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ready.wait(), LONGEST_PAUSE_S)
        finally:
            loop.remove_writer(sock.fileno())
        # Others want that room as well; without a pause we would run after it in circles.
        await asyncio.sleep(min(pause_s, 10 * FIRST_PAUSE_S))

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
