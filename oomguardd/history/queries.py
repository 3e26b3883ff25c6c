"""The questions that the history answers about incidents, in SQL.

Rule of this file: nothing is opened or changed here; a row that makes no sense is left out.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from oomguardd.history.identity import storable
from oomguardd.history.incident import Incident, Reading, Record
from oomguardd.history.prune import AROUND_S
from oomguardd.history.readings import in_order, unpack

LAST = "last"
"""A name for the newest incident."""

_MOST_NAMED = 5
"""Incidents that are named when a prefix fits several."""


class Kill(NamedTuple):
    """One incident in a list."""

    id: str
    record: Record
    outcome: Record | None
    """None: not known (yet), or not ours."""
    escalated: bool


def record_of(text: str) -> Record | None:
    """The record; None of what is no JSON object."""
    with contextlib.suppress(ValueError, RecursionError):
        record = json.loads(text)
        if isinstance(record, dict):
            return record
    return None


def kill_of(db: sqlite3.Connection, name: str, record: Record) -> Kill:
    """With what was told of it later."""
    statement = (
        "SELECT kind, record FROM events WHERE kill_id = ? AND run = ? AND kind IN ('outcome', 'escalated')"
    )
    kill_id, run = record.get("kill_id"), record.get("run")
    if not isinstance(kill_id, int) or not isinstance(run, str) or abs(kill_id) >= 1 << 62:
        return Kill(name, record, None, False)
    later = {kind: record_of(text) for kind, text in db.execute(statement, (kill_id, storable(run)))}
    return Kill(name, record, later.get("outcome"), "escalated" in later)


def find_incident(db: sqlite3.Connection, name: str) -> Incident | str:
    """That incident, or why there is none."""
    names = _names(db, name)
    if len(names) != 1:
        return _which(name, names)
    (time_s, text, setup) = db.execute(
        "SELECT time_s, record, setup FROM events WHERE incident = ?", (names[0],)
    ).fetchone()
    kill = record_of(text)
    if kill is None:
        return f"incident {names[0]} is damaged"
    span = (time_s - AROUND_S, time_s + AROUND_S)
    around = "SELECT record FROM events WHERE time_s BETWEEN ? AND ? ORDER BY time_s, id"
    events = [record for (text,) in db.execute(around, span) if (record := record_of(text)) is not None]
    own = kill_of(db, names[0], kill)
    if own.outcome is not None and own.outcome not in events:
        events.append(own.outcome)  # of one that took its time to die
    triggers = db.execute("SELECT triggers FROM setups WHERE id = ?", (setup,)).fetchone()
    return Incident(
        names[0],
        time_s,
        kill,
        tuple(events),
        _readings(db, span),
        _triggers(triggers[0] if triggers else "[]"),
    )


def _names(db: sqlite3.Connection, name: str) -> list[str]:
    """The incidents that are meant."""
    if name == LAST:
        newest = (
            "SELECT incident FROM events WHERE incident IS NOT NULL ORDER BY time_s DESC, id DESC LIMIT 1"
        )
        return [found for (found,) in db.execute(newest)]
    every = "SELECT incident FROM events WHERE incident IS NOT NULL"
    if db.execute(f"{every} AND incident = ?", (name,)).fetchone() is not None:
        return [name]
    names = sorted(found for (found,) in db.execute(every))
    return [
        each for each in names if name and (each.startswith(name) or each.split("-")[-1].startswith(name))
    ]


def _which(name: str, names: Sequence[str]) -> str:
    if name == LAST:
        return "the history has no kills yet"
    if not names:
        return f"no incident {ascii(name[:40])[1:-1]} is in the history; `oomguardctl history` lists them"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{ascii(name[:40])[1:-1]} may be {', '.join(names[:_MOST_NAMED])}{more}; write more of it"


def _readings(db: sqlite3.Connection, span: tuple[float, float]) -> tuple[Reading, ...]:
    blocks = db.execute("SELECT block FROM readings WHERE last_s >= ? AND first_s <= ?", span)
    return in_order(
        each for (block,) in blocks for each in unpack(block) if span[0] <= each.time_s <= span[1]
    )


def _triggers(text: str) -> tuple[Record, ...]:
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(text)
        if isinstance(found, list):
            return tuple(each for each in found if isinstance(each, dict))
    return ()
