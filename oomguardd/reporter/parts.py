"""Everybody who is told of the records, made from the configuration and the history.

Rule of this file: how the parts hang together is here, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import platform
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from oomguardd import __version__
from oomguardd.history.store import Store, StoreError
from oomguardd.kernel import journald
from oomguardd.reporter.control.server import ControlServer
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.journal.sink import JournalSink, journal_there
from oomguardd.reporter.keeper import TALLY, Keeper
from oomguardd.reporter.lines import Lines, Style
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.metrics.exposition import Exposition
from oomguardd.reporter.metrics.server import MetricsServer
from oomguardd.reporter.metrics.tally import Tally
from oomguardd.reporter.metrics.textfile import Textfile
from oomguardd.reporter.people.herald import Herald
from oomguardd.reporter.present import Present
from oomguardd.reporter.relay import Sink
from oomguardd.reporter.sampler import Sampler, make_sampler
from oomguardd.reporter.watchers import Watchers
from oomguardd.reporter.words import time_of
from oomguardd.telling import JournalSettings, Telling

Publish = Callable[[Record], None]


class Keeping(NamedTuple):
    """The history, and what was read of it at the start: a disk may hang, so that takes a thread."""

    store: Store
    seen: tuple[str, int]
    """The guard's run, and the number of its last record here."""
    written: Tally
    """Of what the history has;"""
    told: Tally
    """of everything that was told, as the metrics show it."""
    there_s: float | None = None
    """When the newest record was made (wall clock): until then a reporter was there."""


def remember(store: Store, present: Present) -> Keeping:
    """What was known before we were started: the guard does not tell again what was written. Where the
    history cannot be read, nothing was. It may take long."""
    there_s: float | None = None
    try:
        for record in store.recent():
            present.take(record)
            there_s = max(there_s or 0.0, time_of(record))
        seen, text = store.seen(), store.meta(TALLY)
    except StoreError:
        return Keeping(store, ("", 0), Tally(), Tally())
    return Keeping(store, seen, _tally_of(text), _tally_of(text), there_s)


class Parts:
    """To be made in the running loop, with the rights that will last."""

    def __init__(
        self,
        telling: Telling,
        threshold: int,
        lines: Lines,
        keeping: Keeping,
        present: Present,
        meters: Meters,
        watchers: Watchers,
        publish: Publish,
        waiting: Callable[[], Mapping[str, int]],
        environ: Mapping[str, str],
    ) -> None:
        written = keeping.written
        self.tally = keeping.told
        self._present = present
        self._lines = lines
        self._sampler: Sampler | None = make_sampler()
        self._keeper = Keeper(
            keeping.store, lambda new: _count(written, new), time.time, self._sampler, publish
        )
        self._journal = _journal(telling.journal, lines, threshold)
        self._exposition = Exposition(present, self.tally, meters, __version__)
        self._metrics = MetricsServer(telling.metrics, self._exposition, meters, publish=publish)
        self._textfile = Textfile(telling.metrics, self._exposition, meters, publish=publish)
        self._control = ControlServer(telling.control, present, meters, waiting)
        self._herald = Herald(telling, meters, publish, environ, platform.node())
        self._there_s = keeping.there_s
        self._watchers = watchers

    def sinks(self) -> Iterator[Sink]:
        """In the order in which they are told."""
        yield self._keeper
        if self._journal is not None:
            yield self._journal
        if self._journal is None or self._lines.style is not Style.JOURNAL:
            yield self._lines
        yield from (self._control, self._textfile, self._herald, self._watchers)

    async def start(
        self, metrics: Sequence[socket.socket], control: Sequence[socket.socket], passed: bool
    ) -> None:
        """Everybody works from now on. `passed`: systemd has opened the metrics' listeners."""
        self._keeper.start()
        await self._metrics.start(metrics, passed)
        await self._control.start(control)
        self._textfile.start()
        self._herald.start()
        self._watchers.start(self._there_s)

    def retune(self, telling: Telling, threshold: int) -> None:
        """Another configuration; the directory of the history, the control socket and where the log goes
        change at the next start only."""
        self._lines.threshold = threshold
        if self._journal is not None:
            self._journal.threshold = threshold
        self._keeper.retune(telling.history.max_size_bytes, telling.history.max_age_s)
        self._metrics.retune(telling.metrics)
        self._textfile.retune(telling.metrics)
        self._control.retune(telling.control)
        self._herald.retune(telling)
        self._watchers.retune(telling.watch)

    async def close(self) -> None:
        """Those that are no sinks; the relay closes the sinks."""
        await self._metrics.close()
        self._exposition.close()
        if self._sampler is not None:
            self._sampler.close()


def _tally_of(text: str | None) -> Tally:
    with contextlib.suppress(ValueError, RecursionError):
        return Tally.from_json(json.loads(text or "null"))
    return Tally()


def _count(tally: Tally, records: Sequence[Record]) -> str:
    for record in records:
        tally.fold(record)
    return json.dumps(tally.to_json())


def _journal(settings: JournalSettings, lines: Lines, threshold: int) -> JournalSink | None:
    wanted = settings.entries == "always" or (settings.entries == "auto" and lines.style is Style.JOURNAL)
    return JournalSink(threshold) if wanted and journal_there(journald.SOCKET) else None
