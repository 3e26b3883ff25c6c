"""The history as oomguardctl reads it: while the reporter writes, after it crashed, without rights to write.

Rule of this file: what is asked for is read in one go, before anybody prints it: as long as we read, the
reporter has to wait.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TypeVar

from oomguardd.history.database import FILE, JOURNAL, StoreError, is_damage, open_reader, trouble
from oomguardd.history.identity import storable
from oomguardd.history.incident import INCIDENT_KINDS, Incident, Record
from oomguardd.history.queries import Kill, find_incident, kill_of, record_of

_PIECE_BYTES = 1 << 20

Result = TypeVar("Result")


def read_store(directory: str) -> Reader:
    """The history in that directory. StoreError with the remedy where there is none or it may not be read."""
    path = os.path.join(directory, FILE)
    try:
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise StoreError(
            f"{path}: no history is here; is history.directory another one (--directory), and the reporter"
            " running?"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; read it as root (sudo)") from None
    try:
        return Reader(open_reader(path), directory)
    except sqlite3.OperationalError as error:
        if not os.path.exists(os.path.join(directory, JOURNAL)) or "locked" in str(error):
            raise trouble(error, directory) from None
    except sqlite3.Error as error:
        raise _worded(error, directory) from None
    return _read_copy(directory)


def _read_copy(directory: str) -> Reader:
    """The reporter was killed in the middle of a write, which has to be undone: in a copy, since here we may
    only read."""
    # The reporter loads this file, too, and not tempfile and shutil for it: they take 850 KiB.
    place = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"oomguardctl-{os.urandom(8).hex()}")
    try:
        os.mkdir(place, 0o700)
        for name in (JOURNAL, FILE):
            with open(os.path.join(directory, name), "rb") as source, open(f"{place}/{name}", "xb") as target:
                while piece := source.read(_PIECE_BYTES):
                    target.write(piece)
        db = sqlite3.connect(os.path.join(place, FILE), isolation_level=None)
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return Reader(db, directory, place)
    except (OSError, sqlite3.Error) as error:
        _remove_copy(place)
        raise StoreError(
            f"{os.path.join(directory, FILE)}: its last write was interrupted, and a copy cannot be read:"
            f" {error} (start the reporter, which puts it right, or look as root)"
        ) from None


def _remove_copy(place: str) -> None:
    for name in (FILE, JOURNAL):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(place, name))
    with contextlib.suppress(OSError):
        os.rmdir(place)


class Reader:
    """See the head of this file. To be closed, or used in a `with`. Every method may raise StoreError."""

    def __init__(self, db: sqlite3.Connection, directory: str, copy: str = "") -> None:
        self.directory = directory
        self._db = db
        self._copy = copy

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """May be called twice."""
        self._db.close()
        if self._copy:
            _remove_copy(self._copy)

    def began_s(self) -> float | None:
        """When the oldest event was; None in an empty history."""
        oldest: float | None = self._read(lambda db: db.execute("SELECT min(time_s) FROM events").fetchone())[
            0
        ]
        return oldest

    def kills(self, most: int | None = None) -> list[Kill]:
        """The newest incidents, in order of time."""
        return self.map_kills(lambda kill: kill, most=most)

    def map_kills(
        self,
        make: Callable[[Kill], Result | None],
        *,
        since_s: float = 0.0,
        kinds: Sequence[str] = INCIDENT_KINDS,
        most: int | None = None,
    ) -> list[Result]:
        """What `make` makes of the newest incidents, in order of time: whole records of a year would take a
        lot of memory. Where it makes None the incident is left out, and not one of `most`."""
        statement = (
            "SELECT incident, record FROM events WHERE incident IS NOT NULL AND time_s >= ?"
            f" AND kind IN ({_marks(kinds)}) ORDER BY time_s DESC, id DESC"
        )

        def work(db: sqlite3.Connection) -> list[Result]:
            rows = db.execute(statement, (since_s, *kinds))
            kills = (
                kill_of(db, name, record) for name, text in rows if (record := record_of(text)) is not None
            )
            return _newest(map(make, kills), most)

        return self._read(work)

    def map_events(
        self,
        make: Callable[[Record], Result | None],
        *,
        since_s: float = 0.0,
        kinds: Sequence[str] = (),
        most: int | None = None,
    ) -> list[Result]:
        """As `map_kills`, of every record of these kinds; of none: of all."""
        only = f" AND kind IN ({_marks(kinds)})" if kinds else ""
        statement = f"SELECT record FROM events WHERE time_s >= ?{only} ORDER BY time_s DESC, id DESC"

        def work(db: sqlite3.Connection) -> list[Result]:
            rows = db.execute(statement, (since_s, *kinds))
            records = (record for (text,) in rows if (record := record_of(text)) is not None)
            return _newest(map(make, records), most)

        return self._read(work)

    def incident(self, name: str) -> Incident:
        """The one with that id, or the only one that it is the beginning of (of its last part, too), or
        `last`. LookupError says what there is instead."""
        found = self._read(lambda db: find_incident(db, storable(name)))
        if isinstance(found, Incident):
            return found
        raise LookupError(found)

    def _read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """The work on the history as it is at one moment."""
        try:
            self._db.execute("BEGIN")
            try:
                return work(self._db)
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _worded(error, self.directory) from None


def _worded(error: sqlite3.Error, directory: str) -> StoreError:
    if not is_damage(error):
        return trouble(error, directory)
    path = os.path.join(directory, FILE)
    return StoreError(f"{path}: damaged ({error}); the reporter moves it aside when it writes next")


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" for _ in values)


def _newest(found: Iterator[Result | None], most: int | None) -> list[Result]:
    """The first `most` that are something, turned round: they come newest first."""
    kept: list[Result] = []
    for each in found if most is None or most > 0 else ():
        if each is not None:
            kept.append(each)
            if len(kept) == most:
                break
    return kept[::-1]
