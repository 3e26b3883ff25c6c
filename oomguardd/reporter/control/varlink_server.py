"""The varlink protocol's server side, over Unix stream sockets.

Rule of this file: it knows no interface but the one that every service has, and whatever a client does, or
does not do, is bounded: connections, bytes and time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from oomguardd.reporter.control.varlink import (
    SERVICE,
    SERVICE_DESCRIPTION,
    About,
    Call,
    Interface,
    Method,
    Parameters,
    Peer,
    VarlinkError,
    encode,
    parse_call,
)

REFUSALS = ("too many connections", "too slow", "too large", "no varlink", "failed")
"""Why a client was turned away."""

_TURNS = 3
"""Of the loop, from accepting a connection to knowing of it."""
_CREDENTIALS = struct.Struct("3i")


class Limits(NamedTuple):
    """What clients may use up, all of them together."""

    connections: int = 32
    reserved: int = 8
    """Of these, so many are for root and ourselves, whatever the others do."""
    each_user: int = 8
    """Connections of one other user."""
    message_bytes: int = 64 * 1024
    buffer_bytes: int = 64 * 1024
    """Written but not yet read by the client, besides one message."""
    idle_s: float = 30.0
    """Within that a call has to come, whole."""
    write_s: float = 30.0
    """Who takes nothing for so long does not read."""
    close_s: float = 2.0


class VarlinkServer:
    """Answers on any number of listening sockets.

    `admit` raises VarlinkError for who may not call a method of that interface; `refused` is told why
    somebody was turned away, in a few fixed words.
    """

    def __init__(
        self,
        about: About,
        interfaces: Sequence[Interface],
        admit: Callable[[Peer, str], None],
        refused: Callable[[str], None],
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> None:
        own = Interface(
            SERVICE,
            SERVICE_DESCRIPTION,
            {
                "GetInfo": Method({}, self._info),
                "GetInterfaceDescription": Method({"interface": str}, self._describe),
            },
        )
        self._about = about
        self._interfaces = {interface.name: interface for interface in (own, *interfaces)}
        self._admit = admit
        self._refused = refused
        self._limits = limits
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.Task[None], Peer] = {}

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def start(self, listeners: Sequence[socket.socket]) -> None:
        """Answer there from now on. The sockets are ours then; the file of one is left where it is."""
        for listener in listeners:
            listener.setblocking(False)
            # Not start_unix_server: from Python 3.13 on it removes the file, which may be systemd's.
            server = await asyncio.start_server(
                self._accepted, sock=listener, limit=self._limits.message_bytes
            )
            self._servers.append(server)

    async def close(self) -> None:
        """Ends every connection. May be called twice."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for _ in range(_TURNS):  # connections that are just being accepted
            await asyncio.sleep(0)
        tasks = tuple(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _peer_of(writer)
        if peer is None or not self._has_room(peer.uid):
            self._refused("too many connections")
            writer.transport.abort()
            return
        writer.transport.set_write_buffer_limits(high=self._limits.buffer_bytes)
        task = asyncio.ensure_future(_Connection(self, peer, reader, writer).run())
        self._connections[task] = peer
        task.add_done_callback(self._ended)
        task.add_done_callback(lambda _: writer.transport.abort())  # also of one that never ran

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        if not task.cancelled() and task.exception() is not None:
            self._refused("failed")  # a fault of ours; it must not end more than this connection

    def _has_room(self, uid: int) -> bool:
        limits, ours = self._limits, {0, os.geteuid()}
        if uid in ours:
            return len(self._connections) < limits.connections
        others = [peer.uid for peer in self._connections.values() if peer.uid not in ours]
        room = limits.connections - limits.reserved
        return (
            len(others) < room
            and others.count(uid) < limits.each_user
            and len(self._connections) < limits.connections
        )

    def find(self, call: Call, peer: Peer) -> Method:
        """The method that is called, rightly and by somebody who may. VarlinkError."""
        interface = self._interfaces.get(call.interface)
        if interface is None:
            raise VarlinkError(f"{SERVICE}.InterfaceNotFound", interface=call.interface)
        if call.interface != SERVICE:
            self._admit(peer, call.interface)
        method = interface.methods.get(call.method)
        if method is None:
            raise VarlinkError(f"{SERVICE}.MethodNotFound", method=call.whole)
        if call.upgrade:
            raise VarlinkError(f"{SERVICE}.MethodNotImplemented", method=f"{call.whole} with upgrade")
        if (name := method.unfit(call.parameters)) is not None:
            raise VarlinkError(f"{SERVICE}.InvalidParameter", parameter=name)
        if method.stream is not None and not call.more:
            raise VarlinkError(f"{SERVICE}.ExpectedMore")
        return method

    def _info(self, parameters: Parameters) -> Parameters:
        about = self._about
        return {
            "vendor": about.vendor,
            "product": about.product,
            "version": about.version,
            "url": about.url,
            "interfaces": list(self._interfaces),
        }

    def _describe(self, parameters: Parameters) -> Parameters:
        name = parameters.get("interface")
        if name is None:
            raise VarlinkError(f"{SERVICE}.InvalidParameter", parameter="interface")
        interface = self._interfaces.get(str(name))
        if interface is None:
            raise VarlinkError(f"{SERVICE}.InterfaceNotFound", interface=name)
        return {"description": interface.description}

    @property
    def limits(self) -> Limits:
        return self._limits

    def turn_away(self, why: str) -> None:
        """Counts a client that was."""
        self._refused(why)


def _peer_of(writer: asyncio.StreamWriter) -> Peer | None:
    sock = writer.get_extra_info("socket")
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except (OSError, AttributeError):
        return None
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return Peer(pid, uid)


class _Connection:
    """One client, call by call."""

    def __init__(
        self,
        server: VarlinkServer,
        peer: Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._server = server
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._limits = server.limits
        self._late = False
        """It was cut because it took too long."""

    async def run(self) -> None:
        try:
            while await self._next():
                await asyncio.sleep(0)  # a thousand calls in one packet must not hold up the others
            await self._close()
        except ConnectionError:
            pass  # the client has gone
        except asyncio.LimitOverrunError:
            self._server.turn_away("too large")
        finally:
            if self._late:
                self._server.turn_away("too slow")

    async def _next(self) -> bool:
        """One call; whether there may be another."""
        try:
            with self._within(self._limits.idle_s):
                message = await self._reader.readuntil(b"\0")
        except asyncio.IncompleteReadError:
            return False  # it will say no more, but may still read
        call = parse_call(message[:-1])
        if call is None:
            self._server.turn_away("no varlink")
            return False
        try:
            method = self._server.find(call, self._peer)
            if method.stream is not None:
                await self._stream(method.stream(call.parameters))
                return False
            answer = method.answer(call.parameters) if method.answer is not None else {}
            reply = encode(answer)
        except VarlinkError as error:
            reply = encode(error.parameters, error=error.name)
        if not call.oneway:
            await self._send(reply)
        return True

    async def _stream(self, messages: AsyncIterator[bytes]) -> None:
        """Until the client says anything or goes: nothing could be answered before the end of a stream that
        has none."""
        feeding = asyncio.ensure_future(self._feed(messages))
        leaving = asyncio.ensure_future(self._reader.read(1))
        try:
            await asyncio.wait({feeding, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                await feeding
        finally:
            for task in (feeding, leaving):
                task.cancel()
            await asyncio.gather(feeding, leaving, return_exceptions=True)

    async def _feed(self, messages: AsyncIterator[bytes]) -> None:
        async for message in messages:
            await self._send(message)
            await asyncio.sleep(0)

    async def _send(self, message: bytes) -> None:
        self._writer.write(message)
        with self._within(self._limits.write_s):
            await self._writer.drain()

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """The connection is cut when it takes longer. Not wait_for(), which may swallow a cancellation."""
        timer = asyncio.get_running_loop().call_later(seconds, self._cut)
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self._late = True
        self._writer.transport.abort()

    async def _close(self) -> None:
        """What was written gets a moment to be read; then the rest is forgotten."""
        self._writer.close()
        timer = asyncio.get_running_loop().call_later(self._limits.close_s, self._writer.transport.abort)
        try:
            await self._writer.wait_closed()
        finally:
            timer.cancel()
