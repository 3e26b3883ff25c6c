"""The history as the reporter writes it: each event once, all of a batch or none, within a size and an age.

Rule of this file: one thread at a time. Whatever goes wrong is a StoreError, after which the connection is
closed and the next call begins anew: a disk that has room again needs nobody's help.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from oomguardd.history import prune
from oomguardd.history.database import FILE, StoreError, is_damage, open_writer, set_aside, trouble
from oomguardd.history.identity import DIGEST_DIGITS, identity_of, incident_id, is_incident, storable, time_of
from oomguardd.history.incident import Record
from oomguardd.history.queries import record_of
from oomguardd.history.reader import Reader, read_store
from oomguardd.history.readings import Row, pack

__all__ = ["Reader", "Store", "StoreError", "open_store", "read_store"]

RECORD_BYTES = 100_000
"""A guard's record has 60,000 at most; a kernel's report with its tasks may have more."""

FIRST_OF_RUN = 200
LAST_OF_RUN = 500
"""What `recent` hands out of a run that has lasted for months: how it started, and what came last."""
AT_ONCE = 50

Result = TypeVar("Result")


def open_store(
    directory: str, max_size_bytes: int, max_age_s: float, clock: Callable[[], float] = time.time
) -> Store:
    """The history in that directory, ready to be written. StoreError with the remedy."""
    store = Store(directory, max_size_bytes, max_age_s, clock)
    store.seen()
    return store


class Store:
    """See the head of this file. It is opened by the first call: a Store may be made where `open_store` has
    just failed, to try again later."""

    def __init__(
        self, directory: str, max_size_bytes: int, max_age_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.directory = directory
        self.notes: list[str] = []
        """Sentences on what was found and put right, for whoever tells them; it may take them away."""
        self._bounds = prune.Bounds(max_size_bytes, max_age_s)
        self._clock = clock
        self._db: sqlite3.Connection | None = None

    def append(self, records: Sequence[Record], meta: Mapping[str, str] | None = None) -> list[Record]:
        """Those of the records that were not there yet, in their order. They and `meta` (key -> text) are on
        the disk when it returns; after a StoreError none of them is there."""
        rows = [(record, _encode(record)) for record in records if identity_of(record) is not None]
        need_bytes = sum(len(text) for _, text in rows) + sum(map(len, (meta or {}).values()))

        def work(db: sqlite3.Connection) -> list[Record]:
            new = [record for record, text in rows if _insert(db, record, text)]
            for key, value in {**(meta or {}), **_seen(records)}.items():
                _set_meta(db, key, value)
            return new

        return self._write(work, need_bytes) if rows or meta else []

    def unknown(self, records: Sequence[Record]) -> list[Record]:
        """What `append` would return. StoreError."""
        found = {identity: each for each in reversed(records) if (identity := identity_of(each)) is not None}

        def work(db: sqlite3.Connection) -> set[str]:
            known = "SELECT 1 FROM events WHERE identity = ?"
            return {each for each in found if db.execute(known, (each,)).fetchone() is None}

        absent = self._run(work)
        return [each for identity, each in reversed(found.items()) if identity in absent]

    def add_readings(self, rows: Sequence[Row]) -> None:
        """These readings, as they are asked for once each. StoreError."""
        if not rows:
            return
        block = pack(rows)
        times = [row.time_s for row in rows]
        statement = "INSERT INTO readings(first_s, last_s, block) VALUES (?, ?, ?)"
        self._write(lambda db: db.execute(statement, (min(times), max(times), block)), len(block))

    def meta(self, key: str) -> str | None:
        """The text that was last written under that key; None if there is none. StoreError."""
        return self._run(lambda db: _meta(db, key))

    def seen(self) -> tuple[str, int]:
        """The guard's run and the number of its last record that is here; at first ("", 0). StoreError."""
        try:
            run, seq = json.loads(self.meta("seen") or '["", 0]')
            return str(run), int(seq)
        except (ValueError, TypeError):
            return "", 0

    def last_incident_s(self) -> float | None:
        """When the newest incident was; None without any. StoreError."""
        newest = "SELECT time_s FROM events WHERE incident IS NOT NULL ORDER BY id DESC LIMIT 1"
        row = self._run(lambda db: db.execute(newest).fetchone())
        return None if row is None else float(row[0])

    def recent(self) -> Iterator[Record]:
        """The events since the guard's last start, in order: of very many, the first and the last.
        StoreError."""
        started = int(self.meta("started") or 0)
        ending = f"SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET {LAST_OF_RUN}"
        last = self._run(lambda db: db.execute(ending).fetchone())
        yield from self._events(started, started + FIRST_OF_RUN)
        yield from self._events(max(started + FIRST_OF_RUN, last[0] if last else 0), 1 << 62)

    def _events(self, first: int, end: int) -> Iterator[Record]:
        """Those with these numbers, a few at a time: all of them may take a lot of memory."""
        statement = f"SELECT id, record FROM events WHERE id >= ? AND id < ? ORDER BY id LIMIT {AT_ONCE}"

        def some(db: sqlite3.Connection) -> list[tuple[int, str]]:
            return db.execute(statement, (first, end)).fetchall()

        while rows := self._run(some):
            yield from (record for _, text in rows if (record := record_of(text)) is not None)
            first = rows[-1][0] + 1

    def retune(self, max_size_bytes: int, max_age_s: float) -> None:
        """Other bounds, which hold from the next write on."""
        self._bounds = prune.Bounds(max_size_bytes, max_age_s)

    def close(self) -> None:
        """May be called twice."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _write(self, work: Callable[[sqlite3.Connection], Result], need_bytes: int) -> Result:
        def transaction(db: sqlite3.Connection) -> Result:
            prune.make_room(db, self._bounds, need_bytes, self._clock())
            db.execute("BEGIN IMMEDIATE")
            result = work(db)
            db.execute("COMMIT")
            return result

        return self._run(transaction)

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Once more in a new file where the old one turns out to be damaged, or was removed. StoreError."""
        try:
            return self._once(work)
        except (sqlite3.Error, OSError) as error:
            if is_damage(error):
                self._begin_anew(error)
            elif os.path.lexists(os.path.join(self.directory, FILE)):
                raise trouble(error, self.directory) from error
        try:
            return self._once(work)
        except (sqlite3.Error, OSError) as error:
            raise trouble(error, self.directory) from error

    def _once(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            if self._db is None:
                self._db = open_writer(self.directory)
            return work(self._db)
        except BaseException:
            self.close()  # which rolls back
            raise

    def _begin_anew(self, error: Exception) -> None:
        try:
            kept = set_aside(self.directory, self._clock())
        except OSError as why:
            raise trouble(why, self.directory) from error
        self.notes.append(
            f"{os.path.join(self.directory, FILE)} is damaged ({error}): it was renamed to {kept}, and a new"
            " history begins"
        )


def _encode(record: Record) -> str:
    """JSON; of a record that is too large only what is not a table of its."""
    text = _json(record)
    if len(text) > RECORD_BYTES:
        text = _json({key: value for key, value in record.items() if key != "report"} | {"shortened": True})
    if len(text) > RECORD_BYTES:
        plain = {key: value for key, value in record.items() if not isinstance(value, (list, dict, str))}
        texts = {key: value[:1000] for key, value in record.items() if isinstance(value, str)}
        text = _json(texts | plain | {"shortened": True})
    return text


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _seen(records: Iterable[Record]) -> dict[str, str]:
    """What to remember of how far the guard's records go."""
    numbered = [each for each in records if each.get("seq") and identity_of(each)]
    return {"seen": json.dumps([numbered[-1].get("run"), numbered[-1].get("seq")])} if numbered else {}


def _insert(db: sqlite3.Connection, record: Record, text: str) -> bool:
    """Whether it was new."""
    statement = (
        "INSERT INTO events(identity, time_s, kind, run, kill_id, incident, setup, record)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(identity) DO NOTHING"
    )
    run, kill_id, kind = record.get("run"), record.get("kill_id"), storable(str(record.get("kind")))
    incident, setup = (_free_id(db, record), _meta(db, "setup")) if is_incident(record) else (None, None)
    row = (
        identity_of(record),
        time_of(record),
        kind,
        storable(run) if isinstance(run, str) else None,
        kill_id if isinstance(kill_id, int) and abs(kill_id) < 1 << 62 else None,
        incident,
        setup,
        text,
    )
    cursor = db.execute(statement, row)
    if cursor.rowcount != 1:
        return False
    if kind == "started":
        _set_meta(db, "started", str(cursor.lastrowid))
    if kind in ("started", "reloaded") and isinstance(record.get("triggers"), list):
        _note_setup(db, record["triggers"])
    return True


def _free_id(db: sqlite3.Connection, record: Record) -> str:
    """The incident's name; a longer one where another incident has that already."""
    taken = "SELECT 1 FROM events WHERE incident = ? AND identity <> ?"
    names = (incident_id(record, digits) for digits in range(DIGEST_DIGITS, 64))
    own = identity_of(record)
    return next(name for name in names if db.execute(taken, (name, own)).fetchone() is None)


def _note_setup(db: sqlite3.Connection, triggers: object) -> None:
    """The triggers in force from now on, for the incidents to come."""
    text = json.dumps(triggers, separators=(",", ":"), default=str)
    db.execute("INSERT INTO setups(triggers) VALUES (?) ON CONFLICT(triggers) DO NOTHING", (text,))
    (setup,) = db.execute("SELECT id FROM setups WHERE triggers = ?", (text,)).fetchone()
    _set_meta(db, "setup", str(setup))


def _meta(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _set_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    statement = (
        "INSERT INTO meta(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
    )
    db.execute(statement, (key, value))
