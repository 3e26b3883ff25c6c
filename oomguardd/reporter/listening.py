"""Listening sockets, by TCP address or by path. What systemd passes needs none of this.

Rule of this file: nothing is taken from another program, and every error says what to do.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import NamedTuple

from oomguardd.reporter.binding import bind_with_mode


class ListenError(Exception):
    """Why nobody can connect there, and what to do."""


class Purpose(NamedTuple):
    """What a socket is for, as far as its remedies differ."""

    setting: str
    """That the address is from."""
    socket_unit: str
    """Of systemd's, which can open it as root."""
    backlog: int
    """Connections that wait to be let in."""


METRICS = Purpose("metrics.listen", "oomguardd-metrics.socket", 64)
CONTROL = Purpose("control.socket", "oomguardd-control.socket", 16)


def listen_at_address(address: str, purpose: Purpose) -> socket.socket:
    """At "host:port", "[::1]:port" or ":port". ListenError."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    except (OSError, ValueError, IndexError) as error:
        raise ListenError(f"{address}: {_words(error)} (correct {purpose.setting})") from None
    try:
        # Otherwise a restart would have to wait for a minute after the last connection.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(purpose.backlog)
    except OSError as error:
        listener.close()
        raise ListenError(f"{address}: {_words(error)} ({_remedy(error, port, purpose)})") from None
    return listener


def listen_at_path(path: str, mode: int, purpose: Purpose) -> socket.socket:
    """At a Unix socket of that mode, instead of one that nobody serves any more. ListenError."""
    other = f"set {purpose.setting} to another path"
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ListenError(f"{path}: exists and is no socket (remove it, or {other})")
        if _is_served(path):
            raise ListenError(f"{path}: another program answers there (end it, or {other})")
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ListenError(f"{path}: {_words(error)} ({other}, or enable {purpose.socket_unit})") from None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        bind_with_mode(listener, path, mode)
        listener.listen(purpose.backlog)
    except OSError as error:
        listener.close()
        raise ListenError(f"{path}: {_words(error)} ({other}, or enable {purpose.socket_unit})") from None
    return listener


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _remedy(error: OSError, port: str, purpose: Purpose) -> str:
    other = f"set {purpose.setting} to another address"
    if error.errno == errno.EADDRINUSE:
        return f"`ss -ltnp sport = :{port}` names the program that has it; end it, or {other}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no such address; {other}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"ports below 1024 are for root; enable {purpose.socket_unit}, or {other}"
    return other


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True  # its queue is full
        except OSError:
            return False
    return True
