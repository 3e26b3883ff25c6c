"""What is left when the writer is killed, the disk is full, or the reader may not write."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from oomguardd.history.database import FILE, JOURNAL
from oomguardd.history.store import Store, StoreError, open_store, read_store
from tests.unit.history.scene import NOON_S, YEAR_S, kill, started

ROOT = Path(__file__).resolve().parents[3]
IS_ROOT = os.geteuid() == 0
NOBODY = 65534
LIFES = 12

WRITER = """
import sys
from oomguardd.history.store import open_store
from tests.unit.history.scene import kill
store = open_store(sys.argv[1], 64 << 20, 1e9)
run, last = store.seen()
print("ready", last, flush=True)
for seq in range(last + 1, 100_000):
    # Resent by the guard, too: what the last life may or may not have written.
    batch = [kill(max(1, seq - 1)), kill(seq, note="x" * 2000)]
    tally = str(int(store.meta("tally") or 0) + len(store.unknown(batch)))
    store.append(batch, {"tally": tally})
    print(seq, flush=True)
"""

HALF_WRITTEN = """
import os, sqlite3, sys
from oomguardd.history.store import open_store
store = open_store(sys.argv[1], 64 << 20, 1e9)
store.close()
db = sqlite3.connect(sys.argv[1] + "/history.db", isolation_level=None)
db.execute("PRAGMA journal_mode = TRUNCATE").fetchall()
db.execute("PRAGMA cache_size = 2")  # so that pages go to the file before the commit
db.execute("BEGIN IMMEDIATE")
for number in range(300):
    row = (str(number), "x" * 3000)
    db.execute("INSERT INTO events(identity, time_s, kind, record) VALUES (?, 1, 'kill', ?)", row)
os.kill(os.getpid(), 9)
"""


def python(script: str, *words: str) -> list[str]:
    return [sys.executable, "-c", script, *words]


def numbers(path: Path) -> list[int]:
    with read_store(str(path)) as reader:
        return [int(str(each.record["seq"])) for each in reader.kills()]


def check_file(path: Path) -> str:
    with closing(sqlite3.connect(path / FILE)) as db:
        return str(db.execute("PRAGMA integrity_check").fetchone()[0])


def test_a_writer_that_is_killed_again_and_again(tmp_path: Path) -> None:
    """What it has said to be written is there, nothing is there twice, and the tally counts just that."""
    chance = random.Random(4)
    written = 0
    for _ in range(LIFES):
        with subprocess.Popen(
            python(WRITER, str(tmp_path)), stdout=subprocess.PIPE, cwd=ROOT, text=True
        ) as process:
            assert process.stdout is not None
            ready, _, last = process.stdout.readline().partition(" ")
            assert ready == "ready"
            assert int(last) >= written, "forgotten from one life to the next"
            first = process.stdout.readline()
            time.sleep(chance.uniform(0, 0.06))
            process.send_signal(signal.SIGKILL)
            said = [int(line) for line in (first, *process.stdout) if line.endswith("\n")]
        written = max(said)
        found = numbers(tmp_path)
        assert found == list(range(1, len(found) + 1))
        assert written <= len(found) <= written + 1
    with closing(open_store(str(tmp_path), 64 << 20, YEAR_S, lambda: NOON_S)) as store:
        assert store.meta("tally") == str(len(found))
        assert store.notes == []
    assert check_file(tmp_path) == "ok"
    assert written >= LIFES


def half_written(path: Path) -> None:
    with closing(open_store(str(path), 64 << 20, YEAR_S, lambda: NOON_S)) as store:
        store.append([started(), kill(2)])
    died = subprocess.run(python(HALF_WRITTEN, str(path)), cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert (path / JOURNAL).stat().st_size > 0, "the journal is not a hot one"


def test_a_write_that_was_interrupted_is_read_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    half_written(tmp_path)
    before = [(tmp_path / name).read_bytes() for name in (FILE, JOURNAL)]
    assert numbers(tmp_path) == [2]
    assert list(temporary.iterdir()) == [], "the copy is left behind"
    assert [(tmp_path / name).read_bytes() for name in (FILE, JOURNAL)] == before, (
        "a reader changed something"
    )


def test_the_next_writer_undoes_it(tmp_path: Path) -> None:
    half_written(tmp_path)
    with closing(open_store(str(tmp_path), 64 << 20, YEAR_S, lambda: NOON_S)) as store:
        assert store.append([kill(2), kill(3)]) == [kill(3)]
        assert store.notes == []
    assert check_file(tmp_path) == "ok"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that others may look into but not write, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="oomguard-history-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def as_nobody(work: Callable[[], str]) -> str:
    """What it returns in a child that has given up root."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(write_fd, work().encode())
        except BaseException as error:
            os.write(write_fd, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write_fd)
    with os.fdopen(read_fd) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_an_ordinary_user_reads_it_while_it_is_written_and_after_a_crash(shared: Path) -> None:
    with closing(open_store(str(shared), 64 << 20, YEAR_S, lambda: NOON_S)) as store:
        store.append([started(), kill(2)])
        assert as_nobody(lambda: str(numbers(shared))) == "[2]"
    half_written(shared)
    assert as_nobody(lambda: str(numbers(shared))) == "[2]"


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_whoever_may_not_read_it_is_told_so(shared: Path) -> None:
    open_store(str(shared), 64 << 20, YEAR_S).close()
    (shared / FILE).chmod(0o600)
    said = as_nobody(lambda: str(numbers(shared)))
    assert "StoreError" in said
    assert "Permission denied" in said


def test_no_history_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"history\.directory"):
        read_store(str(tmp_path / "nowhere"))
    (tmp_path / FILE).touch()
    with pytest.raises(StoreError, match="nothing was written"):
        read_store(str(tmp_path))


def test_a_reader_and_a_writer_do_not_disturb_each_other(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), 64 << 20, YEAR_S, lambda: NOON_S)
    store.append([started(), kill(2)])
    seen: list[int] = []
    over = threading.Event()

    def read_on() -> None:
        while not over.is_set():
            seen.append(len(numbers(tmp_path)))

    reading = threading.Thread(target=read_on)
    reading.start()
    for seq in range(3, 200):
        store.append([kill(seq)])
    over.set()
    reading.join()
    store.close()
    assert seen == sorted(seen)
    assert len(numbers(tmp_path)) == 198


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a mebibyte."""
    place = tmp_path / "tiny"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("may not mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def write_until_full(store_path: Path) -> tuple[list[int], str]:
    """The numbers that were written, and what was said of the next one."""
    with closing(open_store(str(store_path), 64 << 20, YEAR_S, lambda: NOON_S)) as store:
        written = []
        try:
            for seq in range(1, 2000):
                store.append([kill(seq, note="x" * 3000)], {"tally": str(seq)})
                written.append(seq)
        except StoreError as error:
            return written, str(error)
    return written, ""


def test_a_full_disk_loses_nothing_and_works_again_when_there_is_room(tiny_disk: Path) -> None:
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(128 << 10))
    written, said = write_until_full(tiny_disk)
    assert "make room" in said
    assert str(tiny_disk) in said
    assert numbers(tiny_disk) == written
    ballast.unlink()
    with closing(open_store(str(tiny_disk), 64 << 20, YEAR_S, lambda: NOON_S)) as store:
        assert store.meta("tally") == str(len(written))
        more = kill(len(written) + 1)
        assert store.append([more]) == [more]
        assert store.notes == []
    assert check_file(tiny_disk) == "ok"


def test_one_store_goes_on_where_the_disk_was_full(tiny_disk: Path) -> None:
    ballast = tiny_disk / "ballast"
    with closing(open_store(str(tiny_disk), 64 << 20, YEAR_S, lambda: NOON_S)) as store:
        store.append([kill(1)])
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(bytes(1 << 20))
        big = [kill(seq, note="x" * 3000) for seq in range(2, 60)]
        with pytest.raises(StoreError):
            store.append(big)
        assert numbers(tiny_disk) == [1]
        ballast.unlink()
        assert store.append(big) == big


def test_a_limit_of_file_size_is_an_error_and_no_death(tmp_path: Path) -> None:
    """RLIMIT_FSIZE, as LimitFSIZE= of a unit sets it: writes fail with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    open_store(str(tmp_path), 64 << 20, YEAR_S, lambda: NOON_S).close()
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, hard))
    try:
        written, said = write_until_full(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert said
    assert numbers(tmp_path) == written
    assert check_file(tmp_path) == "ok"


def test_a_place_that_comes_later(tmp_path: Path) -> None:
    """For instance with its mount."""
    place = tmp_path / "state"
    place.touch()
    with pytest.raises(StoreError):
        open_store(str(place), 64 << 20, YEAR_S)
    with closing(Store(str(place), 64 << 20, YEAR_S, lambda: NOON_S)) as store:
        with pytest.raises(StoreError):
            store.append([kill(1)])
        place.unlink()
        assert store.append([kill(1)]) == [kill(1)]
