"""Kills of other daemons: claims out of the journal and marks on cgroups, told unless they are our own."""

from __future__ import annotations

import asyncio
import os

from oomguardd.engine.blame import Act
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import read_cgroup
from oomguardd.notifiers.lasting import lasting
from oomguardd.notifiers.stopping import stop
from oomguardd.reporter.watchers.desk import Desk
from oomguardd.reporter.watchers.docket import Valve
from oomguardd.reporter.watchers.journal import Entry, JournalFollower
from oomguardd.reporter.watchers.others import (
    JOURNAL_MATCHES,
    Claim,
    Claims,
    claim_of,
    marked,
    rivals,
    why_of,
)
from oomguardd.reporter.watchers.records import foreign_record

CENSUS_S = 60.0
"""How often it is looked who runs."""
_AT_ONCE = 200
"""Processes that are looked at before others get their turn: 3 ms."""
MOST_TOLD, WITHIN_S = 30, 10.0


class RivalWatch:
    """The journal is followed only while another daemon runs: that is a process more."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._claims = Claims()
        self._valve = Valve(MOST_TOLD, WITHIN_S)
        self._follower: JournalFollower | None = None
        self._task: asyncio.Task[None] | None = None
        self._proc_fd = -1
        self.running: tuple[str, ...] = ()
        """Names of the other daemons, as of the last look."""

    def prepare(self) -> None:
        """Nothing of it needs root."""
        try:
            self._proc_fd = open_dir(self._desk.places.proc)
        except OSError:
            self._proc_fd = -1

    def start(self) -> None:
        """In a running loop."""
        if self._proc_fd >= 0:
            self._task = lasting(self._census())

    async def close(self) -> None:
        """May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            await stop(task)
        await self._stop_following()
        if self._proc_fd >= 0:
            os.close(self._proc_fd)
            self._proc_fd = -1

    @property
    def acts(self) -> list[Act]:
        """What was claimed lately, as `blame` wants it."""
        return self._claims.acts()

    def marked(self, cgroup: str, kills: int) -> None:
        """The numbers that systemd-oomd keeps on a cgroup have grown."""
        self._add(marked(cgroup, kills, self._desk.clock()))

    def look(self, now_s: float) -> None:
        """Once a second: tells the claims that have waited, but for those about our own kills."""
        for claim in self._claims.due(now_s):
            own = self._desk.ours.meant(claim.cgroup, claim.unit, claim.time_s)
            if not own and self._valve.open(now_s, claim.processes):
                self._tell(claim)
        if held := self._valve.rest(now_s):
            self._desk.meters.add("dropped", "foreign kills", held)

    def _tell(self, claim: Claim) -> None:
        self._desk.publish(
            foreign_record(
                claim.by,
                claim.time_s,
                self._desk.boot,
                claim.processes,
                why_of(claim),
                pid=claim.pid or None,
                comm=claim.comm,
                cgroup=claim.cgroup,
                unit=claim.unit,
            )
        )

    def _add(self, claim: Claim) -> None:
        self._claims.add(claim, asyncio.get_running_loop().time())

    def _entry(self, entry: Entry) -> None:
        self._desk.attempt(self._take_entry, entry)

    def _take_entry(self, entry: Entry) -> None:
        claim = claim_of(entry, self._desk.clock())
        if claim is None:
            return
        if claim.pid and self._proc_fd >= 0:  # it may still be there
            claim = claim._replace(cgroup=read_cgroup(self._proc_fd, claim.pid) or "")
        self._add(claim)

    async def _census(self) -> None:
        while True:
            self.running = await self._look_around()
            if self.running and self._follower is None:
                program = self._desk.places.journalctl
                self._follower = JournalFollower(JOURNAL_MATCHES, self._entry, self._no_journal, program)
                self._follower.start()
            elif not self.running:
                await self._stop_following()
            await asyncio.sleep(CENSUS_S)

    async def _look_around(self) -> tuple[str, ...]:
        found: set[str] = set()
        try:
            for number, name in enumerate(rivals(self._proc_fd)):
                if name:
                    found.add(name)
                if number % _AT_ONCE == _AT_ONCE - 1:
                    await asyncio.sleep(0)
        except OSError:
            pass  # what was found so far
        return tuple(sorted(found))

    def _no_journal(self, why: str) -> None:
        self._desk.missing(
            f"the journal of {', '.join(self.running)} ({why})",
            "a kill of theirs is not told, or only from the mark on its cgroup",
            "add the reporter's user to the group systemd-journal",
        )

    async def _stop_following(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            await follower.close()
