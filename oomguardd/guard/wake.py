"""Being woken at the start of a stall by the kernel. See Documentation/accounting/psi.rst.

Rule of this file: asyncio cannot ask for EPOLLPRI, so each trigger sits in an epoll of its own and that one's
descriptor is handed to the loop. The outer poll consumes the event: the callback itself is the event.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable


class PressureWaker:
    """Calls `on_stall` once per event of one armed trigger descriptor, which it owns from now on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, on_stall: Callable[[], None]) -> None:
        self._loop = loop
        self._fd = fd
        self._on_stall = on_stall
        self._epoll = select.epoll()
        self._epoll.register(fd, select.EPOLLPRI)
        loop.add_reader(self._epoll.fileno(), self._woken)

    def _woken(self) -> None:
        for _, events in self._epoll.poll(0):
            if events & select.EPOLLERR:  # its cgroup is gone, and it would say so for ever
                self.close()
                return
        self._on_stall()

    def close(self) -> None:
        """May be called twice."""
        if self._fd < 0:
            return
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        os.close(self._fd)
        self._fd = -1
