"""The history's sink: every event is on the disk before it counts as told, and the readings around each kill.

Rule of this file: the disk is only waited for in a thread of its own, for a write takes seconds on a machine
that thrashes. While it fails, the guard keeps what we have not confirmed; after a while we keep it in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from oomguardd.engine.words import as_number
from oomguardd.history.identity import identity_of, is_incident, time_of
from oomguardd.history.incident import Record
from oomguardd.history.ring import Ring
from oomguardd.history.store import Store, StoreError
from oomguardd.notifiers.lasting import lasting
from oomguardd.notifiers.stopping import stop
from oomguardd.reporter.beside import Beside
from oomguardd.reporter.inbox import made_here

TALLY = "tally"
"""The text that is written together with the records that it counts."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
"""The back-off between two attempts to write doubles from the one to the other."""
CLOSE_S = 2.0

MOST_CAUSES = 20
"""Told once each."""

CHUNK_BYTES = 128 << 10
"""Of one transaction: small beside the smallest history."""
BACKLOG_BYTES = 512 << 10
"""What is kept in memory when a batch has waited for long enough; some hundred kills."""

Result = TypeVar("Result")


class Pace(NamedTuple):
    """How often, and how long."""

    sample_s: float = 1.0
    """Between two readings of our own."""
    flush_s: float = 5.0
    """Readings after an incident are written so often: a crash loses no more of them."""
    hold_s: float = 60.0
    """How long a batch waits for a disk that fails, unconfirmed. The guard keeps a mebibyte of what is not
    confirmed, and sends it again to whoever comes after us."""


ORDINARY = Pace()


class Waiting(NamedTuple):
    """A record that is not on the disk."""

    record: Record
    size_bytes: int


class Prepared(NamedTuple):
    """What the next transaction writes. The tally has counted it already."""

    records: list[Record]
    meta: Mapping[str, str]


class Keeper:
    """A sink of the relay. `tally_json` is given the new records of each transaction, once, in order, in the
    event loop; its text is written with them as `store.meta("tally")`. `sense` reads the machine. `publish`
    takes records of our own."""

    name = "history"
    must = True
    ticks = True

    def __init__(
        self,
        store: Store,
        tally_json: Callable[[Sequence[Record]], str] | None,
        clock: Callable[[], float],
        sense: Callable[[], Mapping[str, float]] | None,
        publish: Callable[[Record], None] = lambda record: None,
        pace: Pace = ORDINARY,
    ) -> None:
        self._store = store
        self._tally_json = tally_json
        self._clock = clock
        self._sense = sense
        self._publish = publish
        self._pace = pace
        self._ring = Ring()
        self._backlog: deque[Waiting] = deque()
        self._held_bytes = 0
        self._prepared: Prepared | None = None
        self._given_up = 0
        self._failing_since_s: float | None = None
        self._told: set[str] = set()
        self._heard_s = 0.0
        self._thread = Beside("history")
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Reads the machine from now on, for the minute before a kill; `take` does it, too."""
        if not self._tasks:
            self._tasks = [lasting(self._watch()), lasting(self._tidy())]

    async def take(self, records: Sequence[Record]) -> None:
        """Returns when they are on the disk. StoreError when that could not be done for so long that they
        wait in memory instead."""
        self.start()
        for record in records:
            self._note(record)
        events = [record for record in records if identity_of(record) is not None]
        for record in events:
            self._queue(record)
        pause_s = FIRST_PAUSE_S
        while events:
            try:
                await self._write_events()
                return
            except StoreError as error:
                if self._now_s() - (self._failing_since_s or 0.0) >= self._pace.hold_s:
                    self._bound()
                    raise StoreError("until it can be written, records wait in memory") from error
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def retune(self, max_size_bytes: int, max_age_s: float) -> None:
        """Other bounds of the history."""
        self._store.retune(max_size_bytes, max_age_s)

    async def close(self) -> None:
        """Writes what is left, and closes the store."""
        await stop(*self._tasks)
        with contextlib.suppress(StoreError, asyncio.TimeoutError):
            await asyncio.wait_for(self._write_all(), CLOSE_S)
        with contextlib.suppress(asyncio.TimeoutError, RuntimeError):
            await asyncio.wait_for(self._in_thread(self._store.close), CLOSE_S)
        self._thread.shutdown(cancel_futures=True)

    def _note(self, record: Record) -> None:
        """The readings in a record, and whether it makes those around it worth keeping."""
        readings, time_s, level = record.get("readings"), as_number(record.get("time_s")), record.get("level")
        if isinstance(readings, Mapping) and time_s is not None:
            self._heard_s = self._now_s()
            self._ring.add(time_s, readings, level if isinstance(level, str) else "")
        if is_incident(record):
            self._ring.want_around(time_of(record), self._clock())

    def _queue(self, record: Record) -> None:
        waiting = Waiting(record, len(json.dumps(record, default=str)))
        self._backlog.append(waiting)
        self._held_bytes += waiting.size_bytes

    def _bound(self) -> None:
        """The oldest that are no kills go where memory has no room for more. Not before it has failed: a
        batch may be larger than what we keep, and a disk that works takes it piece by piece."""
        while self._held_bytes > BACKLOG_BYTES and len(self._backlog) > 1:
            at = next((at for at, each in enumerate(self._backlog) if not is_incident(each.record)), 0)
            self._held_bytes -= self._backlog[at].size_bytes
            del self._backlog[at]
            self._given_up += 1

    async def _write_events(self) -> None:
        """Everything that waits. StoreError: the rest goes on waiting."""
        async with self._writing:
            while self._prepared or self._backlog:
                try:
                    await self._write_some()
                except StoreError as error:  # noqa: PERF203  # the rest has to wait as well
                    self._fail(error)
                    raise
            self._recover()

    async def _write_some(self) -> None:
        if self._prepared is None:
            chunk = self._chunk()
            new = await self._in_thread(lambda: self._store.unknown([each.record for each in chunk]))
            text = self._tally_json(new) if self._tally_json is not None else None
            self._prepared = Prepared(new, {} if text is None else {TALLY: text})
            for each in chunk:
                self._drop(each)
        records, meta = self._prepared
        if records:
            await self._in_thread(lambda: self._store.append(records, meta))
        self._prepared = None

    def _chunk(self) -> list[Waiting]:
        chunk: list[Waiting] = []
        size_bytes = 0
        for each in self._backlog:
            size_bytes += each.size_bytes
            if chunk and size_bytes > CHUNK_BYTES:
                break
            chunk.append(each)
        return chunk

    def _drop(self, waiting: Waiting) -> None:
        """It may be gone already: given up for others while we looked."""
        for at, each in enumerate(self._backlog):
            if each is waiting:
                del self._backlog[at]
                self._held_bytes -= waiting.size_bytes
                return

    async def _write_readings(self) -> None:
        async with self._writing:
            rows = self._ring.wanted()
            if rows:
                await self._in_thread(lambda: self._store.add_readings(rows))
                self._ring.forget(rows)

    async def _write_all(self) -> None:
        await self._write_events()
        await self._write_readings()

    async def _watch(self) -> None:
        """Once a second, unless the guard has just told."""
        while self._sense is not None:
            if self._now_s() - self._heard_s > 0.9 * self._pace.sample_s:
                self._ring.add(self._clock(), self._sense())
            await asyncio.sleep(self._pace.sample_s)

    async def _tidy(self) -> None:
        """What nobody waits for: readings, and events that had to wait in memory."""
        with contextlib.suppress(StoreError):
            newest_s = await self._in_thread(self._store.last_incident_s)
            if newest_s is not None:  # whoever was here before us may not have got to the minute's end
                self._ring.want_around(newest_s, self._clock())
        while True:
            await asyncio.sleep(self._pace.flush_s)
            with contextlib.suppress(StoreError):
                await self._write_all()
            while self._store.notes:
                self._tell(self._store.notes.pop(0), 1)

    def _fail(self, error: StoreError) -> None:
        if self._failing_since_s is None:
            self._failing_since_s = self._now_s()
        if str(error) not in self._told and len(self._told) < MOST_CAUSES:
            self._told.add(str(error))
            self._tell(str(error), 1)

    def _recover(self) -> None:
        self._failing_since_s = None
        if self._given_up:
            gone, self._given_up = self._given_up, 0
            self._tell(f"{gone} records had to be given up while it could not be written", gone)

    def _tell(self, error: str, count: int) -> None:
        where = "history"
        self._publish(made_here("fault", 4, self._clock(), where=where, error=error, count=count))

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
