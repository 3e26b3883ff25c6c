"""Terminals of those who are logged in where no desktop is, as wall(1) writes to them.

Not by wall(1), which is set-gid: that grants nothing under no_new_privs. Terminals belong to the group tty,
so the reporter has to be in it; those who said `mesg n` are left alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence

from oomguardd.engine.words import counted
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.terminal import write_terminal
from oomguardd.notifiers.base import Gear, Notice, NotifyError
from oomguardd.notifiers.logins import terminals
from oomguardd.notifiers.wording import KILLS
from oomguardd.telling import Telling

MOST_SHOWN = 3
"""Of what happened within one pause, this much is said; the rest is a number."""
PAUSE_S = 5.0
_KINDS = (*KILLS, "nobody", "limit")

_STANDARD_ERROR = 2


def make(telling: Telling, gear: Gear) -> Iterable[Wall]:
    """One, unless it is switched off."""
    return [Wall(gear.host)] if telling.notify.wall else []


def render(notices: Sequence[Notice], host: str, now_s: float) -> bytes:
    """What appears on a terminal. It may be in raw mode, so lines end with a carriage return; it may know no
    UTF-8, so there is only ASCII, and of control characters only our own."""
    when = time.strftime("%H:%M:%S", time.localtime(now_s))
    lines = ["", f"\aMessage from oomguardd@{host} at {when}:"]
    for notice in notices[:MOST_SHOWN]:
        lines += [f"  {notice.summary}", *(f"    {line}" for line in notice.body.splitlines())]
    if len(notices) > MOST_SHOWN:
        lines.append(f"  and {counted(len(notices) - MOST_SHOWN, 'more event')}; see `oomguardctl history`")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "backslashreplace")


class Wall:
    """A message at a time to all of them."""

    label = "wall"
    limit_s = 5.0
    most = 50
    pause_s = PAUSE_S

    def __init__(
        self,
        host: str,
        find: Callable[[], Sequence[str]] = terminals,
        dev: str = "/dev",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings: object = host
        self._host = host
        self._find = find
        self._dev = dev
        self._clock = clock

    def start(self) -> None:
        """See Notifier."""

    def wants(self, notice: Notice) -> bool:
        """Each kill; and that more should be done, and cannot."""
        return notice.people and notice.kind in _KINDS

    async def tell(self, notices: Sequence[Notice]) -> None:
        """See Notifier. That nobody is logged in is no failure, nor is a terminal that takes no messages."""
        text = render(notices, self._host, self._clock())
        dev_fd = open_dir(self._dev)
        try:
            own = _own_terminal()
            refused = [name for name in self._find() if name != own and not _written(dev_fd, name, text)]
        finally:
            os.close(dev_fd)
        if refused:
            raise NotifyError(
                f"may not write to {', '.join(refused[:MOST_SHOWN])}: the reporter needs the group tty"
                " (SupplementaryGroups=tty)"
            )

    async def close(self) -> None:
        """See Notifier."""


def _written(dev_fd: int, name: str, text: bytes) -> bool:
    """False only where we lack the right."""
    try:
        write_terminal(dev_fd, name, text)
    except PermissionError:
        return False
    except OSError:
        return True  # it was closed just now, or is not in our /dev (PrivateDevices=)
    return True


def _own_terminal() -> str:
    """The name of the terminal that our log goes to, which says all that already; empty for none."""
    try:
        return os.ttyname(_STANDARD_ERROR).removeprefix("/dev/")
    except OSError:
        return ""
