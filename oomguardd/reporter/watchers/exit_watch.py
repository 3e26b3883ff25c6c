"""Who sent that SIGKILL: each end of a process, judged once there has been time for traces."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

from oomguardd.engine.blame import SIGNAL_NAMES, SIGTERM, UNKNOWN, Act, Blame, Death, blame
from oomguardd.engine.owners import owner_words
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import parent, read_cgroup
from oomguardd.reporter.inbox import Record, made_here
from oomguardd.reporter.watchers.desk import Desk
from oomguardd.reporter.watchers.docket import Valve
from oomguardd.reporter.watchers.exits import OLDEST, Exits, ExitsError
from oomguardd.reporter.watchers.records import EXIT_PRIORITY
from oomguardd.runtimes import owner_of

HOLD_S = 3.0
"""By then the kernel's report has come, or its counters were read; see docket.PATIENCE_S."""
MOST_HELD = 500
MOST_TOLD, WITHIN_S = 30, 10.0
DROPPED = "exits"


class ExitWatch:
    """`acts` gives all traces there are; `rivals` the other daemons that run."""

    def __init__(
        self, desk: Desk, acts: Callable[[], list[Act]], rivals: Callable[[], tuple[str, ...]]
    ) -> None:
        self._desk = desk
        self._acts = acts
        self._rivals = rivals
        self._exits: Exits | None = None
        self._held: deque[tuple[float, Death]] = deque()
        self._judged: deque[tuple[Death, Blame]] = deque(maxlen=MOST_HELD)
        self._valve = Valve(MOST_TOLD, WITHIN_S)
        self._proc_fd = -1
        desk.meters.expect("dropped", DROPPED)

    def prepare(self) -> None:
        """Before Linux 6.6 this needs CAP_NET_ADMIN."""
        try:
            self._proc_fd = open_dir(self._desk.places.proc)
            self._exits = Exits(self.ended, self._lost, self._silent, self._desk.clock)
        except (ExitsError, OSError) as error:
            remedy = f"install pyroute2 >= {OLDEST}, and AmbientCapabilities=CAP_NET_ADMIN in the unit"
            self._complain(str(error), remedy)

    def start(self) -> None:
        """In a running loop."""
        if self._exits is not None:
            self._exits.start()

    def close(self) -> None:
        """May be called twice."""
        if self._exits is not None:
            self._exits.close()
            self._exits = None
        if self._proc_fd >= 0:
            os.close(self._proc_fd)
            self._proc_fd = -1

    def ended(self, death: Death) -> None:
        """One has ended just now: what it was can be read until its parent has taken note of its end."""
        if len(self._held) >= MOST_HELD:
            self._lost()
            return
        if self._proc_fd >= 0:
            found = parent(self._proc_fd, death.pid)
            cgroup = read_cgroup(self._proc_fd, death.pid) if found else None
            death = death._replace(comm=found[1] if found else "", cgroup=cgroup or "")
        self._held.append((asyncio.get_running_loop().time() + HOLD_S, death))

    def look(self, now_s: float) -> None:
        """Once a second: judges those that have waited."""
        due: list[Death] = []
        while self._held and self._held[0][0] <= now_s:
            due.append(self._held.popleft()[1])
        if not due:
            return
        acts, rivals = self._acts(), self._rivals()
        for death in sorted(due, key=lambda each: each.signal == 0):  # children before those who pass it on
            judged = blame(death, acts, rivals, self._judged)
            self._judged.append((death, judged))
            if death.signal == SIGTERM and judged.by == UNKNOWN:
                continue  # the ordinary end of a service
            if self._valve.open(now_s):
                self._desk.publish(self._record(_named(death, acts), judged))
            else:
                self._lost()

    def _record(self, death: Death, judged: Blame) -> Record:
        known = {"comm": death.comm, "cgroup": death.cgroup, "owner": owner_words(owner_of(death.cgroup))}
        how = {"signal": SIGNAL_NAMES[death.signal]} if death.signal else {"status": death.status}
        return made_here(
            "exit",
            EXIT_PRIORITY,
            round(death.time_s, 3),
            key=f"exit:{self._desk.boot}:{death.pid}:{death.time_s:.0f}",
            pid=death.pid,
            **{name: value for name, value in known.items() if value},
            **how,
            by=judged.by,
            certainty=judged.certainty,
            why=judged.why,
        )

    def _lost(self) -> None:
        self._desk.meters.add("dropped", DROPPED)

    def _silent(self) -> None:
        self._complain(
            "the kernel does not answer",
            "run it in the machine's first user and pid namespaces, not in a container",
        )

    def _complain(self, why: str, remedy: str) -> None:
        self._desk.missing(
            f"process events, asked for by watch.process_events ({why})",
            "who sent a SIGKILL is told for the kernel's kills and our own only",
            remedy,
        )


def _named(death: Death, acts: list[Act]) -> Death:
    """With the name that a trace has for it, where it had gone before it could be read."""
    if death.comm:
        return death
    names = (act.comm for act in acts if death.pid in act.pids and act.comm)
    return death._replace(comm=next(names, ""))
