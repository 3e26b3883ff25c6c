"""An event loop whose clock runs faster, for what waits on purpose: a minute of pauses takes seconds.

Files, pipes and other processes keep their own pace, so only what waits for itself may be tested with it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

FASTER = 5.0
_T = TypeVar("_T")


class _Selector(selectors.EpollSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / FASTER if timeout is not None and timeout > 0 else timeout)


class _Loop(asyncio.SelectorEventLoop):
    def time(self) -> float:
        return super().time() * FASTER


async def _end() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """As asyncio.run does, sooner."""
    loop = _Loop(_Selector())
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(_end())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
