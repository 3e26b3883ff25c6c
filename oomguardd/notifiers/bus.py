"""org.oomguard1 on the system bus: signals for whoever shows them on a desktop (agent/), and a little to ask.

Why not straight to the desktop: nobody but the user may talk to a user's session bus. Why a name of our own:
anybody may send any signal, but the policy (packaging/org.oomguard1.conf) lets only us own the name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from oomguardd import __version__
from oomguardd.notifiers.base import Gear, Notice, NotifyError
from oomguardd.notifiers.dbus import (
    BUS,
    HAVE_JEEPNEY,
    NO_JEEPNEY,
    BusError,
    Connection,
    Incoming,
    connect,
    system_address,
)
from oomguardd.notifiers.lasting import lasting
from oomguardd.notifiers.stopping import stop
from oomguardd.notifiers.wording import KILLS, WARNINGS, Fact
from oomguardd.telling import Telling

NAME = "org.oomguard1"
PATH = "/org/oomguard1"
INTERFACE = "org.oomguard1.Manager"

KILLED = "Killed"
WARNING = "Warning"
MEMBERS = {**dict.fromkeys(KILLS, KILLED), **dict.fromkeys(WARNINGS, WARNING)}
"""Kind of notice -> the signal that tells it. Others are not people's business."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
READY_S = 5.0
"""A bus that has just been asked may take so long until a notice waits in vain."""

_DO_NOT_QUEUE = 4
_OWNERS = (1, 4)
"""Replies to RequestName: primary owner; already owner."""

XML = f"""<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
 <interface name="{INTERFACE}">
  <signal name="{KILLED}"><arg name="facts" type="a{{sv}}"/></signal>
  <signal name="{WARNING}"><arg name="facts" type="a{{sv}}"/></signal>
  <property name="Version" type="s" access="read">
   <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
  </property>
  <property name="Level" type="s" access="read">
   <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false"/>
  </property>
 </interface>
 <interface name="org.freedesktop.DBus.Introspectable">
  <method name="Introspect"><arg name="xml" type="s" direction="out"/></method>
 </interface>
 <interface name="org.freedesktop.DBus.Properties">
  <method name="Get">
   <arg name="interface" type="s" direction="in"/>
   <arg name="property" type="s" direction="in"/>
   <arg name="value" type="v" direction="out"/>
  </method>
  <method name="GetAll">
   <arg name="interface" type="s" direction="in"/>
   <arg name="properties" type="a{{sv}}" direction="out"/>
  </method>
 </interface>
 <interface name="org.freedesktop.DBus.Peer">
  <method name="Ping"/>
 </interface>
</node>
"""
_NODE = '<node><node name="{}"/></node>'
_NODES = {"/": _NODE.format("org"), "/org": _NODE.format("oomguard1"), PATH: XML}


def make(telling: Telling, gear: Gear) -> Iterable[Bus]:
    """One, unless it is switched off."""
    return [Bus(gear, system_address(gear.environ))] if telling.notify.desktop else []


def variant(value: Fact) -> tuple[str, Fact]:
    """The value with its D-Bus type."""
    if isinstance(value, bool):
        return "b", value
    if isinstance(value, int):
        return "x", min(max(value, -(1 << 63)), (1 << 63) - 1)
    return ("d", value) if isinstance(value, float) else ("s", value)


class Bus:
    """Keeps a connection with the name, and emits on it."""

    label = "desktop"
    limit_s = 20.0
    most = 20
    pause_s = 0.0

    def __init__(self, gear: Gear, address: str, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self.settings: object = address
        self._gear = gear
        self._address = address
        self._first_pause_s = first_pause_s
        self._connection: Connection | None = None
        self._ready = asyncio.Event()
        self._absent = False
        """There is no bus, or no right to the name: that has been said, and is no failure each time."""
        self._said: set[str] = set()
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """See Notifier."""
        if HAVE_JEEPNEY:
            self._keeping = lasting(self._keep())
        else:
            self._lack("jeepney", NO_JEEPNEY)

    def wants(self, notice: Notice) -> bool:
        """What people are to hear, as long as there is a bus."""
        return notice.people and notice.kind in MEMBERS and not self._absent

    async def tell(self, notices: Sequence[Notice]) -> None:
        """See Notifier. The bus has confirmed that it has them; whether anybody listens is unknown."""
        try:
            await asyncio.wait_for(self._ready.wait(), READY_S)
        except asyncio.TimeoutError:
            raise NotifyError("no connection to the system bus") from None
        connection = self._connection
        if connection is None:
            raise NotifyError("no connection to the system bus")
        try:
            for notice in notices:
                facts = {name: variant(value) for name, value in notice.facts.items()}
                facts |= {"summary": ("s", notice.summary), "body": ("s", notice.body)}
                await connection.emit(PATH, INTERFACE, MEMBERS[notice.kind], "a{sv}", (facts,))
            await connection.call(BUS, "GetId")
        except BusError as error:
            await connection.close()  # and from the start again, with another one
            raise NotifyError(str(error)) from error

    async def close(self) -> None:
        """See Notifier."""
        if self._keeping is not None:
            await stop(self._keeping)

    async def _keep(self) -> None:
        pause_s = self._first_pause_s
        while True:
            try:
                await self._serve()
                pause_s = self._first_pause_s
            except BusError as error:
                self._absent = True
                self._lack(str(error), _remedy(error))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _serve(self) -> None:
        """One connection, from its beginning to its end."""
        connection = await connect(self._address, self._hear)
        try:
            (result,) = await connection.call(BUS, "RequestName", "su", (NAME, _DO_NOT_QUEUE))
            if result not in _OWNERS:
                raise BusError(f"{NAME} belongs to another process")
            self._connection, self._absent = connection, False
            self._ready.set()
            await connection.ended()
        finally:
            self._connection = None
            self._ready.clear()
            await connection.close()

    def _lack(self, why: str, remedy: str) -> None:
        self._absent = True
        if why not in self._said and len(self._said) < 10:
            self._said.add(why)
            self._gear.missing(f"{NAME} on the system bus ({why})", "no notifications on desktops", remedy)

    async def _hear(self, connection: Connection, incoming: Incoming) -> None:
        if incoming.signal:
            return
        answer = _ANSWERS.get((incoming.interface, incoming.member)) or _ANSWERS.get(("", incoming.member))
        if answer is None or incoming.path not in _NODES:
            name = "org.freedesktop.DBus.Error.UnknownMethod"
            await connection.refuse(incoming, name, "no such method here; see Introspect")
            return
        found = answer(incoming, {"Version": ("s", __version__), "Level": ("s", self._gear.level())})
        if found is None:
            name = "org.freedesktop.DBus.Error.UnknownProperty"
            await connection.refuse(incoming, name, "no such property; there are Version and Level")
            return
        await connection.answer(incoming, *found)


def _remedy(error: BusError) -> str:
    if error.name == "org.freedesktop.DBus.Error.AccessDenied":
        return (
            "install packaging/org.oomguard1.conf in /usr/share/dbus-1/system.d and reload the bus; only the"
            " users oomguard and root may own the name"
        )
    if "belongs to another" in str(error):
        return "end the other reporter, or set notify.desktop = false here"
    return "start a system bus (dbus-daemon or dbus-broker), or set notify.desktop = false"


Values = dict[str, tuple[str, str]]
Answer = tuple[str, tuple[Any, ...]]


def _introspect(incoming: Incoming, values: Values) -> Answer | None:
    return "s", (_NODES[incoming.path],)


def _get(incoming: Incoming, values: Values) -> Answer | None:
    body = incoming.body
    if incoming.path != PATH or len(body) != 2 or body[0] not in ("", INTERFACE):
        return None
    value = values.get(body[1]) if isinstance(body[1], str) else None
    return None if value is None else ("v", (value,))


def _get_all(incoming: Incoming, values: Values) -> Answer | None:
    ours = incoming.path == PATH and incoming.body in ((INTERFACE,), ("",))
    return "a{sv}", (values if ours else {},)


def _ping(incoming: Incoming, values: Values) -> Answer | None:
    return "", ()


_ANSWERS: dict[tuple[str, str], Callable[[Incoming, Values], Answer | None]] = {
    (interface, member): answer
    for name, member, answer in (
        ("Introspectable", "Introspect", _introspect),
        ("Properties", "Get", _get),
        ("Properties", "GetAll", _get_all),
        ("Peer", "Ping", _ping),
    )
    for interface in (f"org.freedesktop.DBus.{name}", "")
}
"""By interface and method; the interface may be left out of a call."""
