"""The session's own bus: notifications, what the user's systemd says, and that there is one agent only.

See the Desktop Notifications Specification 1.2 and org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from oomguardd.agent.again import FIRST_PAUSE_S, serve_again
from oomguardd.notifiers.dbus import BUS, BusError, Connection, Incoming, connect
from oomguardd.notifiers.wording import Urgency

NAME = "org.oomguard1.Agent"
READY_S = 30.0
"""So long a notification waits for the session's bus."""
NOTIFY_S = 20.0
"""The desktop may have to start the service that shows notifications; its bus gives up after 25 s."""

APP_NAME = "oomguardd"
DEFAULT_ICON = "dialog-warning"

RESULTS_KEPT = 50
RESULT_AGE_S = 15.0
"""What systemd says of a unit belongs to a kill of so long ago at most."""

_NOTIFICATIONS = (
    "org.freedesktop.Notifications",
    "/org/freedesktop/Notifications",
    "org.freedesktop.Notifications",
)
_DO_NOT_QUEUE = 4
_TAKEN = 3
_UNITS = "/org/freedesktop/systemd1/unit/"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_KINDS_OF_UNITS = ("org.freedesktop.systemd1.Scope", "org.freedesktop.systemd1.Service")


class AnotherAgent(Exception):
    """There is an agent in this session already."""


class Note(NamedTuple):
    """What is shown."""

    summary: str
    body: str
    """Plain text."""
    urgency: Urgency
    icon: str = ""
    replaces: int = 0
    """The id of the notification whose place it takes; 0 for none."""
    expires_ms: int = -1
    """-1: as the desktop likes."""


def escape(text: str) -> str:
    """For a desktop that reads markup in the body."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unit_of(path: str) -> str:
    """The unit of an object path of systemd's, in which what is no letter or digit is _xx."""
    if not path.startswith(_UNITS):
        return ""
    first, *others = path[len(_UNITS) :].split("_")
    try:
        rest = [bytes.fromhex(other[:2]) + other[2:].encode() for other in others]
    except ValueError:
        return ""
    return b"".join([first.encode(), *rest]).decode(errors="replace")


def _says_oom_kill(body: tuple[Any, ...]) -> bool:
    """Of PropertiesChanged: interface, changed properties, names of others."""
    ours = len(body) == 3 and body[0] in _KINDS_OF_UNITS and isinstance(body[1], dict)
    return ours and body[1].get("Result") == ("s", "oom-kill")


class Session:
    """Keeps one connection. `results`: whether to follow what systemd says of units."""

    def __init__(
        self,
        address: str,
        results: bool,
        complain: Callable[[str], None],
        first_pause_s: float = FIRST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._results = results
        self._complain = complain
        self._first_pause_s = first_pause_s
        self._clock = clock
        self._connection: Connection | None = None
        self._killed: OrderedDict[str, float] = OrderedDict()
        self.ready = asyncio.Event()
        """Whether there is a connection."""

    async def run(self) -> None:
        """Until it is cancelled. AnotherAgent."""
        await serve_again(self._serve, "session bus", self._complain, self._first_pause_s)

    async def show(self, note: Note) -> int:
        """The notification's id. BusError."""
        try:
            await asyncio.wait_for(self.ready.wait(), READY_S)
        except asyncio.TimeoutError:
            raise BusError("there is no session bus") from None
        connection = self._connection
        if connection is None:
            raise BusError("the session bus has gone")
        (capabilities,) = await connection.call(_NOTIFICATIONS, "GetCapabilities", limit_s=NOTIFY_S)
        body = escape(note.body) if "body-markup" in capabilities else note.body
        hints = {"urgency": ("y", int(note.urgency))}
        arguments: tuple[Any, ...] = (
            APP_NAME,
            note.replaces,
            note.icon or DEFAULT_ICON,
            note.summary,
            body,
            [],
            hints,
            note.expires_ms,
        )
        (shown,) = await connection.call(_NOTIFICATIONS, "Notify", "susssasa{sv}i", arguments, NOTIFY_S)
        return int(shown)

    def was_oom_killed(self, unit: str) -> bool:
        """Whether systemd has just said of that unit of the user's that it was killed for memory."""
        at_s = self._killed.get(unit)
        return at_s is not None and self._clock() - at_s <= RESULT_AGE_S

    async def _serve(self) -> None:
        connection = await connect(self._address, self._hear)
        try:
            (result,) = await connection.call(BUS, "RequestName", "su", (NAME, _DO_NOT_QUEUE))
            if result == _TAKEN:
                raise AnotherAgent
            for kind in _KINDS_OF_UNITS if self._results else ():
                match = (
                    f"type='signal',interface='{_PROPERTIES}',member='PropertiesChanged',"
                    f"path_namespace='{_UNITS[:-1]}',arg0='{kind}'"
                )
                await connection.call(BUS, "AddMatch", "s", (match,))
            self._connection = connection
            self.ready.set()
            await connection.ended()
        finally:
            self._connection = None
            self.ready.clear()
            await connection.close()

    async def _hear(self, connection: Connection, incoming: Incoming) -> None:
        body = incoming.body
        if not incoming.signal:
            await connection.refuse(
                incoming, "org.freedesktop.DBus.Error.UnknownMethod", "nothing is served here"
            )
        elif incoming.interface == _PROPERTIES and _says_oom_kill(body):
            self._remember(unit_of(incoming.path))

    def _remember(self, unit: str) -> None:
        self._killed[unit] = self._clock()
        self._killed.move_to_end(unit)
        while len(self._killed) > RESULTS_KEPT:
            self._killed.popitem(last=False)
