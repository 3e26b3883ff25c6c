"""systemd-journald's native protocol: an entry is one datagram, or a sealed memory file for what is larger.

See https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. Nothing here waits for journald.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable

SOCKET = "/run/systemd/journal/socket"
LONGEST_NAME = 64
"""journald drops fields whose names are longer, or start with an underscore or a digit."""

Field = tuple[str, str | bytes]

_SCM_RIGHTS = socket.SCM_RIGHTS
_INITIALS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAME_CHARS = _INITIALS | frozenset("0123456789_")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def is_field_name(name: str) -> bool:
    """Whether journald takes a field of that name from a client."""
    return 0 < len(name) <= LONGEST_NAME and name[0] in _INITIALS and _NAME_CHARS.issuperset(name)


def encode(fields: Iterable[Field]) -> bytes:
    """One entry. A value may be anything: text that is no UTF-8 has its bytes escaped, a newline makes the
    field a binary one. ValueError for a name that journald would drop."""
    parts: list[bytes] = []
    for name, value in fields:
        if not is_field_name(name):
            raise ValueError(f"not a journal field's name: {name!r}")
        data = value if isinstance(value, bytes) else value.encode("utf-8", "backslashreplace")
        if b"\n" in data:
            parts.append(b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(data)), data))
        else:
            parts.append(b"%s=%s\n" % (name.encode(), data))
    return b"".join(parts)


def open_socket() -> socket.socket:
    """A socket to send entries with, connected to nobody yet; its calls never wait."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)


def send(sock: socket.socket, entry: bytes) -> None:
    """To the journald that the socket is connected to. BlockingIOError while its queue is full; OSError if it
    has gone, or refuses."""
    try:
        sock.send(entry)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        _send_file(sock, entry)


def _send_file(sock: socket.socket, entry: bytes) -> None:
    """journald takes files from anybody only if nobody can change them any more."""
    fd = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(entry)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        sock.sendmsg([], [(socket.SOL_SOCKET, _SCM_RIGHTS, struct.pack("i", fd))])
    finally:
        os.close(fd)
