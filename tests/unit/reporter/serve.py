"""A control server that answers while a test waits for the answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from oomguardd.reporter.control.server import ControlServer, open_control
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.present import Present
from oomguardd.telling import ControlSettings
from tests.unit.reporter.talk import NOW_S


def server_of(present: Present, clock: Callable[[], float] = lambda: NOW_S) -> ControlServer:
    return ControlServer(ControlSettings(), present, Meters(), clock=clock)


class Reporter:
    """It runs in a thread of its own."""

    def __init__(self, path: Path, present: Present) -> None:
        self.path = path
        self.server = server_of(present)
        self._closing = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.do(self.server.start([open_control(str(path))]))

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        """May be called twice."""
        with self._closing:
            if self._loop.is_closed():
                return
            self.do(self.server.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
