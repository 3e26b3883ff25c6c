"""The bus notifier and buses that misbehave. With a real one: tests/shell/test_agent.py."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from oomguardd.notifiers.base import Gear, Notice, NotifyError
from oomguardd.notifiers.bus import Bus, make, variant
from oomguardd.notifiers.dbus import HAVE_JEEPNEY, BusError, connect
from oomguardd.telling import NotifySettings, Telling

pytestmark = pytest.mark.skipif(not HAVE_JEEPNEY, reason="needs jeepney: pip install jeepney")

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NOTICE = Notice("kill", 1.0, "s", "b", {"pid": 1}, {})


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


@contextlib.asynccontextmanager
async def bus_that(handle: Handle, path: Path) -> AsyncIterator[str]:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await handle(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_unix_server(serve, str(path))
    try:
        yield f"unix:path={path}"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"REJECTED\r\n")
    await writer.drain()
    writer.close()


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"OK 0123456789abcdef0123456789abcdef\r\n")
    await reader.read(1000)
    writer.write(os.urandom(100_000))
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("handle", [hang_up, reject, talk_nonsense])
def test_what_is_no_bus(tmp_path: Path, handle: Handle) -> None:
    async def scenario() -> None:
        before = set(os.listdir("/proc/self/fd"))
        async with bus_that(handle, tmp_path / "bus") as address:
            with pytest.raises(BusError):
                await connect(address)
        await asyncio.sleep(0.05)
        assert set(os.listdir("/proc/self/fd")) <= before

    run(scenario())


@pytest.mark.parametrize("address", ["", "nonsense", "unix:", "tcp:host=x", "unix:path=/nonexistent/bus"])
def test_addresses_that_lead_nowhere(address: str) -> None:
    with pytest.raises(BusError):
        run(connect(address))  # type: ignore[arg-type]


def test_a_bus_that_hangs_delays_no_end(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 20)
        await asyncio.sleep(1000)

    async def scenario() -> None:
        async with bus_that(silent, tmp_path / "bus") as address:
            bus = Bus(Gear(missing=lambda what, cost, remedy: None), address)
            bus.start()
            await asyncio.sleep(0.1)
            with pytest.raises(NotifyError, match="no connection to the system bus"):
                await bus.tell([NOTICE])
            began_s = time.monotonic()
            await bus.close()
            assert time.monotonic() - began_s < 1

    run(scenario())


def test_variants() -> None:
    values = (True, 5, -(1 << 70), 1.5, "x")
    assert [variant(value) for value in values] == [
        ("b", True),
        ("x", 5),
        ("x", -(1 << 63)),
        ("d", 1.5),
        ("s", "x"),
    ]


def test_what_it_wants() -> None:
    async def scenario() -> None:
        gear = Gear(missing=lambda what, cost, remedy: None)
        (bus,) = make(Telling(), gear)
        assert bus.wants(NOTICE)
        assert not bus.wants(Notice("kill", 1.0, "", "", {}, {}, people=False))
        assert not bus.wants(Notice("missing", 1.0, "", "", {}, {}))
        assert list(make(Telling(notify=NotifySettings(desktop=False)), gear)) == []

    run(scenario())
