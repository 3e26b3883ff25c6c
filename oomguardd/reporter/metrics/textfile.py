"""The metrics as a file for node_exporter's textfile collector, where no port may be open.

Rule of this file: a reader sees the old file or the new one, never half of one. The disk may be slow or full:
writing is a thread's work, and only the next text waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence

from oomguardd.notifiers.lasting import lasting
from oomguardd.reporter.beside import Beside
from oomguardd.reporter.inbox import Record, made_here
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.metrics.exposition import MISSING, Exposition
from oomguardd.telling import MetricsSettings

EVERY_S = 15.0
"""Prometheus scrapes every 15 s to 1 min."""

SOON_S = 0.25
"""After an event, so that what belongs to it comes along."""

URGENT = ("kill", "escalated", "outcome", "nobody", "limit", "kernel_kill", "foreign_kill")
"""Kinds of records that are in the file within a second."""

NAME = "textfile"


def write_whole(path: str, body: bytes) -> None:
    """Puts a file with that content in the place of the one that is there. OSError; nothing is left then."""
    # node_exporter reads *.prom, so that one that a crash left behind is nobody's metrics.
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with open(fd, "wb") as stream:
            os.fchmod(fd, 0o644)  # the umask is the service's, the reader somebody else
            stream.write(body)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class Textfile:
    """A sink of the relay. It writes nothing while metrics.textfile is off."""

    name = NAME
    must = False
    ticks = False

    def __init__(
        self,
        settings: MetricsSettings,
        exposition: Exposition,
        meters: Meters,
        *,
        publish: Callable[[Record], None],
        clock: Callable[[], float] = time.time,
        every_s: float = EVERY_S,
    ) -> None:
        self._settings = settings
        self._exposition = exposition
        self._meters = meters
        self._publish = publish
        self._clock = clock
        self._every_s = every_s
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._thread = Beside(NAME)
        self._told: set[str] = set()

    def start(self) -> None:
        """Writes at once, and from now on."""
        if self._path is not None and not self._exposition.available:
            self._publish(made_here("missing", 4, self._clock(), **MISSING))
        self._task = lasting(self._keep_writing())

    def retune(self, settings: MetricsSettings) -> None:
        """By these from now on; the file of an older setting stays where it is."""
        self._settings = settings
        self._wanted.set()

    async def take(self, records: Sequence[Record]) -> None:
        """Has the next text written soon if something happened."""
        if any(record.get("kind") in URGENT for record in records):
            self._wanted.set()

    async def close(self) -> None:
        """The last text is written. May be called twice."""
        self._closing = True
        self._wanted.set()
        if self._task is not None:
            # Not cancelled: its thread would go on, beside the one that writes the last text.
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown()

    @property
    def _path(self) -> str | None:
        return self._settings.textfile if self._settings.enabled else None

    async def _keep_writing(self) -> None:
        while not self._closing:
            await self._write()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._every_s)
                await asyncio.sleep(0 if self._closing else SOON_S)
            self._wanted.clear()
        await self._write()

    async def _write(self) -> None:
        path = self._path
        if path is None or not self._exposition.available:
            return
        try:
            body = self._exposition.body()
            await asyncio.get_running_loop().run_in_executor(self._thread, write_whole, path, body)
        except Exception as error:
            self._meters.add("failed", NAME)
            self._fault(path, error)
        else:
            self._meters.add("told", NAME)

    def _fault(self, path: str, error: Exception) -> None:
        """Once per cause."""
        words = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        folder = os.path.dirname(path)
        remedy = (
            f"the user that runs the reporter, oomguard, has to be able to write to {folder}; with systemd,"
            f" oomguardd-reporter.service needs ReadWritePaths={folder}"
        )
        sentence = f"{path}: {words} (metrics.textfile: {remedy})"
        if sentence not in self._told and len(self._told) < 100:
            self._told.add(sentence)
            self._publish(made_here("fault", 4, self._clock(), where=NAME, error=sentence, count=1))
