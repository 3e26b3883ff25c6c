"""A connection to a message bus. See the D-Bus Specification, and jeepney's documentation.

The only file that knows jeepney (0.8 and 0.9), which may be missing. Every call has a time limit: a bus under
memory pressure may hang, and its clients with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from oomguardd.notifiers.stopping import stop

try:
    import jeepney
    from jeepney.auth import BEGIN, Authenticator
    from jeepney.bus import get_connectable_addresses
    from jeepney.io.asyncio import DBusConnection
except ImportError:
    jeepney = None

HAVE_JEEPNEY = jeepney is not None
NO_JEEPNEY = "install the Python package jeepney (Debian: python3-jeepney)"

BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
"""Destination, path and interface of the bus itself."""

CALL_S = 5.0
OPEN_S = 10.0


class BusError(Exception):
    """`name` is the D-Bus name of the error; empty if it is not the other side's."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


class Incoming(NamedTuple):
    """A signal or a method call. The bus vouches for `sender`, a unique name, and for nothing else."""

    signal: bool
    sender: str
    path: str
    interface: str
    member: str
    body: tuple[Any, ...]
    message: Any
    """jeepney's, for `Connection.answer`."""


Hear = Callable[["Connection", Incoming], Awaitable[None]]


def system_address(environ: Mapping[str, str]) -> str:
    """Where the system bus is."""
    return environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/run/dbus/system_bus_socket"


def session_address(environ: Mapping[str, str]) -> str:
    """Where the bus of the user's session is; empty if that is not known."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    return environ.get("DBUS_SESSION_BUS_ADDRESS") or (f"unix:path={runtime}/bus" if runtime else "")


class Connection:
    """Made by `connect`. Ends by itself when the bus does; `ended` waits for that."""

    def __init__(self, raw: Any, hear: Hear) -> None:
        self._raw = raw
        self._hear = hear
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.ensure_future(self._read())

    async def call(
        self,
        target: tuple[str, str, str],
        member: str,
        signature: str = "",
        body: tuple[Any, ...] = (),
        limit_s: float = CALL_S,
    ) -> tuple[Any, ...]:
        """The body of the reply. BusError: an error, no reply in time, or the connection has ended."""
        destination, path, interface = target
        address = jeepney.DBusAddress(path, bus_name=destination, interface=interface)
        message = jeepney.new_method_call(address, member, signature or None, body)
        serial = next(self._raw.outgoing_serial)
        reply = self._replies[serial] = asyncio.get_running_loop().create_future()
        if self._reading.done():
            del self._replies[serial]
            raise BusError("the connection to the bus has ended")
        try:
            return _unwrapped(await asyncio.wait_for(self._sent(message, serial, reply), limit_s))
        except asyncio.TimeoutError:
            raise BusError(f"no answer to {member} within {limit_s:.0f} s") from None
        except OSError as error:
            raise BusError(f"connection to the bus: {error.strerror or error}") from error
        finally:
            self._replies.pop(serial, None)

    async def _sent(self, message: Any, serial: int, reply: asyncio.Future[Any]) -> Any:
        await self._raw.send(message, serial=serial)
        return await reply

    async def emit(
        self, path: str, interface: str, member: str, signature: str, body: tuple[Any, ...]
    ) -> None:
        """A signal to everybody. It has arrived at the bus when a later `call` is answered."""
        address = jeepney.DBusAddress(path, interface=interface)
        await self._send(jeepney.new_signal(address, member, signature, body))

    async def answer(self, incoming: Incoming, signature: str, body: tuple[Any, ...]) -> None:
        """The reply to a method call, where one is wanted."""
        if not jeepney.MessageFlag.no_reply_expected & incoming.message.header.flags:
            await self._send(jeepney.new_method_return(incoming.message, signature or None, body))

    async def refuse(self, incoming: Incoming, name: str, text: str) -> None:
        """The same for a method call that fails, with the D-Bus name of the error."""
        if not jeepney.MessageFlag.no_reply_expected & incoming.message.header.flags:
            await self._send(jeepney.new_error(incoming.message, name, "s", (text,)))

    async def _send(self, message: Any) -> None:
        try:
            await asyncio.wait_for(self._raw.send(message), CALL_S)
        except (OSError, asyncio.TimeoutError) as error:
            raise BusError(f"connection to the bus: {error or 'it does not read'}") from error

    async def ended(self) -> None:
        """Returns when the bus has gone, or said what is no D-Bus."""
        await asyncio.wait({self._reading})

    async def close(self) -> None:
        """May be called twice."""
        await stop(self._reading)
        self._raw.writer.transport.abort()

    async def _read(self) -> None:
        try:
            while True:
                await self._dispatch(await self._raw.receive())
        except asyncio.CancelledError:
            raise
        except Exception:  # jeepney has many ways to dislike a message; all are the end of a stream
            return
        finally:
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(BusError("the connection to the bus has ended"))

    async def _dispatch(self, message: Any) -> None:
        fields, kind = message.header.fields, message.header.message_type
        if kind in (jeepney.MessageType.method_return, jeepney.MessageType.error):
            reply = self._replies.get(fields.get(jeepney.HeaderFields.reply_serial, -1))
            if reply is not None and not reply.done():
                reply.set_result(message)
            return
        body = message.body
        incoming = Incoming(
            kind is jeepney.MessageType.signal,
            str(fields.get(jeepney.HeaderFields.sender, "")),
            str(fields.get(jeepney.HeaderFields.path, "")),
            str(fields.get(jeepney.HeaderFields.interface, "")),
            str(fields.get(jeepney.HeaderFields.member, "")),
            body if isinstance(body, tuple) else (),
            message,
        )
        with contextlib.suppress(BusError):  # of an answer that could not be sent; reading will see the end
            await self._hear(self, incoming)


def _unwrapped(message: Any) -> tuple[Any, ...]:
    body: tuple[Any, ...] = message.body
    if message.header.message_type is jeepney.MessageType.error:
        name = str(message.header.fields.get(jeepney.HeaderFields.error_name, ""))
        raise BusError(str(body[0]) if body else name, name)
    return body


async def hear_nothing(connection: Connection, incoming: Incoming) -> None:
    """For those who only talk."""


async def connect(address: str, hear: Hear = hear_nothing) -> Connection:
    """A connection that has said hello. BusError, with the remedy where there is one.

    `hear` gets signals and method calls, one at a time; it must not `call`, whose answer it would hold up.
    """
    if not HAVE_JEEPNEY:
        raise BusError(NO_JEEPNEY)
    try:
        path = next(iter(get_connectable_addresses(address)))
    except (RuntimeError, ValueError, KeyError, StopIteration):
        raise BusError(f"no bus address that can be used: {address!r}") from None
    try:
        return await asyncio.wait_for(_connect(path, hear), OPEN_S)
    except asyncio.TimeoutError:
        raise BusError(f"the bus at {path} did not answer within {OPEN_S:.0f} s") from None
    except (OSError, ValueError, EOFError) as error:
        raise BusError(f"no bus at {path}: {getattr(error, 'strerror', None) or error}") from error


async def _connect(path: str, hear: Hear) -> Connection:
    reader, writer = await asyncio.open_unix_connection(path)
    connection = None
    try:
        authenticator = Authenticator()
        for request in authenticator:
            writer.write(request)
            await writer.drain()
            answer = await reader.read(1024)
            if not answer:
                raise EOFError("it hung up on us")
            authenticator.feed(answer)
        writer.write(BEGIN)
        await writer.drain()
        connection = Connection(DBusConnection(reader, writer), hear)
        await connection.call(BUS, "Hello")
        return connection
    except BaseException:
        if connection is not None:
            await connection.close()
        writer.transport.abort()
        raise
