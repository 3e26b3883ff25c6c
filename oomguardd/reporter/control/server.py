"""The control socket: how things stand, for `oomguardctl status` and whoever speaks varlink.

Rule of this file: nothing that is asked here changes anything, and nobody is told what control.readers keeps
from them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress

from oomguardd import __version__
from oomguardd.engine.words import safe
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import resident_pages
from oomguardd.model import PAGE_BYTES
from oomguardd.reporter.control import standing
from oomguardd.reporter.control.followers import Followers
from oomguardd.reporter.control.interface import DESCRIPTION, MANAGER, NOT_PERMITTED
from oomguardd.reporter.control.varlink import (
    About,
    Interface,
    Method,
    Parameters,
    Peer,
    VarlinkError,
    encode,
)
from oomguardd.reporter.control.varlink_server import REFUSALS, Limits, VarlinkServer
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.listening import CONTROL, listen_at_path
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.present import LAST_KILLS, Present
from oomguardd.reporter.words import words_of
from oomguardd.sensors import SIGNAL_OF
from oomguardd.telling import ControlSettings

KILLS_IN_STATUS = 5

_SILENT_KINDS = ("tick",)
"""Not told: the log does not have them either."""


def open_control(path: str, readers: str = "everybody") -> socket.socket:
    """A listening socket there. ListenError."""
    # A second fence: who may ask is decided by SO_PEERCRED, and changes with a reload.
    return listen_at_path(path, 0o666 if readers == "everybody" else 0o600, CONTROL)


class ControlServer:
    """Answers from what is known, and is the sink that followers hang on.

    `waiting` says how many records wait for each of the reporter's parts; `proc` is where both processes'
    memory is read.
    """

    name = "control"
    must = False
    ticks = False

    def __init__(
        self,
        settings: ControlSettings,
        present: Present,
        meters: Meters,
        waiting: Callable[[], Mapping[str, int]] = dict,
        clock: Callable[[], float] = time.time,
        proc: str = "/proc",
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> None:
        self._settings = settings
        self._present = present
        self._meters = meters
        self._waiting = waiting
        self._clock = clock
        self._proc = proc
        self._started_s = clock()
        self._followers = Followers()
        methods = {
            "Status": Method({}, self.status),
            "Kills": Method({"count": int}, self.kills),
            "Follow": Method({"backlog": int}, stream=self._follow),
        }
        about = About("oomguardd", "oomguardd reporter", __version__, "")
        manager = Interface(MANAGER, DESCRIPTION, methods)
        self._server = VarlinkServer(about, (manager,), self._admit, self._refused, limits)
        meters.expect("refused", *(f"control: {why}" for why in (*REFUSALS, "not permitted")))

    async def start(self, listeners: Sequence[socket.socket]) -> None:
        """Answer there; the sockets are ours from now on."""
        await self._server.start(listeners)

    def retune(self, settings: ControlSettings) -> None:
        """Who may ask changes at once, for those who are connected, too; the socket at the next start."""
        self._settings = settings

    async def take(self, records: Sequence[Record]) -> None:
        """For the followers."""
        for record in records:
            if record.get("kind") not in _SILENT_KINDS:
                self._followers.add(_event(record))

    async def close(self) -> None:
        """Nobody is answered any more. May be called twice."""
        await self._server.close()

    def status(self, parameters: Parameters) -> Parameters:
        """The reply of the method Status."""
        present, now_s = self._present, self._clock()
        problems = standing.problems_of(present, now_s)
        return {
            "time_s": round(now_s, 3),
            "ok": not problems,
            "problems": problems,
            "level": standing.level_of(present),
            "since_s": present.level_since_s,
            "readings": standing.readings_of(present, SIGNAL_OF),
            "triggers": standing.triggers_of(present, SIGNAL_OF),
            "missing": standing.missing_of(present),
            "kills": standing.kills_of(present, KILLS_IN_STATUS),
            "troubles": standing.troubles_of(present),
            "guard": standing.guard_of(present, self._guard_rss()),
            "reporter": self._reporter(),
            "configuration": standing.configuration_of(present),
        }

    def kills(self, parameters: Parameters) -> Parameters:
        """The reply of the method Kills."""
        count = parameters.get("count")
        most = LAST_KILLS if not isinstance(count, int) else count
        if most < 0:
            raise VarlinkError("org.varlink.service.InvalidParameter", parameter="count")
        return {"kills": standing.kills_of(self._present, most)}

    def _follow(self, parameters: Parameters) -> AsyncIterator[bytes]:
        backlog = parameters.get("backlog")
        return self._followers.follow(backlog if isinstance(backlog, int) and backlog > 0 else 0)

    def _reporter(self) -> dict[str, object]:
        times = os.times()
        return {
            "pid": os.getpid(),
            "version": __version__,
            "started_s": round(self._started_s, 3),
            "rss_bytes": self._rss(os.getpid()),
            "cpu_s": round(times.user + times.system, 3),
            "followers": self._followers.count,
            "queues": [{"part": safe(part), "waiting": size} for part, size in self._waiting().items()],
            "counters": [
                {"name": name, "part": safe(part), "count": count}
                for (name, part), count in sorted(self._meters.counts.items())
            ],
        }

    def _guard_rss(self) -> int | None:
        pid = self._present.started.get("pid")
        return self._rss(pid) if self._present.connected and isinstance(pid, int) else None

    def _rss(self, pid: int) -> int | None:
        with suppress(OSError):
            proc_fd = open_dir(self._proc)
            try:
                pages = resident_pages(proc_fd, pid)
            finally:
                os.close(proc_fd)
            return None if pages is None else pages * PAGE_BYTES
        return None

    def _admit(self, peer: Peer, interface: str) -> None:
        if self._settings.readers == "everybody" or peer.uid in (0, os.geteuid()):
            return
        self._refused("not permitted")
        why = 'control.readers = "root": only root and the user that runs the reporter may ask'
        raise VarlinkError(NOT_PERMITTED, why=why)

    def _refused(self, why: str) -> None:
        self._meters.add("refused", f"control: {why}")


def _event(record: Record) -> bytes:
    """One reply of Follow."""
    return encode({"record": record, "lines": words_of(record), "lost": 0}, continues=True)
