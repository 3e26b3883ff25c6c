"""Tasks that lose a cancellation end all the same."""

from __future__ import annotations

import asyncio

from oomguardd.notifiers.stopping import stop


def test_one_that_loses_its_first_cancellation() -> None:
    lost = []

    async def deaf() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            lost.append(True)
        await asyncio.sleep(1000)

    async def fails() -> None:
        raise ValueError

    async def scenario() -> None:
        tasks = [asyncio.ensure_future(each) for each in (deaf(), fails())]
        await asyncio.sleep(0)
        await stop(*tasks)
        assert all(task.done() for task in tasks)
        assert lost == [True]
        await stop()

    asyncio.run(asyncio.wait_for(scenario(), 10))
