"""The unit of a victim is told: by a mark that systemd reads before the signal, by a line in its log after.

Without the mark systemd would report Result=signal, as if somebody had killed it by hand; without the line,
that systemd-oomd did it. Rule of this file: nothing here decides about the kill, waits, or raises. What fails
is counted, and told after the signal.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from oomguardd.engine.words import safe, size
from oomguardd.kernel import journald
from oomguardd.kernel.cgroup_mark import Before, eldest_child, mark, open_unified, runs_empty, unmark
from oomguardd.kernel.cgroup_tree import CgroupTree
from oomguardd.model import Candidate, Owner, Party

MESSAGE_ID = "4b550b2d62c340e6a07176580ce0d542"
"""Of that line. For ever the same: see packaging/oomguard.catalog."""
IDENTIFIER = "oomguard"
"""Not the reporter's, whose entry of the same kill says more: one log should not have two of each."""
PRIORITY = 3
"""err: something that the unit did was ended."""

_NOT_OURS = (
    "; systemd reports Result=signal then: run oomguardd as root, where /sys/fs/cgroup can be written to"
    " (no ProtectControlGroups= in its unit)"
)
_REMEDIES = {
    errno.EROFS: _NOT_OURS,
    errno.EACCES: _NOT_OURS,
    errno.EPERM: _NOT_OURS,
    errno.EOPNOTSUPP: "; cgroups have such attributes since Linux 5.7",
    errno.EAGAIN: ": journald's queue is full (systemctl status systemd-journald)",
}
"""What to do about it, as the rest of a sentence."""


class UnitMarks:
    """Tells systemd and the journal. Without a `tree` no unit is marked (systemd reads marks on cgroup v2
    only); without a socket nothing is written. `run` is that of the records."""

    def __init__(
        self,
        proc_fd: int,
        tree: CgroupTree | None,
        sock: socket.socket | None,
        run: str,
        journal: str = journald.SOCKET,
    ) -> None:
        self._proc_fd = proc_fd
        self._tree = tree
        self._sock = sock
        self._run = run
        self._journal = journal
        self._last: tuple[str, Before] | None = None
        self.failed = 0
        """Marks and lines that could not be put."""
        self._said: set[tuple[str, int | None]] = set()
        self._complaint: tuple[str, str] | None = None

    def before(self, victim: Candidate, party: Party) -> None:
        """Marks the victim's unit if it does not outlive this: if nobody is left in it, or its main process
        is among them. Any other unit goes on, and systemd would stop it for the mark (OOMPolicy=stop)."""
        self._last = None
        unit = victim.owner.place("unit")
        if self._tree is None or not unit:
            return
        pids = {member.pid for member in party.members}
        try:
            if self._ends(self._tree, unit, victim, party, pids):
                self._last = unit, mark(self._tree, unit, self._count(self._tree, unit, party, pids))
        except OSError as error:
            self._fail("mark on the victim's unit", error)

    def take_back(self) -> None:
        """The signal reached nobody: as before the last `before`."""
        last, self._last = self._last, None
        if self._tree is None or last is None:
            return
        try:
            unmark(self._tree, *last)
        except OSError as error:
            self._fail("mark on the victim's unit", error)

    def after(
        self, kill_id: int, victim: Candidate, party: Party, signal: str, triggers: Sequence[str]
    ) -> None:
        """One line for the victim's unit: who did it, why, and where the rest is told."""
        self._last = None
        if self._sock is None or not (victim.owner.unit or victim.owner.user_unit):
            return
        try:
            fields = _fields(self._run, kill_id, victim, party, signal, triggers)
            # By its path, which outlives any journald.
            self._sock.sendto(journald.encode(fields), self._journal)
        except OSError as error:
            self._fail("line for the journal of the victim's unit", error)

    def take_complaint(self) -> tuple[str, str] | None:
        """What could not be put, and why with the remedy; once for each cause. For after the signal."""
        complaint, self._complaint = self._complaint, None
        return complaint

    def _fail(self, what: str, error: OSError) -> None:
        self.failed += 1
        # ENOENT: the unit has ended meanwhile, or there is no journald.
        if error.errno != errno.ENOENT and (what, error.errno) not in self._said:
            self._said.add((what, error.errno))
            self._complaint = what, f"{error.strerror}{_REMEDIES.get(error.errno or 0, '')}"

    def close(self) -> None:
        """May be called twice."""
        if self._tree is not None:
            self._tree.close()
        if self._sock is not None:
            self._sock.close()

    def _ends(self, tree: CgroupTree, unit: str, victim: Candidate, party: Party, pids: set[int]) -> bool:
        if party.whole and party.cgroup and f"{unit}/".startswith(f"{party.cgroup}/"):
            return True
        if runs_empty(tree, unit, pids):
            return True
        # A scope has no main process.
        if not unit.endswith(".service"):
            return False
        managers = _managers(tree, unit, victim.owner)
        if len(pids) == 1 and victim.ppid not in managers:
            return False  # without a look at anybody else
        return eldest_child(tree, self._proc_fd, unit, managers) in pids

    def _count(self, tree: CgroupTree, unit: str, party: Party, pids: set[int]) -> int:
        """How many of them are in the unit: those who die together may be of several."""
        if party.whole or len(pids) == 1:
            return len(pids)
        return sum(pid in pids for pid in tree.procs(unit))


def open_marks(proc_fd: int, run: str) -> UnitMarks:
    """With what there is."""
    try:
        sock = journald.open_socket()
    except OSError:
        sock = None
    return UnitMarks(proc_fd, open_unified(), sock, run)


def _managers(tree: CgroupTree, unit: str, owner: Owner) -> tuple[int, ...]:
    """Who starts the unit's main process: init, or that user's manager."""
    if not owner.user_unit:
        return (1,)
    home = f"{unit.partition(f'/{owner.unit}/')[0]}/{owner.unit}"
    try:
        return tuple(tree.procs(f"{home}/init.scope"))
    except OSError:
        return ()


def _fields(
    run: str, kill_id: int, victim: Candidate, party: Party, signal: str, triggers: Sequence[str]
) -> list[journald.Field]:
    return [
        ("MESSAGE", _sentence(victim, party, signal, triggers)),
        ("MESSAGE_ID", MESSAGE_ID),
        ("PRIORITY", str(PRIORITY)),
        ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ("OBJECT_PID", str(victim.pid)),
        *_units(victim.owner),
        ("OOMGUARDD_KIND", "unit_told"),
        ("OOMGUARDD_RUN", run),
        ("OOMGUARDD_KILL_ID", str(kill_id)),
        ("OOMGUARDD_VICTIM_PID", str(victim.pid)),
        ("OOMGUARDD_VICTIM_COMM", safe(victim.comm)),
    ]


def _units(owner: Owner) -> list[journald.Field]:
    """What `journalctl -u` and `journalctl --user -u` look for in what root (or that user) has sent."""
    names = (("OBJECT_SYSTEMD_UNIT", owner.unit), ("OBJECT_SYSTEMD_USER_UNIT", owner.user_unit))
    return [(name, unit.encode(errors="surrogateescape")) for name, unit in names if unit]


def _sentence(victim: Candidate, party: Party, signal: str, triggers: Sequence[str]) -> str:
    others = len(party.members) - 1
    more = f" and {others} other{'s' if others > 1 else ''}" if others > 0 else ""
    held = size(party.held_bytes if others > 0 else victim.held_bytes)
    why = f" (trigger {', '.join(triggers)})" if triggers else ""
    return (
        f"oomguardd killed {safe(victim.comm)}[{victim.pid}]{more} with {signal}, holding {held}, because"
        f" memory ran out{why}; all about it: journalctl -t oomguardd"
    )
