"""The parts of a guard that look, choose and kill, put together.

Rule of this file: it only builds; who starts and stops them is the service.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from oomguardd.census.dossier import Dossier
from oomguardd.census.muster import Muster
from oomguardd.census.programs import Programs
from oomguardd.guard import abilities
from oomguardd.guard.loop import Guard
from oomguardd.guard.mark import open_marks
from oomguardd.guard.options import orders_of
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.scout import Scout
from oomguardd.guard.shield import Shield
from oomguardd.guard.strike import Striker
from oomguardd.guard.warden import Warden
from oomguardd.guard.watch import Watch
from oomguardd.kernel.cgroupfs import find_cgroups
from oomguardd.kernel.notify import Notifier
from oomguardd.kernel.process import own_ancestors
from oomguardd.sections import Config

LEDGER = "protected.json"


class Parts:
    """What they share."""

    def __init__(self, proc_fd: int, outbox: Outbox) -> None:
        self._proc_fd = proc_fd
        self._outbox = outbox
        self._cgroups = find_cgroups()
        self.programs = Programs(proc_fd)
        self.muster = Muster(proc_fd, self._cgroups, self._dossier())
        self.marks = open_marks(proc_fd, outbox.run)

    def striker(
        self, config: Config, watch: Watch, wake: Callable[[], None], alive: Callable[[], None]
    ) -> Striker:
        select = config.select
        scout = Scout(
            self._proc_fd, select.shortlist, select.runners_up, (), alive, self._dossier(), select.swarm
        )
        return Striker(
            watch.domain.name,
            self._proc_fd,
            scout,
            self._outbox,
            watch.look,
            wake,
            orders_of(config),
            muster=self.muster,
            marks=self.marks,
        )

    def guard(
        self, config: Config, watch: Watch, striker: Striker, warden: Warden, notifier: Notifier
    ) -> Guard:
        return Guard(
            config,
            watch,
            striker,
            self._outbox,
            warden,
            notifier,
            lambda: own_ancestors(self._proc_fd),
            None if abilities.may_signal_all(self._proc_fd) else os.geteuid(),
            bool(watch.domain.cgroup),
        )

    def shield(self, directory: str, dry_run: bool) -> Shield:
        """Its ledger is in `directory`."""
        path = os.path.join(directory, LEDGER)
        return Shield(self._proc_fd, self._dossier(), self._outbox, path, dry_run)

    def close(self) -> None:
        self.programs.close()
        self.marks.close()
        if self._cgroups is not None:
            self._cgroups.close()

    def _dossier(self) -> Dossier:
        """One of its own for each who asks in rounds."""
        return Dossier(self._proc_fd, self._cgroups, self.programs)
