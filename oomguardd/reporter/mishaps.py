"""Faults of our own that nobody caught, as records: what asyncio would print where nobody reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from oomguardd.engine.words import safe
from oomguardd.reporter.inbox import Record, made_here

MOST_CAUSES = 100


class Mishaps:
    """An exception handler of the loop. One record for each cause."""

    def __init__(self, publish: Callable[[Record], None], clock: Callable[[], float]) -> None:
        self._publish = publish
        self._clock = clock
        self._told: set[str] = set()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        what = safe(context.get("message", ""), 200)
        cause = f"{what}: {type(error).__name__}: {safe(error)}" if error is not None else what
        if cause not in self._told and len(self._told) < MOST_CAUSES:
            self._told.add(cause)
            self._publish(made_here("fault", 3, self._clock(), where="reporter", error=cause, count=1))
