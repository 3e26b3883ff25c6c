"""The metrics server: settings, listeners and pages put together. Nothing but GET of a few pages.

Rule of this file: the server of the library would start a thread for each client and wait for it for ever.
Here all clients together have an end (door.py).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

from oomguardd.engine.words import safe
from oomguardd.reporter.inbox import Record, made_here
from oomguardd.reporter.listening import METRICS, ListenError, listen_at_address, listen_at_path
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.metrics.access import load_access
from oomguardd.reporter.metrics.door import REFUSALS, Door, Limits
from oomguardd.reporter.metrics.exposition import MISSING, Exposition
from oomguardd.reporter.metrics.http import Answer, Request, refuse
from oomguardd.reporter.metrics.pages import Pages
from oomguardd.telling import MetricsSettings

NAME = "metrics"
"""The server's, in the meters."""


def open_listener(listen: str) -> socket.socket:
    """A listening socket at `listen`, as metrics.listen is written. ListenError with the remedy."""
    if listen.startswith("/"):
        return listen_at_path(
            listen, 0o666, METRICS
        )  # as open as the port would be; a token may be asked for
    return listen_at_address(listen, METRICS)


def _to_nobody(record: Record) -> None:
    """For whoever has nobody to tell."""


class MetricsServer:
    """Serves the exposition. Token and certificate are read when it is made, which may be as root; `publish`
    is told in records what does not work."""

    def __init__(
        self,
        settings: MetricsSettings,
        exposition: Exposition,
        meters: Meters,
        *,
        publish: Callable[[Record], None] = _to_nobody,
        clock: Callable[[], float] = time.time,
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> None:
        self._settings = settings
        self._exposition = exposition
        self._meters = meters
        self._publish = publish
        self._clock = clock
        self._pages = Pages(exposition, load_access(settings), settings.enabled)
        self._door = Door(self._answer, self._refused, lambda: self._pages.access.tls, limits)
        self._own: socket.socket | None = None
        self._passed = False
        self._told: set[str] = set()
        meters.expect("told", NAME)
        meters.expect("failed", NAME)
        meters.expect("refused", *(f"{NAME}: {reason}" for reason in REFUSALS))

    @property
    def connections(self) -> int:
        return self._door.connections

    async def start(self, listeners: Sequence[socket.socket], passed: bool = False) -> None:
        """Serves there from now on; the sockets are ours then. `passed`: systemd opened them, so that another
        address in the configuration is not ours to open."""
        settings = self._settings
        if settings.enabled and settings.textfile is None and not self._exposition.available:
            self._publish(made_here("missing", 4, self._clock(), **MISSING))
        self._complain()
        self._passed = passed
        for listener in listeners:
            self._door.open(listener)
            self._own = None if passed else listener

    def retune(self, settings: MetricsSettings) -> None:
        """From now on by these. Token and certificate are read anew; while files of the same names cannot be
        read, what was read of them before holds. Another address that cannot be had leaves the old one."""
        before, self._settings = self._settings, settings
        access = load_access(settings)
        files = [(each.token_file, each.tls_cert, each.tls_key) for each in (before, settings)]
        if access.closed and files[0] == files[1] and not self._pages.access.closed:
            self._fault(access.closed)
        else:
            self._pages.access = access
        if files[0] != files[1]:
            self._door.dismiss()  # nobody may go on as it was before
        self._pages.enabled = settings.enabled
        self._complain()
        if not self._passed:
            self._listen_as_set(before)

    async def close(self) -> None:
        """Ends every connection. May be called twice."""
        await self._door.close()

    def _listen_as_set(self, before: MetricsSettings) -> None:
        settings, own = self._settings, self._own
        wanted = settings.enabled and settings.textfile is None
        if own is not None and not (wanted and settings.listen == before.listen):
            # First: the new address may be another one of the same port.
            self._door.shut(own)
            self._own = None
        if wanted and self._own is None:
            # Rather on the old one than on none.
            addresses = (settings.listen, before.listen) if own is not None else (settings.listen,)
            self._own = next(filter(None, map(self._listen, addresses)), None)

    def _listen(self, address: str) -> socket.socket | None:
        try:
            listener = open_listener(address)
        except ListenError as error:
            self._fault(str(error))
            return None
        self._door.open(listener)
        return listener

    def _answer(self, request: Request) -> Answer:
        try:
            answer = self._pages.answer(request)
        except Exception as error:
            # A metric that cannot be rendered must not end the connection without a word.
            self._meters.add("failed", NAME)
            self._fault(f"{type(error).__name__}: {safe(error)}")
            return refuse(500, "the metrics cannot be rendered, see the log", "")
        if request.path == "/metrics" and answer.status == 200:
            self._meters.add("told", NAME)
        return answer

    def _refused(self, reason: str) -> None:
        self._meters.add("refused", f"{NAME}: {reason}")

    def _complain(self) -> None:
        access = self._pages.access
        for complaint in (access.closed, *access.warnings):
            if complaint:
                self._fault(complaint)

    def _fault(self, error: str) -> None:
        """Once per cause."""
        if error not in self._told and len(self._told) < 100:
            self._told.add(error)
            self._publish(made_here("fault", 4, self._clock(), where="metrics server", error=error, count=1))
