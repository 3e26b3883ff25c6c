"""A thread beside the loop for a disk that may hang, one call after the other.

Why not concurrent.futures' own: the interpreter waits for those at its end, however long the disk takes, and
so does asyncio for its default ones. A reporter that is told to stop must not be held by a disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Beside(Executor):
    """For `run_in_executor`. The thread begins with the first call, and is left where it hangs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """See Executor. RuntimeError after `shutdown`, or where no thread can be had."""
        if self._closed:
            raise RuntimeError(f"{self._name}: a call after the end")
        if self._thread is None:
            thread = threading.Thread(target=_work, args=(self._calls,), name=self._name, daemon=True)
            thread.start()
            self._thread = thread
        future: Future[T] = Future()
        self._calls.put((future, lambda: function(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """The thread ends when it has done what was asked; it is never waited for. May be called twice."""
        if cancel_futures:
            while not self._calls.empty():
                if call := self._calls.get():
                    call[0].cancel()
        self._closed = True
        self._calls.put(None)


def _work(calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]) -> None:
    while call := calls.get():
        future, function = call
        if not future.set_running_or_notify_cancel():
            continue
        try:
            result = function()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        del call, future, function  # not kept until the next one comes
