"""The guard's socket, seen from the reporter: one JSON object a datagram, kept ones numbered.

The guard sends kept records again to whoever says which one it saw last; so nothing that was printed
is printed twice, and what the guard had to forget is noticed as a gap in the numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, object]
Clock = Callable[[], float]
"""Seconds since the epoch."""

MAX_DATAGRAM_BYTES = 65536
"""What the guard sends at most; one byte more would be a truncated datagram."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""The back-off between two attempts to connect doubles from the one to the other."""

SILENT_ATTEMPTS = 3
"""Attempts that fail before it is worth a line: a restart of the guard is not."""


@dataclass(slots=True)
class Seen:
    """What has been printed already, of the guard's present run."""

    run: str = ""
    last: int = 0
    kept_run: str = ""
    kept: int = 0
    """What the history had at our start, and of which run. Others may still lack it who must have it: a
    reporter may have died while the journal stood still."""

    def is_kept(self, record: Record) -> bool:
        """Whether the history has it from a reporter before us."""
        return str(record.get("run", "")) == self.kept_run and 0 < seq_of(record) <= self.kept

    def admit(self, run: str, seq: int) -> int | None:
        """None for a record that was seen before; otherwise how many were lost just before this one.

        The very first record of a reporter's life loses nothing: those before it were somebody else's.
        """
        if seq <= 0:
            return 0  # not a kept one
        if run != self.run:
            known_run = self.run or self.kept_run
            before = self.kept if run == self.kept_run and not self.run else 0
            self.run, self.last = run, seq
            return max(0, seq - before - 1) if known_run else 0
        if seq <= self.last:
            return None
        lost, self.last = seq - self.last - 1, seq
        return lost


def parse_record(datagram: bytes) -> Record | str:
    """The record, or what is wrong with the datagram."""
    if len(datagram) > MAX_DATAGRAM_BYTES:
        return f"a datagram of more than {MAX_DATAGRAM_BYTES} bytes"
    try:
        record = json.loads(datagram)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({type(error).__name__})"
    if not isinstance(record, dict):
        return f"a {type(record).__name__} instead of an object"
    return record if isinstance(record.get("kind"), str) else "an object without a kind"


def seq_of(record: Record) -> int:
    """The number of a kept record; 0 for others."""
    seq = record.get("seq")
    return seq if isinstance(seq, int) and not isinstance(seq, bool) and seq > 0 else 0


def made_here(kind: str, priority: int, time_s: float, **fields: object) -> Record:
    """A record that the reporter makes: it has no number and is never confirmed."""
    return {"kind": kind, "priority": priority, "time_s": time_s, "seq": 0, **fields}


class Inbox:
    """Connects again and again, and hands out each record once."""

    def __init__(self, path: str, stopping: asyncio.Event, clock: Clock, seen: Seen | None = None) -> None:
        self._path = path
        self._stopping = stopping
        self._clock = clock
        self._seen = seen or Seen()
        self._sock: socket.socket | None = None
        self.on_connection: Callable[[bool], None] = lambda there: None
        """Told when there is a connection to the guard, and when there is none any more."""

    async def records(self) -> AsyncIterator[Record]:
        """Records as they come, until we are told to stop and all that has arrived is handed out."""
        pause_s, failures = FIRST_PAUSE_S, 0
        while not self._stopping.is_set():
            why = self._connect()
            async for record in self._connection():
                pause_s, failures, why = FIRST_PAUSE_S, 0, ""
                yield record
            failures += 1
            if failures == SILENT_ATTEMPTS:
                where = f"connection to the guard at {self._path}"
                yield made_here("fault", 4, self._clock(), where=where, error=why or "closed by the guard")
            self._hang_up()
            await self._first_of(asyncio.sleep(pause_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def confirm(self, record: Record) -> None:
        """Tells the guard that this record is written and may be forgotten.

        A lost connection is not an error: the next hello says the same.
        """
        if (seq := seq_of(record)) and self._sock is not None:
            await self._send(self._sock, {"ack": seq})

    async def _connection(self) -> AsyncIterator[Record]:
        sock = self._sock
        if sock is None:
            return
        await self._send(sock, {"hello": 1, "run": self._seen.run, "last": self._seen.last})
        malformed = 0
        while datagram := await self._receive(sock):
            record = parse_record(datagram)
            if not isinstance(record, str):
                for admitted in self._admit(record):
                    yield admitted
                continue
            malformed += 1
            if malformed == 1:  # one line for each cause and connection
                yield made_here("fault", 4, self._clock(), where="record from the guard", error=record)

    def _admit(self, record: Record) -> list[Record]:
        lost = self._seen.admit(str(record.get("run", "")), seq_of(record))
        if lost is None:
            return []
        if lost == 0:
            return [record]
        return [made_here("lost", 3, self._clock(), count=lost), record]

    def _connect(self) -> str:
        """Empty, or why there is no connection."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        try:
            sock.connect(self._path)
        except OSError as error:
            sock.close()
            return error.strerror or str(error)
        self._sock = sock
        self.on_connection(True)
        return ""

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
            self.on_connection(False)

    async def _receive(self, sock: socket.socket) -> bytes:
        """One datagram; empty when the guard has gone, or we are stopping and have read all there was."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return sock.recv(MAX_DATAGRAM_BYTES + 1)
            except BlockingIOError:
                if self._stopping.is_set():
                    return b""
            except OSError:
                return b""
            arrived = asyncio.Event()
            loop.add_reader(sock.fileno(), arrived.set)
            try:
                await self._first_of(arrived.wait())
            finally:
                loop.remove_reader(sock.fileno())

    async def _send(self, sock: socket.socket, message: Mapping[str, object]) -> None:
        with contextlib.suppress(OSError):
            await self._first_of(asyncio.get_running_loop().sock_sendall(sock, json.dumps(message).encode()))

    async def _first_of(self, awaited: Coroutine[Any, Any, object]) -> None:
        """Waits for it, but not longer than until we are told to stop; its exception is ours."""
        task = asyncio.ensure_future(awaited)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
        finally:
            for pending in (task, stop):
                pending.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)
