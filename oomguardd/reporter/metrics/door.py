"""Connections of the metrics server: let in, heard, answered and ended, each of them within bounds.

Rule of this file: whatever a client does or leaves undone costs one place, a few KiB (with TLS, 300) and some
seconds at most, and is worth a number in the metrics but no line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import NamedTuple

from oomguardd.notifiers.stopping import stop
from oomguardd.reporter.metrics.http import (
    LONGEST_HEAD_BYTES,
    Answer,
    Request,
    parse_request,
    refuse,
    render,
)

REFUSALS = (
    "bad request",
    "closed",
    "failed",
    "no such page",
    "switched off",
    "too long",
    "too many connections",
    "too slow",
    "wrong method",
    "wrong token",
)
"""Why somebody was turned away."""

_AGAIN_S = 1.0
"""Without a descriptor left, asking again at once would only take the processor."""

_AT_ONCE = 16
"""Connections that are let in before others of the reporter's work get their turn."""


class Limits(NamedTuple):
    """What clients may use up."""

    connections: int = 32
    request_s: float = 5.0
    """Within that a request has to come, whole, from its first byte on; the first one also with it."""
    idle_s: float = 300.0
    """Between two requests; Prometheus scrapes every minute by default."""
    write_s: float = 10.0
    """Within that an answer has to be taken."""
    close_s: float = 1.0
    requests: int = 1000
    """Of one connection."""
    patience_s: float = 0.1
    """Who has been waited for that long has to make room for others when all places are taken: a request
    comes within a millisecond or two, and one neighbour must not be able to keep everybody out."""


class _Guest:
    """A connection that was let in."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.sock = sock
        self.tls = tls
        self.handed_over = False
        """A transport has the socket, and will close it."""


class Door:
    """Any number of listening sockets. `answer` must not raise; `refused` is told one of REFUSALS; `tls` says
    how new connections are talked to."""

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        refused: Callable[[str], None],
        tls: Callable[[], ssl.SSLContext | None],
        limits: Limits,
    ) -> None:
        self._answer = answer
        self._refused = refused
        self._tls = tls
        self._limits = limits
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], float] = {}
        """Those that are waited for, to ask, to read or to go, the one that has been for longest first."""

    @property
    def connections(self) -> int:
        return len(self._tasks)

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        return tuple(self._listeners)

    def open(self, listener: socket.socket) -> None:
        """Lets clients of this socket in; it is ours from now on."""
        listener.setblocking(False)
        self._listeners.append(listener)
        self._listen(listener)

    def shut(self, listener: socket.socket) -> None:
        """Nobody new comes in there; those who are in stay."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            asyncio.get_running_loop().remove_reader(listener.fileno())
            listener.close()

    def dismiss(self) -> None:
        """Ends the connections that there are."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Ends everything. May be called twice."""
        for listener in self.listeners:
            self.shut(listener)
        await stop(*self._tasks)

    def _listen(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # it gave up again
            except OSError:
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener.fileno())
                loop.call_later(_AGAIN_S, self._listen, listener)
                return
            sock.setblocking(False)
            self._let_in(sock)

    def _let_in(self, sock: socket.socket) -> None:
        tls = self._tls()
        if len(self._tasks) >= self._limits.connections and not self._make_room():
            self._refused("too many connections")
            if tls is None:
                no = refuse(503, "too many connections", "")
                with contextlib.suppress(OSError):
                    sock.send(render(no, keep_alive=False, with_body=True))
            sock.close()
            return
        guest = _Guest(sock, tls)
        task = asyncio.ensure_future(self._serve(guest))
        self._tasks.add(task)
        self._waiting[task] = _now_s()
        task.add_done_callback(lambda task: self._ended(task, guest))

    def _make_room(self) -> bool:
        """Ends the connection that has been waited for longest, if that was long enough."""
        task, since_s = next(iter(self._waiting.items()), (None, 0.0))
        if task is None or _now_s() - since_s < self._limits.patience_s:
            return False
        self._refused("too slow")
        self._tasks.discard(task)
        del self._waiting[task]
        task.cancel()
        return True

    def _ended(self, task: asyncio.Task[None], guest: _Guest) -> None:
        self._tasks.discard(task)
        self._waiting.pop(task, None)
        if not guest.handed_over:
            guest.sock.close()
        if not task.cancelled() and task.exception() is not None:
            self._refused("failed")  # a fault of ours; it must not end more than this connection

    async def _serve(self, guest: _Guest) -> None:
        loop, limits, tls = asyncio.get_running_loop(), self._limits, guest.tls
        reader = asyncio.StreamReader(limit=LONGEST_HEAD_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        guest.handed_over = True
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, guest.sock, ssl=tls, ssl_handshake_timeout=limits.request_s if tls else None
            )
        except (OSError, asyncio.TimeoutError):
            self._refused("bad request")  # no TLS, or none that we speak, or too slow for it
            return
        transport.set_write_buffer_limits(high=0)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            await self._converse(reader, writer)
        except asyncio.TimeoutError:
            self._refused("too slow")  # it does not read
        except (OSError, EOFError):
            pass  # it has gone
        finally:
            transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(1, self._limits.requests + 1):
            request = await self._hear(reader, first=number == 1)
            if request is None:
                return
            answer = request if isinstance(request, Answer) else self._answer(request)
            keep = isinstance(request, Request) and request.keep_alive and number < self._limits.requests
            with_body = isinstance(request, Answer) or request.method != "HEAD"
            if answer.refused:
                self._refused(answer.refused)
            writer.write(render(answer, keep, with_body))
            with self._waiting_for_client():
                await asyncio.wait_for(writer.drain(), self._limits.write_s)
                if not keep:
                    await self._take_leave(reader, writer)
                    return

    async def _hear(self, reader: asyncio.StreamReader, first: bool) -> Request | Answer | None:
        """The next request, or the answer to what is none; None if the client has nothing more to say."""
        limits, begun = self._limits, b""
        try:
            with self._waiting_for_client():
                wait_s = limits.request_s if first else limits.idle_s
                begun = await asyncio.wait_for(reader.readexactly(1), wait_s)
                rest = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), limits.request_s)
        except asyncio.LimitOverrunError:
            return refuse(431, f"a request has at most {LONGEST_HEAD_BYTES} bytes", "too long")
        except asyncio.TimeoutError:
            return refuse(408, "the request took too long", "too slow") if begun or first else None
        return parse_request(begun + rest)

    @contextlib.contextmanager
    def _waiting_for_client(self) -> Iterator[None]:
        """Whoever is waited for may have to make room."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting.pop(task, None)
        if task in self._tasks:
            self._waiting[task] = _now_s()
        try:
            yield
        finally:
            self._waiting.pop(task, None)

    async def _take_leave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Closes so that the answer arrives: with something unread, the kernel would reset the connection."""
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_read_away(reader), self._limits.close_s)


async def _read_away(reader: asyncio.StreamReader) -> None:
    for _ in range(16):
        if not await reader.read(LONGEST_HEAD_BYTES):
            return


def _now_s() -> float:
    return asyncio.get_running_loop().time()
