"""A call that may block (a name to resolve, a program on a disk that hangs), beside the loop.

Why not asyncio's own threads: an interpreter that ends waits for those, and one that hangs would hold it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from oomguardd.notifiers.base import NotifyError

T = TypeVar("T")


class Aside(Generic[T]):
    """One call at a time: what hangs can be left, but not piled up."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._free = threading.Event()
        self._free.set()

    @property
    def idle(self) -> bool:
        """Whether no call is under way; what the last one brought may be on its way to `late`."""
        return self._free.is_set()

    async def run(self, function: Callable[[], T], late: Callable[[T], None]) -> T:
        """What the function returns or raises. NotifyError while an earlier call still hangs.

        `late` gets what comes when nobody waits for it any more. It is called in the loop, which it must not
        hold up; in the thread only when the loop is no more.
        """
        if not self._free.is_set():
            raise NotifyError(f"{self._what} still hangs from an earlier time")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        thread = threading.Thread(
            target=_call, args=(function, late, loop, outcome, self._free), name=self._what[:15], daemon=True
        )
        self._free.clear()
        try:
            thread.start()
        except RuntimeError as error:
            self._free.set()
            raise NotifyError(f"{self._what}: {error} (TasksMax= or ulimit -u is too low)") from error
        try:
            return await outcome
        except asyncio.CancelledError:
            if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
                late(outcome.result())  # it came in the same turn of the loop as the cancellation
            raise


def _call(
    function: Callable[[], T],
    late: Callable[[T], None],
    loop: asyncio.AbstractEventLoop,
    outcome: asyncio.Future[T],
    free: threading.Event,
) -> None:
    try:
        result = function()
    except BaseException as error:
        free.set()
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(_fail, outcome, error)
        return

    free.set()

    def settle() -> None:
        if outcome.done():  # cancelled
            late(result)
        else:
            outcome.set_result(result)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        late(result)


def _fail(outcome: asyncio.Future[T], error: BaseException) -> None:
    if not outcome.done():
        outcome.set_exception(error)
