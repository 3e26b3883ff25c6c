"""What we kill ourselves, from the guard's records: so that it is not taken for somebody else's work."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oomguardd.engine.blame import OURS, SIGKILL, SIGNAL_NAMES, SIGTERM, Act, within
from oomguardd.engine.words import Fields, as_number, duration
from oomguardd.runtimes import owner_of

MOST_KILLS = 200
DYING_S = 60.0
"""A kill without an outcome counts as under way for so long."""
MARK_S = 20.0
"""Marks on a cgroup are made with the kill; they are seen within that time."""

_NUMBERS = {name: number for number, name in SIGNAL_NAMES.items()}


@dataclass(slots=True)
class OwnKill:
    """One kill of the guard's; times are wall clock."""

    run: str
    kill_id: int
    time_s: float
    signal: int
    comm: str
    pid: int
    pids: frozenset[int]
    cgroup: str
    """The victim's."""
    party_cgroup: str
    """That whose processes all die; empty if it is not one's."""
    killed_s: float | None = None
    """When SIGKILL followed SIGTERM."""
    over: bool = False
    """Its outcome is known."""

    @property
    def words(self) -> str:
        return f"oomguardd (kill {self.kill_id})"


class Ours:
    """The last kills. Dry runs are none."""

    def __init__(self) -> None:
        self._kills: deque[OwnKill] = deque(maxlen=MOST_KILLS)

    def take(self, record: Mapping[str, object]) -> None:
        """Any record."""
        kind = record.get("kind")
        if kind == "kill" and record.get("dry_run") is not True:
            kill = own_kill(Fields(record))
            if kill is not None:
                self._kills.append(kill)
        elif kind in ("escalated", "outcome"):
            fields = Fields(record)
            for kill in self._kills:
                if (kill.run, kill.kill_id) == (fields.text("run", ""), fields.number("kill_id")):
                    self._follow(kill, str(kind), fields.number("time_s"))

    def _follow(self, kill: OwnKill, kind: str, time_s: float | None) -> None:
        if kind == "outcome":
            kill.over = True
        elif kill.killed_s is None:
            kill.killed_s = time_s

    def acts(self) -> list[Act]:
        """As `blame` wants it."""
        found: list[Act] = []
        for kill in self._kills:
            found.append(Act(OURS, kill.time_s, kill.words, kill.signal, kill.pids, kill.party_cgroup))
            if kill.killed_s is not None:
                found.append(Act(OURS, kill.killed_s, kill.words, SIGKILL, kill.pids, kill.party_cgroup))
        return found

    def meant(self, cgroup: str, unit: str, time_s: float) -> bool:
        """Whether a mark on this cgroup, or a word about this unit, is of a kill of ours."""
        near = (kill for kill in self._kills if abs(time_s - kill.time_s) <= MARK_S)
        return any(within(kill.cgroup, cgroup) if cgroup else unit in _units_of(kill.cgroup) for kill in near)

    def about(self, pids: Sequence[int], time_s: float) -> tuple[OwnKill | None, str]:
        """Our part in the kernel's kill of these: our kill of one of them, and a sentence; or, without one,
        that another victim of ours was dying. Empty if there is none."""
        for kill in reversed(self._kills):
            if kill.pids & set(pids) and 0 <= time_s - kill.time_s + 1 <= 2 * DYING_S:
                lag = duration(max(0.0, time_s - kill.time_s))
                name = SIGNAL_NAMES[kill.signal]
                return kill, f"oomguardd had sent it {name} {lag} before (kill {kill.kill_id})"
        for kill in reversed(self._kills):
            if not kill.over and 0 <= time_s - kill.time_s <= DYING_S:
                whom = f"{kill.comm}[{kill.pid}]"
                return None, f"oomguardd's own victim {whom} had not died yet (kill {kill.kill_id})"
        return None, ""


def own_kill(record: Fields) -> OwnKill | None:
    """None if the record does not name a victim."""
    victim, party = record.fields("victim"), record.fields("party")
    pid = victim.number("pid")
    if pid is None:
        return None
    rows = (item for item in party.each("members") if isinstance(item, (list, tuple)) and item)
    members = (as_number(item[0]) for item in rows)
    return OwnKill(
        run=record.text("run", ""),
        kill_id=int(record.number("kill_id") or 0),
        time_s=record.number("time_s") or 0.0,
        signal=_NUMBERS.get(record.text("signal", ""), SIGTERM),
        comm=victim.text("comm"),
        pid=int(pid),
        pids=frozenset({int(pid), *(int(each) for each in members if each is not None)}),
        cgroup=str(victim.raw.get("cgroup") or ""),
        party_cgroup=str(party.raw.get("cgroup") or ""),
    )


def _units_of(cgroup: str) -> tuple[str, ...]:
    owner = owner_of(cgroup)
    return tuple(unit for unit in (owner.unit, owner.user_unit) if unit)
