"""Counters and reports of the kernel's kills, brought together, so that each kill is told once. Pure.

The counters are sure to move and name nobody, or nothing but a cgroup; the log names everybody, but may come
later, have been overwritten, or not be readable for us. Times are monotonic and arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from oomguardd.engine.blame import within

PATIENCE_S = 2.0
"""For so long a counter that has moved waits for the kernel's report."""
CREDIT_S = 3.0
"""For so long a report explains a counter that moves after it; counters are read once a second."""
NEAR_S = 2.5
"""Movements of two counters within that time may be the same kill."""
SAME_PID_S = 10.0
"""A pid is not used again as soon as that: a second line about it is about the same kill."""
_MOST = 500
"""Of everything that is remembered here."""


class Movement(NamedTuple):
    """A counter of kills has grown."""

    source: str
    """As in a record: vmstat, memory.events or oom_control."""
    at_s: float
    kills: int
    total: int
    """What the counter shows now."""
    cgroup: str = ""
    """Whose it is: the victim's own. Empty for the machine's."""
    limit_cgroup: str = ""
    """Whose limit was reached, if the counters tell."""


@dataclass(slots=True)
class _Credit:
    """Of a report: so many kills explain a counter that moves later, and those in these cgroups theirs."""

    at_s: float
    kills: int
    placed: int
    cgroups: frozenset[str]


@dataclass(slots=True)
class _Pending:
    movement: Movement
    left: int


class Docket:
    """`machine_counts`: there is a counter for the whole machine; those of cgroups then only tell where."""

    def __init__(self, machine_counts: bool) -> None:
        self.machine_counts = machine_counts
        self._pending: deque[_Pending] = deque(maxlen=_MOST)
        self._credits: deque[_Credit] = deque(maxlen=_MOST)
        self._places: deque[Movement] = deque(maxlen=_MOST)
        self._told: deque[tuple[float, int]] = deque(maxlen=_MOST)

    def report(self, pids: Iterable[int], counted: int, cgroups: Iterable[str], now_s: float) -> bool:
        """The kernel's log has named these. Whether that is new; a kill that is logged twice is not.

        `counted`: by how much the kernel's counters grow for it. `cgroups`: the victim's and the limit's, as
        far as the log knows them.
        """
        known = frozenset(cgroups)
        placed = self._settle_places(counted, known)
        self._credits.append(_Credit(now_s, self._settle(counted), placed, known))
        recent = {pid for at_s, pid in self._told if now_s - at_s <= SAME_PID_S}
        fresh = [pid for pid in pids if pid not in recent]
        self._told.extend((now_s, pid) for pid in fresh)
        return bool(fresh)

    def moved(self, movement: Movement) -> None:
        """A counter has grown."""
        left = movement.kills
        fresh = [each for each in self._credits if movement.at_s - each.at_s <= CREDIT_S]
        if movement.cgroup and self.machine_counts:
            for credit in fresh:
                if _in_any(movement.cgroup, credit.cgroups):
                    used = min(left, credit.placed)
                    credit.placed -= used
                    left -= used
            if left > 0:
                self._places.append(movement._replace(kills=left))
            return
        for credit in fresh:
            used = min(left, credit.kills)
            credit.kills -= used
            left -= used
        if left > 0:
            self._pending.append(_Pending(movement, left))

    def place(self, kills: int, now_s: float) -> Movement | None:
        """Where a kill was that the log names without its cgroup (it prints no more than ten whole reports in
        five seconds): the one cgroup whose counter moved and that no report explains. None if it is not
        clear."""
        near = [each for each in self._places if now_s - each.at_s <= NEAR_S]
        if not near or any(each.cgroup != near[0].cgroup for each in near):
            return None
        self._settle_places(kills, frozenset({near[0].cgroup}))
        return near[0]

    def due(self, now_s: float) -> list[Movement]:
        """Kills that no report will explain any more, each with what the counters know; told once."""
        found: list[Movement] = []
        while self._pending and now_s - self._pending[0].movement.at_s >= PATIENCE_S:
            entry = self._pending.popleft()
            if entry.left > 0:
                found += self._placed(entry)
        while self._places and now_s - self._places[0].at_s > PATIENCE_S + NEAR_S:
            self._places.popleft()
        return found

    def _settle(self, counted: int) -> int:
        """Movements that a report explains; how many of its kills are left over."""
        for entry in self._pending:
            used = min(counted, entry.left)
            entry.left -= used
            counted -= used
        return counted

    def _settle_places(self, counted: int, cgroups: frozenset[str]) -> int:
        """The same for the counters of these cgroups."""
        kept: list[Movement] = []
        for place in self._places:
            used = min(counted, place.kills) if _in_any(place.cgroup, cgroups) else 0
            counted -= used
            if place.kills > used:
                kept.append(place._replace(kills=place.kills - used))
        self._places = deque(kept, maxlen=_MOST)
        return counted

    def _placed(self, entry: _Pending) -> list[Movement]:
        """The machine's kills, by the cgroups whose counters moved at that time."""
        found: list[Movement] = []
        movement, left = entry.movement, entry.left
        for place in list(self._places):
            if left > 0 and abs(place.at_s - movement.at_s) <= NEAR_S:
                kills = min(left, place.kills)
                found.append(place._replace(kills=kills))
                left -= kills
                self._places.remove(place)
        return [*found, movement._replace(kills=left)] if left > 0 else found


def _in_any(cgroup: str, roots: frozenset[str]) -> bool:
    return cgroup in roots or any(within(cgroup, root) for root in roots)


class Valve:
    """Lets so many records through within a time; what the others would tell is counted, and told in one."""

    def __init__(self, most: int, within_s: float) -> None:
        self._most = most
        self._within_s = within_s
        self._passed: deque[float] = deque()
        self.held = 0
        """Kills that were not let through so far."""

    def open(self, now_s: float, kills: int = 1) -> bool:
        """Whether one more record, of so many kills, may pass now."""
        while self._passed and now_s - self._passed[0] >= self._within_s:
            self._passed.popleft()
        if len(self._passed) >= self._most:
            self.held += kills
            return False
        self._passed.append(now_s)
        return True

    def rest(self, now_s: float) -> int:
        """How many were held back since it was last asked, once there is room again; 0 until then."""
        if not self.held or (self._passed and now_s - self._passed[0] < self._within_s):
            return 0
        held, self.held = self.held, 0
        return held
