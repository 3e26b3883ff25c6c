"""The kernel's kills: its log for who and why, its counters for those that the log does not show."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from oomguardd.engine.blame import KERNEL, SIGKILL, Act, kernel_words
from oomguardd.kernel.clock import monotonic_s
from oomguardd.oomlog import Report
from oomguardd.reporter.watchers.counters import Cgroups, Machine
from oomguardd.reporter.watchers.desk import Desk
from oomguardd.reporter.watchers.docket import Docket, Movement, Valve
from oomguardd.reporter.watchers.kernel_log import JournalWatch, KmsgWatch, past_reports
from oomguardd.reporter.watchers.limits import LimitWatch
from oomguardd.reporter.watchers.records import (
    cgroup_of,
    constraint_of,
    limit_of,
    movement_record,
    report_record,
    surplus_record,
)
from oomguardd.reporter.watchers.tree import TreeWatch

MOST_TOLD, WITHIN_S = 30, 10.0
"""Kills that are told one by one; a cgroup full of small processes can lose hundreds a second."""
MOST_ACTS = 200


class KernelWatch:
    """`prepare` opens what needs root, `start` needs the loop. A part that does not work is told once, and
    the others go on."""

    def __init__(self, desk: Desk, marked: Callable[[str, int], None]) -> None:
        self._desk = desk
        self._marked = marked
        self._log: KmsgWatch | JournalWatch | None = None
        self._past: list[Report] = []
        self._machine: Machine | None = None
        self._cgroups: Cgroups | None = None
        self._tree: TreeWatch | None = None
        self._limits: LimitWatch | None = None
        self._docket = Docket(machine_counts=False)
        self._valve = Valve(MOST_TOLD, WITHIN_S)
        self._last_limit = ""
        self._reached: deque[tuple[float, str]] = deque(maxlen=MOST_ACTS)
        self._acts: deque[Act] = deque(maxlen=MOST_ACTS)

    def prepare(self) -> None:
        """Reads what has happened so far, which `start` tells if nobody was there to tell it."""
        desk, places = self._desk, self._desk.places
        self._past = past_reports(places.kmsg, MOST_TOLD)
        try:
            self._log = KmsgWatch(places.kmsg, self._heard, self._lost, desk.clock)
        except OSError:
            self._log = JournalWatch(self._heard, self._no_log, desk.clock, places.journalctl)
        self._machine = Machine(places.proc)
        self._docket = Docket(self._machine.there)
        unified = Cgroups(places.cgroup)
        if unified.version == 2:
            self._cgroups = unified
            self._watch_tree(places.cgroup)
        else:
            self._cgroups = Cgroups(f"{places.cgroup}/memory")
            self._watch_limits(f"{places.cgroup}/memory")
        if not self._machine.there and self._tree is None:
            desk.missing(
                "counters of OOM kills (/proc/vmstat oom_kill, Linux 4.13)",
                "a kill of the kernel's that its log does not show is not told",
                "a newer kernel",
            )

    def start(self, there_s: float | None = None) -> None:
        """In a running loop. `there_s`: until when a reporter was there (wall clock); what the kernel has
        killed since, perhaps that reporter, is told now. None: it is not known."""
        past, self._past = self._past, []
        if there_s is not None:
            self._tell_missed(past, there_s)
        for part in (self._log, self._tree, self._limits):
            if part is not None:
                part.start()

    def _tell_missed(self, past: Iterable[Report], there_s: float) -> None:
        desk, known = self._desk, {kill.get("key") for kill in self._desk.present.kills}
        # The log's clock stands still in suspend, as this one does.
        skew_s = desk.clock() - monotonic_s()
        for report in past:
            if report.uptime_s is None or report.uptime_s + skew_s <= there_s:
                continue
            time_s = round(report.uptime_s + skew_s, 3)
            record = report_record(report, "kmsg", desk.boot, time_s, ["nobody was there to tell it at once"])
            if record["key"] not in known:
                self._note(report, time_s)
                desk.publish(record)

    async def close(self) -> None:
        """May be called twice."""
        if self._log is not None:
            await self._log.close()
        for part in (self._tree, self._limits, self._machine):
            if part is not None:
                part.close()
        self._log = self._tree = self._limits = self._machine = self._cgroups = None

    @property
    def acts(self) -> list[Act]:
        """The last kills, as `blame` wants them."""
        return list(self._acts)

    def look(self, now_s: float) -> None:
        """Once a second: reads the counters, and tells what has waited long enough. `now_s` is the loop's."""
        self._count(now_s)
        time_s = self._desk.clock()
        for movement in self._docket.due(now_s):
            self._tell_movement(movement, now_s, time_s)
        if held := self._valve.rest(now_s):
            self._desk.publish(surplus_record(held, self._desk.boot, time_s, self._last_limit))

    def _watch_tree(self, root: str) -> None:
        try:
            self._tree = TreeWatch(root, self._moved, self._marked)
        except OSError as error:
            self._desk.missing(
                f"inotify for cgroups ({error.strerror})",
                "kills of systemd-oomd are told from the journal only",
                "raise the sysctl fs.inotify.max_user_instances",
            )

    def _watch_limits(self, root: str) -> None:
        try:
            self._limits = LimitWatch(root, self._limit_reached)
        except OSError as error:
            if isinstance(self._log, KmsgWatch):
                return  # the log tells whose limit it was
            self._desk.missing(
                f"notices of cgroup v1 ({error.strerror})",
                "it is not known whose memory limit was reached",
                "start the reporter as root; it gives that up after it has registered",
            )

    def _no_log(self, why: str) -> None:
        self._desk.missing(
            f"the kernel's log ({why})",
            "of the kernel's kills only the number and, at best, the cgroup is known, but neither victim"
            " nor reason",
            "AmbientCapabilities=CAP_SYSLOG (a container: --cap-add SYSLOG and --device /dev/kmsg), or the"
            " group systemd-journal",
        )

    def _lost(self) -> None:
        self._desk.meters.add("dropped", "kernel log")

    def _heard(self, report: Report, source: str, time_s: float) -> None:
        self._desk.attempt(self._take_report, report, source, time_s)

    def _take_report(self, report: Report, source: str, time_s: float) -> None:
        """A report of the kernel's log, complete."""
        if not report.victims:
            return  # nobody was killed, or the line that says who is missing
        now_s = asyncio.get_running_loop().time()
        memcg = report.memcg
        known = (memcg.victim, memcg.owner, memcg.group) if memcg else ()
        together = 1 if memcg and memcg.group else 0  # the one that was chosen counts twice then
        cgroups = [each for each in known if each]
        victims = [victim.pid for victim in report.victims]
        if not self._docket.report(victims, len(victims) + together, cgroups, now_s):
            return
        self._note(report, time_s)
        if not self._valve.open(now_s, len(victims)):
            return
        place = None
        if not cgroup_of(report) and report.cause in ("memcg", "unknown"):
            self._look_at_cgroups(now_s)
            place = self._docket.place(len(victims), now_s)
        own, ours_words = self._desk.ours.about(victims, time_s)
        extra = [each for each in (ours_words, self._desk.guard_words()) if each]
        record = dict(report_record(report, source, self._desk.boot, time_s, extra, place))
        if own is not None:
            record["own_kill_id"] = own.kill_id
        self._desk.publish(record)

    def _note(self, report: Report, time_s: float) -> None:
        """For those who ask later who it was."""
        victims = frozenset(victim.pid for victim in report.victims)
        self._last_limit = limit = limit_of(report)
        words = kernel_words(constraint_of(report), limit, len(victims))
        comm = report.victims[0].comm if len(victims) == 1 else ""
        self._acts.append(Act(KERNEL, time_s, words, SIGKILL, victims, comm=comm))

    def _count(self, now_s: float) -> None:
        if self._machine is not None and (kills := self._machine.grown()):
            self._docket.moved(Movement("vmstat", now_s, kills, self._machine.total))
            self._look_at_cgroups(now_s)

    def _moved(self) -> None:
        """Some counter of a cgroup of v2 has moved: seldom that of kills, mostly that of its limit."""
        now_s = asyncio.get_running_loop().time()
        if self._docket.machine_counts:
            self._count(now_s)
        else:
            self._look_at_cgroups(now_s)

    def _limit_reached(self, cgroup: str) -> None:
        """A limit of v1; whether it led to a kill is for the counters to say."""
        now_s = asyncio.get_running_loop().time()
        self._reached.append((now_s, cgroup))
        if not self._docket.machine_counts:
            self._look_at_cgroups(now_s)

    def _look_at_cgroups(self, now_s: float) -> None:
        if self._cgroups is None:
            return
        source = self._cgroups.source
        for each in self._cgroups.grown():
            limit = each.limit_cgroup or self._reached_above(each.cgroup, now_s)
            self._docket.moved(Movement(source, now_s, each.kills, each.total, each.cgroup, limit))

    def _reached_above(self, cgroup: str, now_s: float) -> str:
        """v1 tells all below a limit that it was reached, so the one nearest to the root is the limit's."""
        near = [path for at_s, path in self._reached if now_s - at_s < 2 * WITHIN_S]
        above = [path for path in near if cgroup == path or cgroup.startswith(path + "/")]
        return min(above, key=len, default="")

    def _tell_movement(self, movement: Movement, now_s: float, time_s: float) -> None:
        words = (
            "the kernel's log did not show it" if movement.cgroup else "the kernel's log did not name anybody"
        )
        why = [each for each in (words, self._desk.guard_words()) if each]
        record = movement_record(movement, self._desk.boot, time_s, why)
        if movement.cgroup:
            said = kernel_words(
                "memcg" if movement.limit_cgroup else "", movement.limit_cgroup, movement.kills
            )
            self._acts.append(Act(KERNEL, time_s, said, SIGKILL, cgroup=movement.cgroup))
        if self._valve.open(now_s, movement.kills):
            self._desk.publish(record)
