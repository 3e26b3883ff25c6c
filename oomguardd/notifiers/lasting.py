"""Tasks that last as long as their owner, and are waited for by nobody until then.

What such a task raises is seen by nobody: asyncio tells of it when the task is forgotten, and its owner keeps
it. So the loop's exception handler is told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def lasting(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose failure is told when it happens."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_tell)
    return task


def _tell(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        where = getattr(task.get_coro(), "__qualname__", "a task")
        task.get_loop().call_exception_handler({"message": where, "exception": error, "task": task})
