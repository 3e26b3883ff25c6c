"""[[protect]] at run time: gives matching processes the oom_score_adj that the file says, so that the
kernel's killer spares them too, and takes it back when the rule goes.

Rule of this file: only ever lowers what is higher than the file says, touches nobody twice whom somebody else
has changed since, and works in slices while all is calm.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from oomguardd.census.dossier import Dossier
from oomguardd.guard.outbox import Outbox
from oomguardd.kernel.clock import boottime_s
from oomguardd.kernel.files import SensorError, open_dir, read_small
from oomguardd.kernel.process import inspect, parent, pids, read_last_pid, start_ticks
from oomguardd.model import Candidate
from oomguardd.policies.rules import ProtectBook
from oomguardd.rules import Protect

EVERY_S = 0.5
SLICE = 100
"""So many processes are looked at each time; about 100 µs each."""
SWEEP_S = 60.0
"""Everybody is looked at again after so long: a process may become another by exec at any time."""
AGAIN_S = 3.0
"""And a newborn once more after so long: it is a copy of its parent before it executes something."""
BACKLOG_MAX = 4096
KEPT_MAX = 8192
ANCESTORS = 8
"""So far up it is looked for whom a process may have inherited its value from."""
NAMED = 10

Identity = tuple[int, int]


@dataclass(slots=True)
class Held:
    """One process that has a value of ours."""

    comm: str
    protect: str
    original: int
    value: int
    ours: bool = True
    """False: somebody else has changed it since; it is theirs."""


@dataclass(slots=True)
class Changes:
    """What one slice did, told in one record for each protect."""

    done: dict[tuple[str, str], list[list[object]]] = field(default_factory=dict)
    refused: str = ""

    def add(self, what: str, protect: str, c: Candidate, was: int, now: int) -> None:
        self.done.setdefault((what, protect), []).append([c.pid, c.comm, was, now])


class Shield:
    """Holds what was changed, in memory and in a file that outlives a crash."""

    def __init__(
        self, proc_fd: int, dossier: Dossier, outbox: Outbox, path: str, dry_run: bool = False
    ) -> None:
        self._proc_fd = proc_fd
        self._dossier = dossier
        self._outbox = outbox
        self._path = path
        self.dry_run = dry_run
        self._book = ProtectBook(())
        self._held: dict[Identity, Held] = _read(path)
        self._sweep: Iterator[int] | None = None
        self._sweep_due_s = 0.0
        self._last_pid = -1
        self._newborn: deque[tuple[float, int]] = deque(maxlen=BACKLOG_MAX)
        self._told_refusal = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to protect and nothing to take back."""
        return not self._book.protects and not self._held

    def retune(self, protects: tuple[Protect, ...]) -> None:
        """Other rules from now on; everybody is looked at again."""
        self._book = ProtectBook(protects)
        self._sweep_due_s = 0.0

    def step(self, now_s: float) -> None:
        """A slice of the work. OSError if /proc cannot be listed."""
        if self.idle:
            return
        self._dossier.begin()
        changes, before = Changes(), len(self._held)
        for pid in self._next(now_s):
            self._look_at(pid, changes)
        if changes.done or len(self._held) != before:
            _write(self._path, self._held)
        self._tell(changes)

    def close(self) -> None:
        """Gives everybody back what they had: the rules are not in force any more."""
        changes = Changes()
        for identity, held in tuple(self._held.items()):
            c = inspect(self._proc_fd, identity[0], boottime_s())
            if c is not None and c.identity == identity:
                self._give_back(c, held, changes)
        self._held.clear()
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self._tell(changes)

    def _next(self, now_s: float) -> Iterator[int]:
        """Those born since, those born a moment ago once more, and some of everybody."""
        self._note_newborn(now_s)
        left = SLICE
        while self._newborn and self._newborn[0][0] <= now_s and left:
            left -= 1
            yield self._newborn.popleft()[1]
        if self._sweep is None and now_s >= self._sweep_due_s:
            self._sweep, self._sweep_due_s = pids(self._proc_fd), now_s + SWEEP_S
        while self._sweep is not None and left:
            pid = next(self._sweep, None)
            if pid is None:
                self._sweep = None
                self._forget_the_dead()
            else:
                left -= 1
                yield pid

    def _note_newborn(self, now_s: float) -> None:
        try:
            last = read_last_pid(self._proc_fd)
        except (OSError, SensorError):
            return
        if self._last_pid >= 0:
            born = range(self._last_pid + 1, last + 1) if last >= self._last_pid else range(300, last + 1)
            later = [(now_s + AGAIN_S, pid) for pid in born[-BACKLOG_MAX // 2 :]]
            self._newborn.extendleft((now_s, pid) for _, pid in reversed(later))
            self._newborn.extend(later)
        self._last_pid = last

    def _look_at(self, pid: int, changes: Changes) -> None:
        c = inspect(self._proc_fd, pid, boottime_s())
        if c is None or c.kernel_thread or pid == 1:
            return
        c = self._dossier.complete(c, self._book.needs)
        protect, held = self._book.protect_of(c), self._held.get(c.identity)
        if held is not None and held.ours and c.oom_score_adj != held.value:
            held.ours = False  # somebody else knows better
        if protect is not None:
            self._protect(c, protect, held, changes)
        elif held is not None:
            self._give_back(c, held, changes)
            del self._held[c.identity]
        else:
            self._disinherit(c, changes)

    def _protect(self, c: Candidate, protect: Protect, held: Held | None, changes: Changes) -> None:
        original = c.oom_score_adj if held is None else held.original
        wanted = min(original, protect.oom_score_adj)
        if held is not None and (not held.ours or held.value == wanted):
            held.protect = protect.name
            return
        if held is None and (wanted == c.oom_score_adj or len(self._held) >= KEPT_MAX):
            return
        if self._set(c, wanted, changes):
            changes.add("protected", protect.name, c, c.oom_score_adj, wanted)
            self._held[c.identity] = Held(c.comm, protect.name, original, wanted)

    def _give_back(self, c: Candidate, held: Held, changes: Changes) -> None:
        if held.ours and c.oom_score_adj == held.value and self._set(c, held.original, changes):
            changes.add("restored", held.protect, c, held.value, held.original)

    def _disinherit(self, c: Candidate, changes: Changes) -> None:
        """A child has its parent's value, but the file does not say that it may keep it."""
        above: int | None = c.ppid
        for _ in range(ANCESTORS):
            if not above or above == 1:
                return
            held = self._held.get((above, start_ticks(self._proc_fd, above) or 0))
            if held is not None:
                if held.ours and held.value == c.oom_score_adj and self._set(c, held.original, changes):
                    changes.add("not inherited", held.protect, c, held.value, held.original)
                return
            found = parent(self._proc_fd, above)
            above = None if found is None else found[0]

    def _set(self, c: Candidate, value: int, changes: Changes) -> bool:
        """Whether it has that value now (or would have, in a dry run)."""
        if self.dry_run:
            return True
        try:
            home = open_dir(str(c.pid), self._proc_fd)
        except OSError:
            return False
        try:
            # Opened before the comparison: this directory stays that of the process which was looked at.
            fd = os.open("oom_score_adj", os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, dir_fd=home)
            try:
                if start_ticks(self._proc_fd, c.pid) != c.start_ticks:
                    return False
                os.write(fd, str(value).encode())
            finally:
                os.close(fd)
        except OSError as error:
            changes.refused = error.strerror or str(error)
            return False
        finally:
            os.close(home)
        return True

    def _forget_the_dead(self) -> None:
        for identity in tuple(self._held):
            if start_ticks(self._proc_fd, identity[0]) != identity[1]:
                del self._held[identity]

    def _tell(self, changes: Changes) -> None:
        for (what, protect), each in changes.done.items():
            self._outbox.put(
                "adjusted",
                6,
                what=what,
                protect=protect,
                dry_run=self.dry_run,
                count=len(each),
                processes=each[:NAMED],
            )
        if changes.refused and not self._told_refusal:
            self._told_refusal = True
            self._outbox.put(
                "missing",
                4,
                what=f"oom_score_adj of others ({changes.refused})",
                cost="[[protect]] does not reach the kernel's own OOM killer",
                remedy="CAP_SYS_RESOURCE",
            )


def _read(path: str) -> dict[Identity, Held]:
    """What an earlier guard has left; nothing where that cannot be read."""
    try:
        fd = open_dir(os.path.dirname(path) or ".")
        try:
            rows = json.loads(read_small(fd, os.path.basename(path), 1 << 16))
        finally:
            os.close(fd)
        return {
            (int(pid), int(ticks)): Held(str(comm), str(protect), int(original), int(value))
            for pid, ticks, comm, protect, original, value in rows
        }
    except (OSError, ValueError, TypeError):
        return {}


def _write(path: str, held: dict[Identity, Held]) -> None:
    """Atomically; without it only a crash would leave values behind."""
    rows = [[*identity, h.comm, h.protect, h.original, h.value] for identity, h in held.items() if h.ours]
    with contextlib.suppress(OSError):
        fd = os.open(
            f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            os.write(fd, json.dumps(rows).encode())
        finally:
            os.close(fd)
        os.rename(f"{path}.new", path)
