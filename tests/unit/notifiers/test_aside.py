"""Calls that block, beside the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from oomguardd.notifiers.aside import Aside
from oomguardd.notifiers.base import NotifyError


def test_a_result_and_an_exception() -> None:
    async def scenario() -> None:
        aside: Aside[int] = Aside("test")
        assert await aside.run(lambda: 42, print) == 42
        with pytest.raises(ZeroDivisionError):
            await aside.run(lambda: 1 // 0, print)

    asyncio.run(scenario())


def test_what_hangs_is_left_and_not_piled_up() -> None:
    release = threading.Event()
    late: list[int] = []
    where: list[threading.Thread] = []

    def hang() -> int:
        release.wait(20)
        return 7

    def take(result: int) -> None:
        where.append(threading.current_thread())
        late.append(result)

    async def scenario() -> None:
        aside: Aside[int] = Aside("test")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aside.run(hang, take), 0.05)
        with pytest.raises(NotifyError, match="test still hangs"):
            await aside.run(lambda: 1, late.append)
        release.set()
        for _ in range(200):
            if late:
                break
            await asyncio.sleep(0.01)
        assert where == [threading.current_thread()], "it needs no lock for what the loop knows"
        assert late == [7], "what came too late is not lost, whoever has to clean it up gets it"
        assert await aside.run(lambda: 2, late.append) == 2

    asyncio.run(scenario())


def test_the_end_of_the_loop_waits_for_nobody() -> None:
    release, began = threading.Event(), threading.Event()
    late: list[int] = []

    def hang() -> int:
        began.set()
        release.wait(20)
        return 7

    async def scenario() -> None:
        aside: Aside[int] = Aside("test")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aside.run(hang, late.append), 0.05)

    asyncio.run(scenario())
    assert began.is_set()
    release.set()
    for thread in threading.enumerate():
        if thread.name == "test":
            thread.join(10)
    assert late == [7]
