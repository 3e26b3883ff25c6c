"""A client of the reporter's control socket: varlink, with a time limit on every answer.

Rule of this file: what comes over the socket is looked at as values only; whoever prints it makes it safe.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence

from oomguardd.config import BUILT_IN, Config
from oomguardd.config.places import control_socket
from oomguardd.ctl.console import Trouble
from oomguardd.ctl.now.told import Told, printable
from oomguardd.reporter.control.interface import MANAGER, NOT_PERMITTED
from oomguardd.telling import ControlSettings

TIMEOUT_S = 5.0
"""A reporter whose machine thrashes may need some of it."""
_LARGEST_BYTES = 16 << 20
_READ_BYTES = 65536

Reply = Mapping[str, object]


class Unreachable(Trouble):
    """Nobody could be asked: the message says whom, why, and the remedy."""


def places(config: Config, environ: Mapping[str, str], euid: int, chosen: str | None = None) -> list[str]:
    """Where the socket may be, the likeliest first. Trouble where it is off."""
    if chosen is not None:
        return [chosen]
    configured = control_socket(config, config.guard.socket)
    if configured is None:
        origin = config.origin("control.socket")
        raise Trouble(f'{origin}: control.socket = "off": nobody can be asked (remove it, or name a socket)')
    keys = ("control.socket", "guard.socket")
    if euid == 0 or any(config.origin(key) != BUILT_IN for key in keys):
        return [configured]
    own = environ.get("XDG_RUNTIME_DIR") or f"/tmp/oomguard-{euid}"
    return [configured, f"{own}/oomguard/{os.path.basename(ControlSettings().socket or '')}"]


class Line:
    """A connection to one of these sockets, the first that is served. Unreachable."""

    def __init__(self, paths: Sequence[str], timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._rest = bytearray()
        self._sock, self.path = _connect(paths, timeout_s)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """May be called twice."""
        self._sock.close()

    def call(self, method: str, **parameters: object) -> Reply:
        """The reply of one of the interface's methods. Unreachable, Trouble."""
        self._send(method, parameters, more=False)
        return self._reply(self._timeout_s)

    def follow(self, method: str, **parameters: object) -> Iterator[Reply]:
        """Its replies, for as long as the reporter is there; the first one is waited for only so long.
        Unreachable when it has gone, Trouble."""
        self._send(method, parameters, more=True)
        yield self._reply(self._timeout_s)
        while True:
            yield self._reply(None)

    def _send(self, method: str, parameters: Mapping[str, object], more: bool) -> None:
        call = {"method": f"{MANAGER}.{method}", "parameters": parameters, **({"more": True} if more else {})}
        try:
            self._sock.settimeout(self._timeout_s)
            self._sock.sendall(json.dumps(call).encode() + b"\0")
        except OSError as error:
            raise self._gone(error) from None

    def _reply(self, timeout_s: float | None) -> Reply:
        try:
            message = self._message(None if timeout_s is None else time.monotonic() + timeout_s)
            reply = json.loads(message, parse_constant=_no_number)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise Trouble(f"{self.path}: what answers there is no oomguardd-reporter")
        error, parameters = reply.get("error"), reply.get("parameters")
        if error is not None:
            raise _refusal(self.path, str(error), Told(parameters))
        return parameters if isinstance(parameters, dict) else {}

    def _message(self, deadline_s: float | None) -> bytes:
        while (end := self._rest.find(b"\0")) < 0:
            if len(self._rest) > _LARGEST_BYTES:
                raise Trouble(f"{self.path}: what answers there does not end")
            self._rest += self._received(deadline_s)
        message = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return message

    def _received(self, deadline_s: float | None) -> bytes:
        left_s = None if deadline_s is None else deadline_s - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise self._late()
        try:
            self._sock.settimeout(left_s)
            data = self._sock.recv(_READ_BYTES)
        except TimeoutError:
            raise self._late() from None
        except OSError as error:
            raise self._gone(error) from None
        if not data:
            raise self._gone(None)
        return data

    def _late(self) -> Unreachable:
        return Unreachable(
            f"{self.path}: the reporter does not answer within {self._timeout_s:g} s; the guard does its work"
            " without it (systemctl status oomguardd-reporter)"
        )

    def _gone(self, error: OSError | None) -> Unreachable:
        why = error.strerror if error is not None and error.strerror else "the reporter has closed it"
        return Unreachable(f"{self.path}: the connection is lost: {why}")


def _no_number(name: str) -> float:
    """NaN and the like, which JSON does not have."""
    raise ValueError(name)


def _connect(paths: Sequence[str], timeout_s: float) -> tuple[socket.socket, str]:
    problems: list[str] = []
    for path in paths:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.settimeout(timeout_s)
        try:
            sock.connect(path)
            _check_owner(path)
        except OSError as error:
            sock.close()
            problems.append(_no_connection(path, error))
        else:
            return sock, path
    # The first is the system's; that there is none of one's own besides is no news.
    raise Unreachable(problems[0])


def _check_owner(path: str) -> None:
    """Not below /tmp, where anybody may have put it. PermissionError."""
    if path.startswith("/tmp/") and os.stat(os.path.dirname(path)).st_uid not in (0, os.geteuid()):
        raise PermissionError(0, "its directory belongs to somebody else")


def _no_connection(path: str, error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return (
            f"oomguardd does not answer here: nobody serves {path} (systemctl status oomguardd"
            " oomguardd-reporter; --socket PATH for one that runs elsewhere)"
        )
    if isinstance(error, PermissionError) and error.errno:
        return f'{path}: you may not ask (control.readers = "root"); try it with sudo'
    if isinstance(error, (TimeoutError, BlockingIOError)):
        return f"{path}: the reporter accepts no connection (systemctl status oomguardd-reporter)"
    return f"{path}: {error.strerror or error}"


def _refusal(path: str, error: str, parameters: Told) -> Trouble:
    if error == NOT_PERMITTED:
        return Unreachable(f"{path}: you may not ask: {parameters.text('why')}")
    more = parameters.text("method", parameters.text("interface", parameters.text("parameter", "")))
    return Trouble(f"{path}: the reporter answers {printable(error)}{f' ({more})' if more else ''}")
