"""An outbox that serves on a socket, for its tests, and what peers of it hear."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from oomguardd.guard.outbox import Outbox, listen
from tests.shell.rig import event_loop

Record = dict[str, Any]
OURSELVES = frozenset({os.geteuid()})


class Office:
    """An outbox that serves on a socket, and the loop to run it."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, ring: int, uids: frozenset[int]) -> None:
        self.path = str(path / "guard.sock")
        self.loop = loop
        self.outbox = Outbox("run1", ring)
        listener, self.lock = listen(self.path)
        self.outbox.serve(loop, listener, uids)

    def run(self, done: Callable[[], bool] = lambda: False, for_s: float = 20.0) -> bool:
        """Runs the loop until `done`; False after `for_s`."""
        deadline_s = time.monotonic() + for_s
        while not done():
            if time.monotonic() > deadline_s:
                return False
            self.loop.run_until_complete(asyncio.sleep(0.001))
        return True

    def connect(self) -> socket.socket:
        """A peer that has not said anything yet."""
        self.settle()  # whoever has just left is gone
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        before = self.outbox.peers
        sock.connect(self.path)
        sock.setblocking(False)
        self.run(lambda: self.outbox.peers > before, 5.0)
        return sock

    def reporter(self, run: str = "", last: int = 0) -> socket.socket:
        sock = self.connect()
        sock.send(json.dumps({"hello": 1, "run": run, "last": last}).encode())
        self.settle()
        return sock

    def settle(self) -> None:
        """Lets the loop handle what is there."""
        for _ in range(5):
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(asyncio.sleep(0.005))

    def close(self) -> None:
        self.outbox.close()
        os.close(self.lock)


@contextlib.contextmanager
def office(path: Path, ring: int = 1 << 20, uids: frozenset[int] = OURSELVES) -> Iterator[Office]:
    with event_loop() as loop:
        place = Office(path, loop, ring, uids)
        try:
            yield place
        finally:
            place.close()


def received(sock: socket.socket) -> list[Record]:
    """What is there to be read now."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while data := sock.recv(1 << 16):
            found.append(json.loads(data))
    return found


def numbers(records: list[Record]) -> list[int]:
    return [record["seq"] for record in records]
