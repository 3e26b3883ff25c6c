"""An incident in one row: who was killed by whom, why, and what came of it.

Rule of this file: pure. Names are as the record has them, for JSON; whoever prints one makes it safe.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.ctl.terms import owner_fields, owner_words
from oomguardd.engine.words import Fields, as_number, counted, duration, safe
from oomguardd.history.identity import time_of
from oomguardd.history.incident import Record
from oomguardd.history.queries import Kill
from oomguardd.model import Owner
from oomguardd.runtimes import owner_of

_SHORT_ID = 6
"""Digits from which the beginning of a container's id is taken for it."""


class Row(NamedTuple):
    """One kill, whoever made it."""

    id: str
    """Empty for a process's end that is no incident of its own."""
    time_s: float
    kind: str
    by: str
    dry_run: bool
    pid: int | None
    pids: frozenset[int]
    """The victim's and, as far as they are named, of those who died with it."""
    comm: str
    processes: int
    """So many died together."""
    cgroup: str
    owner: Owner
    owner_said: str
    """What the record says itself, as the cgroup may be unknown."""
    held_bytes: float | None
    freed_bytes: float | None
    """How much more memory was available after it; None if that is not known."""
    why: str
    outcome: str
    after_s: float | None

    @property
    def runs_it(self) -> str:
        """The unit, container, pod or job, in words; empty if unknown."""
        return owner_words(self.owner) or self.owner_said or self.cgroup

    def fields(self) -> dict[str, object]:
        """For programs: what is known."""
        known = self._asdict() | {"pids": sorted(self.pids), "owner": owner_fields(self.owner)}
        del known["owner_said"]
        return known | {"runs_it": self.runs_it}


def row_of(kill: Kill) -> Row:
    """The row of an incident."""
    record = Fields(kill.record)
    victim = record.fields("victim") if record.raw.get("kind") == "kill" else record
    party, outcome = record.fields("party"), Fields(kill.outcome or {})
    pid = _pid(victim.raw.get("pid"))
    cgroup = _text(victim, "cgroup")
    members = (_pid(item[0]) for item in party.each("members") if isinstance(item, (list, tuple)) and item)
    held = party.number("held_bytes") if (party.number("count") or 1) > 1 else victim.number("held_bytes")
    return Row(
        kill.id,
        time_of(kill.record),
        _text(record, "kind"),
        _by(record),
        record.flag("dry_run"),
        pid,
        frozenset(each for each in (pid, *members) if each is not None),
        _text(victim, "comm", "?"),
        max(1, int(party.number("count") or record.number("count") or 1)),
        cgroup,
        owner_of(cgroup),
        _text(record, "owner"),
        held,
        _freed(outcome),
        _why(record),
        _outcome(record, outcome, kill.escalated),
        outcome.number("after_s"),
    )


def row_of_exit(record: Record) -> Row | None:
    """Of a record `exit`, for those that are no incident; None for one that somebody else's record tells."""
    if record.get("by") in ("oomguardd", "kernel"):
        return None
    return row_of(Kill("", record, None, False))


def victim_words(row: Row) -> str:
    """`python3[4711]`, and how many went with it."""
    name = f"{safe(row.comm)}[{'?' if row.pid is None else row.pid}]"
    return name + (f" and {counted(row.processes - 1, 'other')}" if row.processes > 1 else "")


def concerns(row: Row, unit: str) -> bool:
    """Whether that is the row's unit (with or without its ending), container, pod or job, or any part of the
    path of its cgroup."""
    owner = row.owner
    names = {owner.unit, owner.user_unit, owner.app, owner.pod, owner.job, owner.container, row.owner_said}
    names |= {name.rpartition(".")[0] for name in (owner.unit, owner.user_unit)} | {*row.cgroup.split("/")}
    return unit in names - {""} or (len(unit) >= _SHORT_ID and owner.container.startswith(unit))


def _text(fields: Fields, key: str, default: str = "") -> str:
    value = fields.raw.get(key)
    return value if isinstance(value, str) and value else default


def _pid(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _by(record: Fields) -> str:
    kind = record.raw.get("kind")
    return {"kill": "oomguardd", "kernel_kill": "kernel"}.get(str(kind)) or _text(record, "by", "unknown")


def _freed(outcome: Fields) -> float | None:
    before, after = outcome.number("available_before_bytes"), outcome.number("available_after_bytes")
    return None if before is None or after is None else after - before


def _why(record: Fields) -> str:
    if record.raw.get("kind") == "kill":
        return ", ".join(map(str, record.each("triggers"))) or _text(record, "level")
    if limit := _text(record, "limit_cgroup"):
        return f"limit of {limit}"
    if (reason := _CONSTRAINTS.get(_text(record, "constraint"))) is not None:
        return reason
    why = record.raw.get("why")
    return str(why[0]) if isinstance(why, list) and why else _text(record, "why")


_CONSTRAINTS = {
    "none": "the machine had no memory left",
    "cpuset": "no memory left on the nodes of its cpuset",
    "memory_policy": "no memory left on the nodes of its memory policy",
    "memcg": "limit of its cgroup",
}
"""See enum oom_constraint in include/linux/oom.h."""


def _outcome(record: Fields, outcome: Fields, escalated: bool) -> str:
    if record.flag("dry_run"):
        return "dry run"
    if record.raw.get("kind") != "kill":
        return "killed"
    said = _text(outcome, "outcome", "not known")
    after_s = as_number(outcome.raw.get("after_s"))
    after = f" {duration(after_s)}" if after_s is not None and said.startswith("died") else ""
    return f"{said}{after}" + (" (SIGKILL)" if escalated else "")
