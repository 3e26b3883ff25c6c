"""systemd's protocols for services: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

The environment is an argument everywhere (os.environ fits), and nothing is removed from it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

_FIRST_FD = 3  # SD_LISTEN_FDS_START


class Notifier:
    """Tells systemd how we are. Without systemd it tells nobody."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._socket: socket.socket | None = None
        path = environ.get("NOTIFY_SOCKET", "")
        if not path.startswith(("/", "@")):
            return
        # "@" stands for the NUL that begins an abstract address.
        address = "\0" + path[1:] if path[0] == "@" else path
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            return
        self._socket = sock

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def send(self, *lines: str) -> bool:
        """Send e.g. "READY=1", "STATUS=..."; False if it did not go out. Never waits and never raises."""
        if self._socket is None:
            return False
        try:
            self._socket.send("\n".join(lines).encode(errors="replace"))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watchdog_interval_s(environ: Mapping[str, str], pid: int | None = None) -> float | None:
    """Within how many seconds systemd wants to hear WATCHDOG=1 from us; send it twice as often. None if
    it does not. `pid` is ours by default."""
    if environ.get("WATCHDOG_PID", "") not in ("", str(os.getpid() if pid is None else pid)):
        return None
    try:
        interval_us = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return interval_us / 1e6 if 0 < interval_us < 1 << 62 else None


def listen_fds(environ: Mapping[str, str], pid: int | None = None) -> dict[str, int]:
    """As named_fds(), by name; of several with one name the last."""
    return dict(named_fds(environ, pid))


def named_fds(environ: Mapping[str, str], pid: int | None = None) -> list[tuple[str, int]]:
    """The descriptors that systemd has opened for us, with their names ("unknown" if it gave none). They are
    closed on exec from now on."""
    if environ.get("LISTEN_PID", "") != str(os.getpid() if pid is None else pid):
        return []
    try:
        count = int(environ.get("LISTEN_FDS", ""))
    except ValueError:
        return []
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found: list[tuple[str, int]] = []
    for index in range(min(count, 1000)):
        fd = _FIRST_FD + index
        try:
            os.set_inheritable(fd, False)
        except OSError:
            continue  # closed by somebody before us
        found.append(((names[index] if index < len(names) else "") or "unknown", fd))
    return found
