"""From one stream of records to everybody who is to be told: each at their own pace, none in another's way.

Rule of this file: what is known (the folds) is up to date before anybody is told. Every queue has an end; who
is too slow loses the oldest, and that is counted. The guard may forget a record when all who must have it do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from oomguardd.notifiers.lasting import lasting
from oomguardd.notifiers.stopping import stop
from oomguardd.reporter.inbox import Record, made_here, seq_of
from oomguardd.reporter.meters import Meters

ROOM = 250
"""Records that wait for one sink at most: a minute and more of kills at the default limit of 60 a minute, and
20 MiB where each names ten runners-up."""
TICK_ROOM = 50
"""Looks of the guard are of no use when they are old: they wait only in so short a queue."""
BATCH = 100
PATIENCE_S = 1.0
"""For so long reading waits for a sink whose queue is full; then that one is stuck, and loses records."""

Fold = Callable[[Record], None]


class Sink(Protocol):
    """Somebody who is told every record, in order."""

    name: str
    must: bool
    """Whether the guard has to keep a record until this one has it."""
    ticks: bool
    """Whether it wants the guard's looks (kind tick), too."""

    async def take(self, records: Sequence[Record]) -> None:
        """Returns when all of them are where they belong. It may take long: that delays only this sink."""

    async def close(self) -> None:
        """The last chance; nothing is taken after it."""


class Desk:
    """One sink with its queue."""

    def __init__(self, sink: Sink, done: Callable[[Record], None]) -> None:
        self.sink = sink
        self.waiting: deque[Record] = deque()
        self.stuck = False
        """It did not take anything for a while, and its queue is full."""
        self.busy = False
        self.arrived = asyncio.Event()
        self._done = done

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.busy

    def put(self, record: Record, meters: Meters) -> None:
        """Queues it; the oldest is given up for it where there is no room."""
        if record["kind"] == "tick" and (not self.sink.ticks or len(self.waiting) >= TICK_ROOM):
            return
        if len(self.waiting) >= ROOM:
            meters.add("dropped", self.sink.name)
            self._done(self.waiting.popleft())
        self.waiting.append(record)
        self.arrived.set()

    async def next_batch(self) -> list[Record]:
        """What waits, up to a bound; waits until there is something."""
        while not self.waiting:
            self.arrived.clear()
            await self.arrived.wait()
        return [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]

    def over(self, records: Iterable[Record]) -> None:
        """These are where they belong, or given up."""
        for record in records:
            self._done(record)


@dataclass(slots=True)
class Unconfirmed:
    """A record that the guard still keeps."""

    record: Record
    lacking: int
    """So many sinks still have to have it."""


class Relay:
    """See the head of this file. `confirm` tells the guard that it may forget a record and all before it."""

    def __init__(
        self,
        sinks: Iterable[Sink],
        folds: Iterable[Fold],
        confirm: Callable[[Record], Awaitable[None]],
        meters: Meters,
        clock: Callable[[], float],
    ) -> None:
        self._folds = tuple(folds)
        self._confirm = confirm
        self._meters = meters
        self._clock = clock
        self._desks = [Desk(sink, self._done if sink.must else _nothing) for sink in sinks]
        self._needed = sum(desk.sink.must for desk in self._desks)
        self._unconfirmed: deque[Unconfirmed] = deque()
        """In the order of arrival,"""
        self._by_id: dict[int, Unconfirmed] = {}
        """and by the record's id()."""
        self._to_confirm: Record | None = None
        self._confirmable = asyncio.Event()
        self._space = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._told: set[str] = set()
        for desk in self._desks:
            meters.expect("dropped", desk.sink.name)
            meters.expect("failed", desk.sink.name)
            meters.expect("told", desk.sink.name)

    @property
    def waiting(self) -> dict[str, int]:
        """How many records wait, by the sink's name."""
        return {desk.sink.name: len(desk.waiting) for desk in self._desks}

    def start(self) -> None:
        """From now on the sinks are told."""
        self._tasks = [lasting(self._serve(desk)) for desk in self._desks]
        self._tasks.append(lasting(self._confirm_all()))

    def put(self, record: Record) -> None:
        """A record, of the guard's or our own: folded at once, told as soon as each sink can take it."""
        for fold in self._folds:
            try:
                fold(record)
            except Exception as error:  # noqa: PERF203  # whatever a record holds, the others must be told
                self._fault(f"{getattr(fold, '__qualname__', 'fold')}", error)
        self._hand_out(record, self._desks)

    def repeat(self, record: Record) -> None:
        """One that is known and counted already, but that a reporter before us did not get to everybody who
        must have it: those are told again. Better twice in a log than never."""
        self._hand_out(record, [desk for desk in self._desks if desk.sink.must])

    def _hand_out(self, record: Record, desks: Sequence[Desk]) -> None:
        if seq_of(record):
            entry = self._by_id[id(record)] = Unconfirmed(record, self._needed)
            self._unconfirmed.append(entry)
        for desk in desks:
            desk.put(record, self._meters)
        self._confirm_first()

    async def room(self) -> None:
        """Waits while somebody who must have everything is behind, but not for those who are stuck."""
        full = [desk for desk in self._desks if desk.sink.must and len(desk.waiting) >= ROOM // 2]
        if not any(not desk.stuck for desk in full):
            return
        self._space.clear()
        try:
            await asyncio.wait_for(self._space.wait(), PATIENCE_S)
        except asyncio.TimeoutError:
            for desk in full:
                desk.stuck = True

    async def close(self, within_s: float) -> None:
        """Gives everybody so long to take what waits, and then ends."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < deadline_s:
            if all(desk.idle for desk in self._desks) and not self._confirmable.is_set():
                break
            await asyncio.sleep(0.01)
        await stop(*self._tasks)
        closing = [asyncio.ensure_future(desk.sink.close()) for desk in self._desks]
        if closing:
            await asyncio.wait(closing, timeout=max(0.1, deadline_s - asyncio.get_running_loop().time()))
        await stop(*closing)

    async def _serve(self, desk: Desk) -> None:
        while True:
            batch = await desk.next_batch()
            desk.busy = True
            try:
                await desk.sink.take(batch)
                self._meters.add("told", desk.sink.name, len(batch))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._meters.add("failed", desk.sink.name, len(batch))
                self._fault(desk.sink.name, error)
            finally:
                desk.busy = False
            desk.stuck = False
            self._space.set()
            desk.over(batch)

    def _done(self, record: Record) -> None:
        entry = self._by_id.get(id(record))
        if entry is not None:  # otherwise one that the guard does not keep
            entry.lacking -= 1
            self._confirm_first()

    def _confirm_first(self) -> None:
        """As many as everybody has, in order: a confirmation is for all before it, too."""
        while self._unconfirmed and self._unconfirmed[0].lacking == 0:
            self._to_confirm = self._unconfirmed.popleft().record
            del self._by_id[id(self._to_confirm)]
            self._confirmable.set()

    async def _confirm_all(self) -> None:
        while True:
            await self._confirmable.wait()
            record, self._to_confirm = self._to_confirm, None
            if record is not None:
                await self._confirm(record)
            if self._to_confirm is None:
                self._confirmable.clear()

    def _fault(self, where: str, error: Exception) -> None:
        """Once per cause, and to everybody."""
        cause = f"{where}: {type(error).__name__}: {error}"[:300]
        if cause not in self._told and len(self._told) < 100:
            self._told.add(cause)
            self.put(made_here("fault", 4, self._clock(), where=f"reporter, {where}", error=cause, count=1))


def _nothing(record: Record) -> None:
    """For those who need not have everything."""
