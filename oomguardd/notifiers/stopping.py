"""Ending tasks for sure.

Before Python 3.12, `asyncio.wait_for` loses a cancellation that arrives together with its result, and whoever
then waits for the cancelled task waits for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_S = 0.5
"""Time to clean up between two cancellations."""


async def stop(*tasks: asyncio.Future[Any]) -> None:
    """Cancels them, again where it was lost, and returns when all are over. What they raise is dropped."""
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
