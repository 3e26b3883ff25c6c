"""The reporter from its start to its end: what needs root first, then reading, and the last words.

Rule of this file: a part that cannot work is told and left out. Nothing ends the reporter but being asked to.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from oomguardd.config import Config
from oomguardd.config.places import control_socket, history_directory
from oomguardd.history.store import Store
from oomguardd.kernel.notify import Notifier, named_fds
from oomguardd.notifiers.stopping import stop
from oomguardd.reporter.beside import Beside
from oomguardd.reporter.control.server import open_control
from oomguardd.reporter.directory import prepare_directory
from oomguardd.reporter.inbox import Inbox, Record, Seen, made_here
from oomguardd.reporter.lines import Lines
from oomguardd.reporter.listening import ListenError
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.metrics.server import open_listener
from oomguardd.reporter.mishaps import Mishaps
from oomguardd.reporter.parts import Keeping, Parts, remember
from oomguardd.reporter.present import Present
from oomguardd.reporter.privileges import Account
from oomguardd.reporter.relay import Relay
from oomguardd.reporter.watchers import Watchers
from oomguardd.telling import Telling

DRAIN_S = 2.0
"""How long a stopping reporter tries to hand over what has arrived; the guard keeps what is not confirmed."""
METRICS, CONTROL = "metrics", "control"
"""Names of the descriptors that systemd passes (FileDescriptorName=), and of ours."""


@dataclass(frozen=True, slots=True)
class Options:
    """What command line, configuration and environment say."""

    config: Config
    socket: str
    """The guard's."""
    threshold: int
    child: bool
    """Started by the guard, which gets Ctrl-C as well."""
    environ: Mapping[str, str]

    @property
    def telling(self) -> Telling:
        return self.config.telling or Telling()


class Service:
    """Everything that one running reporter owns: `prepare` with the rights there are, then `run`. `again`
    reads options after a reload; None keeps the old ones."""

    def __init__(
        self, options: Options, lines: Lines, notifier: Notifier, again: Callable[[], Options | None]
    ) -> None:
        self._options = options
        self._lines = lines
        self._notifier = notifier
        self._again = again
        self._meters = Meters()
        self._present = Present()
        self._directory = ""
        self._passed: dict[str, list[socket.socket]] = {}
        self._opened: dict[str, list[socket.socket]] = {}
        self._early: list[Record] = []
        """Records of our own, from before there was anybody to tell."""
        self._watchers = Watchers(options.telling.watch, self.publish, self._present, self._meters)
        self._relay: Relay | None = None

    def publish(self, record: Record) -> None:
        """A record of our own goes where the guard's go."""
        if self._relay is None:
            self._early.append(record)
        else:
            self._relay.put(record)

    def prepare(self, account: Account | None) -> None:
        """Opens what a user without privileges could not. `account`: whom we become; None: as we are."""
        options, telling = self._options, self._options.telling
        uid, gid = (account.uid, account.gid) if account else (os.geteuid(), os.getegid())
        self._directory = history_directory(options.config, options.environ, os.geteuid())
        if problem := prepare_directory(self._directory, uid, gid):
            self._miss("history", "what happens is not kept", problem)
        for name, fd in named_fds(options.environ):
            self._passed.setdefault(name, []).append(socket.socket(fileno=fd))
        metrics, control = telling.metrics, control_socket(options.config, options.socket)
        if metrics.enabled and metrics.textfile is None:
            self._open(METRICS, "nobody can scrape", lambda: open_listener(metrics.listen))
        if control is not None:
            readers = telling.control.readers
            self._open(
                CONTROL, "oomguardctl status has nobody to ask", lambda: open_control(control, readers)
            )
        self._watchers.prepare()

    async def run(self) -> None:
        """Until SIGTERM, or SIGINT where nobody else gets it."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(Mishaps(self.publish, time.time))
        loop.add_signal_handler(signal.SIGTERM, stopping.set)
        # Ctrl-C goes to the guard as well, whose last words are still to come when it is our parent.
        loop.add_signal_handler(signal.SIGINT, _nothing if self._options.child else stopping.set)
        history = self._options.telling.history
        store = Store(self._directory, history.max_size_bytes, history.max_age_s)
        keeping = await self._remember(store, stopping)
        if keeping is None:
            return
        kept_run, kept = keeping.seen
        # Not as what was seen: the guard tells again what was not confirmed, and only the history has it all.
        seen = Seen(kept_run=kept_run, kept=kept)
        inbox = Inbox(self._options.socket, stopping, time.time, seen)
        inbox.on_connection = self._connected
        parts = self._make_parts(keeping)
        folds = (self._present.take, parts.tally.fold)
        self._relay = Relay(parts.sinks(), folds, inbox.confirm, self._meters, time.time)
        self._relay.start()
        await parts.start(self._listeners(METRICS), self._listeners(CONTROL), METRICS in self._passed)
        early, self._early = self._early, []
        for record in early:
            self._relay.put(record)
        self._notifier.send("READY=1", f"STATUS=reading {self._options.socket}")
        try:
            await self._read(inbox, seen, parts, stopping)
        finally:
            self._notifier.send("STOPPING=1")
            await self._relay.close(DRAIN_S)
            await parts.close()

    async def _remember(self, store: Store, stopping: asyncio.Event) -> Keeping | None:
        """None when we are told to stop before it was read: a disk may hang, a database be locked."""
        thread = Beside("memory")
        reading = asyncio.get_running_loop().run_in_executor(thread, remember, store, self._present)
        stopped = asyncio.ensure_future(stopping.wait())
        both: set[asyncio.Future[Any]] = {reading, stopped}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        thread.shutdown()
        stopped.cancel()
        if reading.done():
            return reading.result()
        reading.cancel()
        return None

    def _make_parts(self, keeping: Keeping) -> Parts:
        options = self._options
        return Parts(
            options.telling,
            options.threshold,
            self._lines,
            keeping,
            self._present,
            self._meters,
            self._watchers,
            self.publish,
            lambda: self._relay.waiting if self._relay else {},
            options.environ,
        )

    async def _read(self, inbox: Inbox, seen: Seen, parts: Parts, stopping: asyncio.Event) -> None:
        reading = asyncio.ensure_future(self._pass_on(inbox, seen, parts))
        stopped = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({reading, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({reading}, timeout=DRAIN_S)
        await stop(reading, stopped)
        if not reading.cancelled():
            reading.result()

    async def _pass_on(self, inbox: Inbox, seen: Seen, parts: Parts) -> None:
        relay = self._relay
        assert relay is not None
        async for record in inbox.records():
            if seen.is_kept(record):
                relay.repeat(record)
                await relay.room()
                continue
            relay.put(record)
            if record["kind"] == "reloaded" and (options := self._again()) is not None:
                self._options = options
                parts.retune(options.telling, options.threshold)
            await relay.room()

    def _connected(self, there: bool) -> None:
        self._present.connected = there

    def _listeners(self, name: str) -> list[socket.socket]:
        return self._passed.get(name) or self._opened.get(name, [])

    def _open(self, name: str, cost: str, opened: Callable[[], socket.socket]) -> None:
        if name in self._passed:
            return
        try:
            self._opened[name] = [opened()]
        except ListenError as error:
            self._miss(f"{name} socket", cost, str(error))

    def _miss(self, what: str, cost: str, problem: str) -> None:
        self.publish(made_here("missing", 4, time.time(), **missing_words(what, cost, problem)))


def missing_words(what: str, cost: str, problem: str) -> dict[str, str]:
    """The fields of `missing`, of a problem that is told as "cause (remedy)"."""
    cause, _, remedy = problem.partition(" (")
    return {"what": f"{what} ({cause})", "cost": cost, "remedy": remedy.removesuffix(")")}


def _nothing() -> None:
    """For a signal that is somebody else's business, but must not end us."""
