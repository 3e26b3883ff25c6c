"""The ends of processes by a signal, over the netlink proc connector.

pyroute2 knows the messages. Its own socket is not used: since 0.9 that runs a loop of its own, which cannot
be within ours, and it has no filter. Importing any part of pyroute2 takes 25 MiB and 0.2 s; that is why it is
loaded by name here, and only when this is switched on, instead of at the top of the file.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import os
import socket
from collections.abc import Callable
from typing import Any

from oomguardd.engine.blame import Death
from oomguardd.kernel.proc_connector import RECEIVE_BYTES, open_connector

MODULE = "pyroute2.netlink.connector.cn_proc"
OLDEST = "0.7.4"
"""The first one with that module; Debian 12 has 0.7.2."""
ANSWER_S = 2.0
"""The kernel answers at once, or never."""
_MOST_AT_ONCE = 200
_LISTEN, _DONE = 1, 3
_EXIT = "PROC_EVENT_EXIT"
_CORE_DUMPED = 0x80


class ExitsError(Exception):
    """The message says why there are none, in words that follow a colon."""


class Exits:
    """`ended` is called for each process that died of SIGKILL or SIGTERM or returned 137; `lost` when the
    kernel dropped some; `silent` when it never answers, as outside of its own first namespaces."""

    def __init__(
        self,
        ended: Callable[[Death], None],
        lost: Callable[[], None],
        silent: Callable[[], None],
        clock: Callable[[], float],
        module: str = MODULE,
    ) -> None:
        try:
            messages = importlib.import_module(module)
        except ImportError as error:
            raise ExitsError(f"no Python package pyroute2 of version {OLDEST} or newer ({error})") from None
        try:
            self._marshal: Any = messages.ProcEventMarshal()
            request = _request(messages.proc_event_control())
        except Exception as error:  # another version's idea of it must not end us
            raise ExitsError(f"this pyroute2 is not understood: {error!r}") from None
        self._ended, self._lost, self._silent, self._clock = ended, lost, silent, clock
        self._answered = False
        self._timer: asyncio.TimerHandle | None = None
        self._on = False
        self._socket: socket.socket | None = None
        try:
            self._socket = open_connector()
            self._socket.send(request)
        except OSError as error:
            self._shut()
            raise ExitsError(f"{error.strerror} (CAP_NET_ADMIN before Linux 6.6)") from None

    def start(self) -> None:
        """In a running loop."""
        loop = asyncio.get_running_loop()
        if self._socket is not None and not self._on:
            self._on = True
            loop.add_reader(self._socket.fileno(), self._readable)
            self._timer = loop.call_later(ANSWER_S, self._check)

    def close(self) -> None:
        """May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._on and self._socket is not None:
            self._on = False
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _check(self) -> None:
        self._timer = None
        if not self._answered:
            self._silent()

    def _readable(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            if self._socket is None:
                return
            try:
                data, sender = self._socket.recvfrom(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # the socket goes on, without what did not fit
                    self._lost()
                    continue
                return
            if sender[0] == 0:  # the kernel's, not another process's
                self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            events = list(self._marshal.parse(data))
        except Exception:  # a message that pyroute2 does not like is none of ours
            return
        for event in events:
            self._answered = True
            death = death_of(event, self._clock()) if event.get("event") == _EXIT else None
            if death is not None:
                self._ended(death)


def _request(control: Any) -> bytes:
    control["action"] = _LISTEN
    control["idx"] = control["val"] = 1
    control["len"] = 4
    control["header"]["type"] = _DONE
    control["header"]["pid"] = os.getpid()
    control.encode()
    return bytes(control.data)


def death_of(event: Any, time_s: float) -> Death | None:
    """What the event says; None if it is of a thread. Name and cgroup are to be read by the caller, while the
    process is a zombie."""
    pid, code = event["process_tgid"], event["exit_code"]
    if event["process_pid"] != pid:
        return None
    return Death(
        time_s,
        pid,
        signal=code & 0x7F & ~_CORE_DUMPED,
        status=code >> 8 & 0xFF,
        parent=event.get("parent_tgid") or 0,
    )
