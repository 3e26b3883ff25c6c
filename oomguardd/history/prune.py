"""What goes when the history is too large or too old: the oldest, a little at a time.

Rule of this file: every step is a short transaction of its own, so that no crash loses more than is meant to
go, and the journal beside the file stays small.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from oomguardd.history.database import PAGE_BYTES

EVENTS_A_STEP = 32
BLOCKS_A_STEP = 32

AROUND_S = 60.0
"""Readings are kept so long before and after the events that they belong to."""

_SPARE_PAGES = 16
"""For indexes, and pages that are only partly filled."""
_LOOSE_PAGES = 256
"""Free pages that are left in the file: it would only grow again."""
_SHRINK_PAGES = 512
"""As many are cut off in one go."""


class Bounds(NamedTuple):
    """How much is kept."""

    max_size_bytes: int
    """The file with its free pages; beside it, for moments, a journal of as much as one write changes."""
    max_age_s: float

    @property
    def pages(self) -> int:
        return self.max_size_bytes // PAGE_BYTES


def make_room(db: sqlite3.Connection, bounds: Bounds, need_bytes: int, now_s: float) -> None:
    """Lets the oldest go until `need_bytes` more fit, and some of what is older than it may be.
    sqlite3.Error."""
    need = 2 * need_bytes // PAGE_BYTES + _SPARE_PAGES  # a page is half full at worst, after it was split
    while _used(db) + need > bounds.pages and _drop_oldest(db):
        pass
    # One step a write is enough, and a clock that is years ahead for a moment does not empty the history.
    _drop_older(db, now_s - bounds.max_age_s)
    _shrink(db, bounds.pages)
    # SQLite's own bound, for what the reckoning above does not foresee; it ends in "disk is full".
    db.execute(f"PRAGMA max_page_count = {bounds.pages}").fetchone()


def _used(db: sqlite3.Connection) -> int:
    return _pragma(db, "page_count") - _pragma(db, "freelist_count")


def _shrink(db: sqlite3.Connection, most: int) -> None:
    """Cuts off free pages where there are many, or the file is larger than it may be."""
    while free := _pragma(db, "freelist_count"):
        pages = _pragma(db, "page_count")
        if pages <= most and free <= max(_LOOSE_PAGES, pages // 4):
            return
        db.execute(f"PRAGMA incremental_vacuum({_SHRINK_PAGES})").fetchall()


def _pragma(db: sqlite3.Connection, name: str) -> int:
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return int(value)


_CURRENT = "(SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = '{}'), -1))"
_STARTED = _CURRENT.format("started")
"""The start of the guard's present run, which tells what is in force: it stays."""


def _drop_oldest(db: sqlite3.Connection) -> bool:
    """One step; False when there is nothing left."""
    oldest = f"SELECT id FROM events WHERE id <> {_STARTED} ORDER BY id LIMIT {EVENTS_A_STEP}"
    return _step(db, f"DELETE FROM events WHERE id IN ({oldest})", ())


def _drop_older(db: sqlite3.Connection, horizon_s: float) -> bool:
    """One step; False when nothing is older than that."""
    older = (
        f"SELECT id FROM events WHERE time_s < ? AND id <> {_STARTED} ORDER BY time_s LIMIT {EVENTS_A_STEP}"
    )
    if db.execute(f"SELECT 1 FROM ({older})", (horizon_s,)).fetchone() is None:
        return False
    return _step(db, f"DELETE FROM events WHERE id IN ({older})", (horizon_s,))


def _step(db: sqlite3.Connection, statement: str, values: tuple[float, ...]) -> bool:
    """Some events, and what nobody needs without them."""
    db.execute("BEGIN IMMEDIATE")
    gone = db.execute(statement, values).rowcount
    gone += _drop_readings(db)
    used = "EXISTS (SELECT 1 FROM events WHERE setup = setups.id)"
    db.execute(f"DELETE FROM setups WHERE id <> {_CURRENT.format('setup')} AND NOT {used}")
    db.execute("COMMIT")
    return gone > 0


def _drop_readings(db: sqlite3.Connection) -> int:
    """Of before the first incident that is left; some of all if none is."""
    (first_s,) = db.execute("SELECT min(time_s) FROM events WHERE incident IS NOT NULL").fetchone()
    some = f"ORDER BY last_s LIMIT {BLOCKS_A_STEP}"
    if first_s is None:
        return db.execute(f"DELETE FROM readings WHERE id IN (SELECT id FROM readings {some})").rowcount
    before = f"SELECT id FROM readings WHERE last_s < ? {some}"
    return db.execute(f"DELETE FROM readings WHERE id IN ({before})", (first_s - AROUND_S,)).rowcount
