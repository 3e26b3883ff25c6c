"""What the daemon says on the system bus, and nobody else.

Anybody may send any signal there. The bus vouches for two things: who sent it, by a unique name, and who owns
org.oomguard1, which its policy gives to the daemon alone. So a signal counts when its sender is the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from oomguardd.agent.again import FIRST_PAUSE_S, serve_again
from oomguardd.notifiers.bus import INTERFACE, KILLED, NAME, PATH, WARNING
from oomguardd.notifiers.dbus import BUS, BusError, Connection, Incoming, connect
from oomguardd.notifiers.wording import Fact, Facts, tame

MOST_FACTS = 64

_BUS_NAME = BUS[0]
_MATCHES = (
    f"type='signal',sender='{_BUS_NAME}',interface='{_BUS_NAME}',member='NameOwnerChanged',arg0='{NAME}'",
    f"type='signal',sender='{NAME}',path='{PATH}',interface='{INTERFACE}'",
)
_NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner"


def parse_facts(body: tuple[object, ...]) -> dict[str, Fact] | None:
    """The facts of a signal; None if it has not the shape of one. Texts are safe to show, numbers finite."""
    if len(body) != 1 or not isinstance(body[0], dict) or len(body[0]) > MOST_FACTS:
        return None
    found: dict[str, Fact] = {}
    for name, variant in body[0].items():
        value = variant[1] if isinstance(variant, tuple) and len(variant) == 2 else None
        if isinstance(value, str):
            found[tame(str(name))] = tame(value)
        elif isinstance(value, (bool, int, float)):
            found[str(name)] = value
    return found


class Listener:
    """Connects again and again."""

    def __init__(
        self,
        address: str,
        hear: Callable[[Facts], None],
        complain: Callable[[str], None],
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._address = address
        self._tell = hear
        self._complain = complain
        self._first_pause_s = first_pause_s
        self._owner = ""
        self._changes = 0
        self.listening = asyncio.Event()
        """Whether signals would be heard now."""

    async def run(self) -> None:
        """Until it is cancelled."""
        await serve_again(self._serve, "system bus", self._complain, self._first_pause_s)

    async def _serve(self) -> None:
        self._owner = ""
        connection = await connect(self._address, self._hear)
        try:
            for match in _MATCHES:
                await connection.call(BUS, "AddMatch", "s", (match,))
            before = self._changes
            owner = await _owner_of_name(connection)
            if self._changes == before:  # otherwise what the bus has said since is newer
                self._owner = owner
            self.listening.set()
            await connection.ended()
        finally:
            self.listening.clear()
            await connection.close()

    async def _hear(self, connection: Connection, incoming: Incoming) -> None:
        if not incoming.signal:
            await connection.refuse(
                incoming, "org.freedesktop.DBus.Error.UnknownMethod", "nothing is served here"
            )
        elif incoming.sender == _BUS_NAME:
            self._follow_owner(incoming)
        elif incoming.sender and incoming.sender == self._owner:
            self._take(incoming)

    def _follow_owner(self, incoming: Incoming) -> None:
        body = incoming.body
        if incoming.member == "NameOwnerChanged" and len(body) == 3 and body[0] == NAME:
            self._owner = str(body[2])
            self._changes += 1

    def _take(self, incoming: Incoming) -> None:
        if incoming.path != PATH or incoming.interface != INTERFACE:
            return
        if incoming.member in (KILLED, WARNING) and (facts := parse_facts(incoming.body)):
            self._tell(facts)


async def _owner_of_name(connection: Connection) -> str:
    """Empty while the daemon is not running."""
    try:
        (owner,) = await connection.call(BUS, "GetNameOwner", "s", (NAME,))
    except BusError as error:
        if error.name == _NO_OWNER:
            return ""
        raise
    return str(owner)
