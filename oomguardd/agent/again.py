"""A bus goes and comes back with whoever runs it: serving it goes on, less and less often tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from oomguardd.engine.words import safe
from oomguardd.notifiers.dbus import BusError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""The pause between two attempts doubles from the one to the other."""


async def serve_again(
    serve: Callable[[], Awaitable[None]],
    bus: str,
    complain: Callable[[str], None],
    first_pause_s: float = FIRST_PAUSE_S,
) -> None:
    """Serves the bus of that name until it is cancelled. A BusError that comes again is complained of once;
    whatever else `serve` raises ends it."""
    pause_s, last = first_pause_s, ""
    while True:
        try:
            await serve()
            pause_s, last = first_pause_s, ""
        except BusError as error:
            if str(error) != last:
                last = str(error)
                complain(f"{bus}: {safe(last)}")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
