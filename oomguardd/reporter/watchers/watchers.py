"""All watchers as one part of the reporter, and one sink: it learns of our own kills from the records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from oomguardd.engine.blame import Act
from oomguardd.notifiers.lasting import lasting
from oomguardd.notifiers.stopping import stop
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.present import Present
from oomguardd.reporter.watchers.desk import Desk, Places, read_boot
from oomguardd.reporter.watchers.exit_watch import ExitWatch
from oomguardd.reporter.watchers.kernel_watch import KernelWatch
from oomguardd.reporter.watchers.rival_watch import RivalWatch
from oomguardd.telling import WatchSettings

LOOK_S = 1.0
"""How often the counters are read and what has waited is told."""


class Watchers:
    """`prepare` while still root, `start` in the loop. `publish` takes the records that are made here."""

    name = "watchers"
    must = False
    ticks = False

    def __init__(
        self,
        settings: WatchSettings,
        publish: Callable[[Record], None],
        present: Present,
        meters: Meters,
        places: Places | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        where = places or Places()
        self._desk = Desk(publish, present, meters, clock, where, boot=read_boot(where.proc))
        self._rivals: RivalWatch | None = None
        self._kernel: KernelWatch | None = None
        self._exits: ExitWatch | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Opens what needs root, and reads what was before. Never raises."""
        if self._settings.kernel_kills:
            self._rivals = RivalWatch(self._desk)
            self._kernel = KernelWatch(self._desk, self._rivals.marked)
        if self._settings.process_events:
            self._exits = ExitWatch(self._desk, self._acts, self._running)
        for part in (self._rivals, self._kernel, self._exits):
            if part is not None:
                self._desk.attempt(part.prepare)

    def start(self, there_s: float | None = None) -> None:
        """In a running loop, after `prepare`. `there_s`: see KernelWatch.start()."""
        if self._kernel is not None:
            self._desk.attempt(self._kernel.start, there_s)
        for part in (self._rivals, self._exits):
            if part is not None:
                self._desk.attempt(part.start)
        self._task = lasting(self._watch())

    async def take(self, records: Sequence[Record]) -> None:
        """As a sink: the guard's records, and our own, which say nothing new."""
        for record in records:
            self._desk.ours.take(record)

    def retune(self, settings: WatchSettings) -> None:
        """The configuration has changed: what is switched on now is opened with the rights that are left."""
        before, self._settings = self._settings, settings
        if before.kernel_kills != settings.kernel_kills:
            self._drop(self._kernel, self._rivals)
            self._kernel = self._rivals = None
            if settings.kernel_kills:
                self._rivals = RivalWatch(self._desk)
                self._kernel = KernelWatch(self._desk, self._rivals.marked)
                self._begin(self._rivals, self._kernel)
        if before.process_events != settings.process_events:
            if self._exits is not None:
                self._exits.close()
                self._exits = None
            if settings.process_events:
                self._exits = ExitWatch(self._desk, self._acts, self._running)
                self._begin(self._exits)

    async def close(self) -> None:
        """Ends all of it. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            await stop(task)
        self._drop(self._kernel, self._rivals)
        self._kernel = self._rivals = None
        if self._exits is not None:
            self._exits.close()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _begin(self, *parts: RivalWatch | KernelWatch | ExitWatch) -> None:
        for part in parts:
            self._desk.attempt(part.prepare)
            self._desk.attempt(part.start)

    def _drop(self, *parts: RivalWatch | KernelWatch | None) -> None:
        for part in parts:
            if part is not None:
                task = asyncio.ensure_future(part.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    def _acts(self) -> list[Act]:
        """All traces of who killed."""
        kernels = self._kernel.acts if self._kernel else []
        others = self._rivals.acts if self._rivals else []
        return [*self._desk.ours.acts(), *kernels, *others]

    def _running(self) -> tuple[str, ...]:
        return self._rivals.running if self._rivals else ()

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK_S)
            for part in (self._kernel, self._rivals, self._exits):
                if part is not None:
                    self._desk.attempt(part.look, clock())
