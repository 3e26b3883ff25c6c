"""The file: one SQLite database, opened so that a crash, a full disk and a reader without rights do no harm.

A rollback journal instead of a write-ahead log: whoever may only read needs no second file then, while we
run, after we crashed, and on a file system mounted read-only. A commit that has returned is on the disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

FILE = "history.db"
JOURNAL = f"{FILE}-journal"
SCHEMA = 1
"""PRAGMA user_version. What has a higher one was written by a newer oomguardd."""
APPLICATION = 0x6F6F6D67
"""PRAGMA application_id: file(1) can tell it from other databases by that."""
PAGE_BYTES = 4096

READER_PATIENCE_S = 10.0
"""How long a reader waits for the writer."""
WRITER_PATIENCE_S = 2.0
"""How long the writer waits for readers. The reporter tries again anyway, and cannot be stopped meanwhile."""
_CACHE_KIB = 256
"""SQLite's default is 2 MiB, which we would keep for good."""

_TABLES = """
CREATE TABLE events(
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    time_s REAL NOT NULL,
    kind TEXT NOT NULL,
    run TEXT,
    kill_id INTEGER,
    incident TEXT,
    setup INTEGER,
    record TEXT NOT NULL
);
CREATE INDEX events_by_time ON events(time_s);
CREATE INDEX events_by_kill ON events(kill_id, run) WHERE kill_id IS NOT NULL;
CREATE INDEX events_by_setup ON events(setup) WHERE setup IS NOT NULL;
CREATE UNIQUE INDEX incidents ON events(incident) WHERE incident IS NOT NULL;
CREATE INDEX incidents_by_time ON events(time_s) WHERE incident IS NOT NULL;
CREATE TABLE readings(
    id INTEGER PRIMARY KEY,
    first_s REAL NOT NULL,
    last_s REAL NOT NULL,
    block BLOB NOT NULL
);
CREATE INDEX readings_by_time ON readings(last_s);
CREATE TABLE setups(
    id INTEGER PRIMARY KEY,
    triggers TEXT NOT NULL UNIQUE
);
CREATE TABLE meta(
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""


class StoreError(Exception):
    """The history cannot be written or read now. The message says why, and the remedy."""


def trouble(error: Exception, directory: str) -> StoreError:
    """What SQLite or the kernel said, with the remedy. SQLite's texts are its interface in Python 3.10."""
    path = os.path.join(directory, FILE)
    if isinstance(error, OSError):
        remedy = f"create {directory} for the reporter's user, or set history.directory"
        return StoreError(f"{error.filename or path}: {error.strerror} ({remedy})")
    said = str(error)
    remedies = (
        ("disk is full", f"make room on its file system (df {directory})"),
        ("disk I/O error", f"see the kernel's log for the device, and df {directory} for its room"),
        ("readonly database", "its file system is mounted read-only, or it is somebody else's: see ls -l"),
        ("unable to open", f"the reporter's user needs to write in {directory}"),
        ("locked", "some process reads it without an end: see fuser -v on it"),
    )
    remedy = next((remedy for part, remedy in remedies if part in said), "see the log of the reporter")
    return StoreError(f"{path}: {said} ({remedy})")


def is_damage(error: Exception) -> bool:
    """Whether the file's contents make no sense. Everything else is an OperationalError or another class."""
    return type(error) is sqlite3.DatabaseError


def open_writer(directory: str) -> sqlite3.Connection:
    """The file in that directory, made if there is none. StoreError, sqlite3.Error, OSError."""
    os.makedirs(directory, 0o755, exist_ok=True)
    path = os.path.join(directory, FILE)
    # One thread at a time is the store's own rule.
    db = sqlite3.connect(path, timeout=WRITER_PATIENCE_S, isolation_level=None, check_same_thread=False)
    try:
        if _version(db, path) == 0:
            _create(db)
        db.execute("PRAGMA journal_mode = TRUNCATE").fetchall()
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: str) -> sqlite3.Connection:
    """For reading only; the file need not be writable. StoreError, sqlite3.Error."""
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    db = sqlite3.connect(f"file:{quoted}?mode=ro", timeout=READER_PATIENCE_S, isolation_level=None, uri=True)
    try:
        if _version(db, path) == 0:
            raise StoreError(f"{path}: nothing was written into it yet")
    except BaseException:
        db.close()
        raise
    return db


def set_aside(directory: str, now_s: float) -> str:
    """Renames a damaged file, of which the newest is kept; the new name. OSError.

    Its journal goes with it, and first: SQLite would roll the next file back by that.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_s))
    kept = f"{FILE}.damaged-{stamp}"
    for name in os.listdir(directory):
        if name.startswith(f"{FILE}.damaged-"):
            os.unlink(os.path.join(directory, name))
    with contextlib.suppress(FileNotFoundError):
        os.rename(os.path.join(directory, JOURNAL), os.path.join(directory, f"{kept}-journal"))
    os.rename(os.path.join(directory, FILE), os.path.join(directory, kept))
    return kept


def _version(db: sqlite3.Connection, path: str) -> int:
    """The schema's number; 0 for an empty file. StoreError for what we must not touch."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION and version > SCHEMA:
        raise StoreError(
            f"{path}: written by a newer oomguardd (schema {version}, this one knows {SCHEMA});"
            " upgrade again, or move the file away to begin a new one"
        )
    if application != APPLICATION and (application or tables):
        raise StoreError(f"{path}: not a history of oomguardd; set history.directory to another place")
    return int(version) if application == APPLICATION else 0


def _create(db: sqlite3.Connection) -> None:
    # Neither can be changed later without writing the whole file anew.
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    head = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA};"
    try:
        db.executescript(f"BEGIN IMMEDIATE; {_TABLES} {head} COMMIT;")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
