"""A metrics server with something to tell, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from oomguardd.reporter.inbox import Record
from oomguardd.reporter.metrics.door import Limits
from oomguardd.reporter.metrics.server import MetricsServer, open_listener
from oomguardd.telling import MetricsSettings
from tests.prometheus.story import Machine, everything

HASTY = Limits(
    connections=8, request_s=0.6, idle_s=1.0, write_s=0.6, close_s=0.2, requests=50, patience_s=0.2
)
LOCAL = MetricsSettings(listen="127.0.0.1:0")
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


class Site:
    """A server with something to tell; `noise` is what reached the loop's exception handler."""

    def __init__(self, settings: MetricsSettings = LOCAL, limits: Limits = HASTY) -> None:
        self.machine = Machine(*everything())
        self.told: list[Record] = []
        self.noise: list[dict[str, Any]] = []
        self.server = MetricsServer(
            settings, self.machine.exposition, self.machine.meters, publish=self.told.append, limits=limits
        )
        self.listener = open_listener(settings.listen)
        self.address: Any = self.listener.getsockname()

    async def connect(self, **more: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.address, str):
            return await asyncio.open_unix_connection(self.address, **more)
        return await asyncio.open_connection(*self.address[:2], **more)

    async def ask(self, request: bytes, **more: Any) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer on a connection of its own."""
        reader, writer = await self.connect(**more)
        with contextlib.closing(writer):
            writer.write(request)
            return await answer_of(reader, head=request.startswith(b"HEAD"))

    def refused(self, reason: str) -> int:
        return self.machine.meters.counts["refused", f"metrics: {reason}"]

    async def calm(self) -> None:
        """Until nobody is connected."""
        for _ in range(400):
            if not self.server.connections:
                return
            await asyncio.sleep(0.01)
        pytest.fail("a connection stayed")


@contextlib.asynccontextmanager
async def serving(
    settings: MetricsSettings = LOCAL, limits: Limits = HASTY, passed: bool = False
) -> AsyncIterator[Site]:
    site = Site(settings, limits)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: site.noise.append(context))
    await site.server.start([site.listener], passed=passed)
    try:
        yield site
        await site.calm()
    finally:
        await site.server.close()
        site.machine.exposition.close()
    gc.collect()
    await asyncio.sleep(0)
    assert site.noise == []


@contextlib.asynccontextmanager
async def hanging(site: Site, number: int, begun: bytes = b"") -> AsyncIterator[list[socket.socket]]:
    """So many clients that say no more than this."""
    loop = asyncio.get_running_loop()
    socks = [socket.socket() for _ in range(number)]
    try:
        for sock in socks:
            sock.setblocking(False)
            await loop.sock_connect(sock, site.address)
            with contextlib.suppress(OSError):
                sock.send(begun)
        yield socks
    finally:
        for sock in socks:
            sock.close()


async def answer_of(reader: asyncio.StreamReader, head: bool = False) -> tuple[int, dict[str, str], bytes]:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    body = b"" if head else await reader.readexactly(int(headers["content-length"]))
    return int(start.split()[1]), headers, body


def run(scenario: Coroutine[Any, Any, None], within_s: float = 30) -> None:
    asyncio.run(asyncio.wait_for(scenario, within_s))


def resident_bytes() -> int:
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
