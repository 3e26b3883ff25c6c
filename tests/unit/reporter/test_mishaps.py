"""What nobody caught is told."""

from __future__ import annotations

import asyncio

from oomguardd.notifiers.lasting import lasting
from oomguardd.notifiers.stopping import stop
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.mishaps import Mishaps


def told_of(kind: type[Exception] | None, times: int = 1) -> list[Record]:
    """By tasks that end so, and are kept."""
    told: list[Record] = []

    async def work() -> None:
        if kind is not None:
            raise kind("odd\n")
        await asyncio.sleep(60)

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(Mishaps(told.append, lambda: 5.0))
        tasks = [lasting(work()) for _ in range(times)]
        await asyncio.sleep(0.01)
        await stop(*tasks)

    asyncio.run(scenario())
    return told


def test_a_task_that_fails_is_told_once_for_each_cause() -> None:
    (record,) = told_of(KeyError, times=3)
    assert (record["kind"], record["where"], record["time_s"]) == ("fault", "reporter", 5.0)
    assert "work" in str(record["error"])
    assert "KeyError" in str(record["error"])
    assert str(record["error"]).isprintable()


def test_a_task_that_is_stopped_is_no_mishap() -> None:
    assert told_of(None) == []


def test_a_callback_that_fails() -> None:
    told: list[Record] = []

    def fail() -> None:
        raise ZeroDivisionError("here")

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(Mishaps(told.append, lambda: 5.0))
        loop.call_soon(fail)
        await asyncio.sleep(0.01)

    asyncio.run(scenario())
    assert "ZeroDivisionError: here" in str(told[0]["error"])
