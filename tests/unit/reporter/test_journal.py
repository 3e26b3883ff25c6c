"""Entries for journald: a socket in its place that reads, hangs, goes and comes back; and where there is one,
journald itself, in a mount namespace of its own."""

from __future__ import annotations

import array
import asyncio
import json
import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oomguardd.kernel import journald
from oomguardd.reporter.journal.sink import JournalSink, journal_there

Entry = dict[str, str]

DEBUG = 7
JOURNALD = "/lib/systemd/systemd-journald"


def record(seq: int = 1, **fields: Any) -> dict[str, Any]:
    return {"kind": "stopping", "priority": 5, "seq": seq, "why": "asked to end", **fields}


def decode(data: bytes) -> Entry:
    """As journald does it."""
    found: Entry = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", data[:8])
            value, end, data = data[8 : 8 + size], data[8 + size : 9 + size], data[9 + size :]
            assert end == b"\n"
        found[name.decode()] = value.decode()
    return found


class Journald:
    """In its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sock = self._bind()

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.bind(str(self.path))
        return sock

    def stop(self) -> None:
        self.sock.close()
        self.path.unlink(missing_ok=True)

    def start(self) -> None:
        self.sock = self._bind()

    def read(self) -> list[Entry]:
        """All that waits."""
        found: list[Entry] = []
        while True:
            try:
                data, ancillary, _, _ = self.sock.recvmsg(1 << 20, socket.CMSG_SPACE(4))
            except BlockingIOError:
                return found
            for _, _, passed in ancillary:
                fd = array.array("i", passed)[0]
                with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapped:
                    data = mapped[:]
                with pytest.raises(PermissionError):
                    os.write(fd, b"x")
                os.close(fd)
            found.append(decode(data))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journald]:
    made = Journald(tmp_path / "socket")
    yield made
    made.stop()


def sink_of(journal: Journald, threshold: int = DEBUG) -> JournalSink:
    return JournalSink(threshold, str(journal.path), clock=lambda: 0.0)


def run(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 30))


def test_a_record_is_one_entry(journal: Journald) -> None:
    async def work() -> None:
        sink = sink_of(journal)
        await sink.take([record(1), record(2, kind="kill", run="cafe", time_s=1_700_000_000)])
        await sink.close()
        await sink.close()

    run(work())
    first, second = journal.read()
    assert first["MESSAGE"] == "stopping: asked to end"
    assert first["PRIORITY"] == "5"
    assert "OOMGUARDD_ID" not in first
    assert second["OOMGUARDD_ID"].startswith("20231114-221320-")
    assert "\n" in second["MESSAGE"]


def test_below_the_level_nothing_is_sent(journal: Journald) -> None:
    async def work() -> None:
        sink = sink_of(journal, threshold=4)
        await sink.take([record(1), record(2, priority=4)])
        sink.threshold = 5
        await sink.take([record(3)])
        await sink.close()

    run(work())
    assert [entry["OOMGUARDD_SEQ"] for entry in journal.read()] == ["2", "3"]


def test_a_journald_that_hangs_is_waited_for_and_nothing_is_lost(journal: Journald) -> None:
    number = 1500  # three times what fits into its queue
    read: list[Entry] = []

    async def work() -> None:
        sink = sink_of(journal)
        taking = asyncio.ensure_future(sink.take([record(seq) for seq in range(number)]))
        await asyncio.sleep(0.2)
        assert not taking.done(), "its queue is not that long"
        while not taking.done():
            read.extend(journal.read())
            await asyncio.sleep(0.01)
        await taking
        await sink.close()

    run(work())
    read += journal.read()
    assert [int(entry["OOMGUARDD_SEQ"]) for entry in read] == list(range(number))


def test_a_journald_that_is_away_is_waited_for_and_found_again(journal: Journald) -> None:
    async def work() -> list[Entry]:
        sink = sink_of(journal)
        await sink.take([record(1)])
        read = journal.read()
        journal.stop()
        taking = asyncio.ensure_future(sink.take([record(2), record(3)]))
        await asyncio.sleep(0.1)
        assert not taking.done()
        journal.start()
        await taking
        await sink.close()
        return read + journal.read()

    assert [entry["OOMGUARDD_SEQ"] for entry in run(work())] == ["1", "2", "3"]


def test_waiting_can_be_given_up(journal: Journald) -> None:
    async def work() -> None:
        journal.stop()
        sink = sink_of(journal)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(sink.take([record(1)]), 0.1)
        await sink.close()
        journal.start()

    run(work())
    assert journal.read() == []


def test_an_entry_that_comes_late_says_how_late(journal: Journald) -> None:
    async def work() -> None:
        journal.stop()
        now_s = [1000.0]
        sink = JournalSink(DEBUG, str(journal.path), clock=lambda: now_s[0])
        taking = asyncio.ensure_future(sink.take([record(1, time_s=1000.0)]))
        await asyncio.sleep(0.05)
        now_s[0] = 1060.0
        journal.start()
        await taking
        await sink.close()

    run(work())
    assert journal.read()[0]["MESSAGE"] == "stopping: asked to end (60 s ago)"


def test_a_large_entry_is_passed_in_a_sealed_file(journal: Journald) -> None:
    large = {f"key_{number}": "x" * 1000 for number in range(250)}

    async def work() -> None:
        sink = sink_of(journal)
        await sink.take([record(1), record(2, **large), record(3)])
        await sink.close()

    run(work())
    entries = journal.read()
    assert [entry["OOMGUARDD_SEQ"] for entry in entries] == ["1", "2", "3"]
    assert entries[1]["OOMGUARDD_KEY_249"] == "x" * 1000


def test_who_refuses_for_ever_is_not_asked_for_ever(journal: Journald, tmp_path: Path) -> None:
    journal.stop()
    journal.path.write_text("no socket")  # ECONNREFUSED, which may end; but a directory above it may not
    sink = JournalSink(DEBUG, str(journal.path / "below"))
    with pytest.raises(NotADirectoryError):
        run(sink.take([record(1), record(2)]))
    assert not journal_there(str(journal.path))


def test_whether_there_is_one(journal: Journald) -> None:
    assert journal_there(str(journal.path))
    journal.stop()
    assert not journal_there(str(journal.path))
    journal.start()


@pytest.mark.parametrize("name", ["", "_HIDDEN", "1ST", "lower", "WITH SPACE", "X" * 65, "A=B", "A\nB"])
def test_names_that_journald_would_drop_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="field"):
        journald.encode([(name, "x")])


def test_any_value_can_be_sent() -> None:
    values = ["plain", "two\nlines\n", "", "a=b", "ä", "nul\0", "\n"]
    for value in values:
        assert decode(journald.encode([("A", value), ("B", "after")])) == {"A": value, "B": "after"}
    assert journald.encode([("A", "\udcff")]) == b"A=\\udcff\n"
    assert journald.encode([("A", b"\xff")]) == b"A=\xff\n"


REAL = """
import asyncio, json, os, subprocess, sys, time
from oomguardd.guard.mark import UnitMarks
from oomguardd.kernel import journald
from oomguardd.model import Member, Party
from oomguardd.reporter.journal.sink import JournalSink, journal_there
from oomguardd.runtimes import owner_of
from tests.shell.rig import candidate

daemon = subprocess.Popen([sys.argv[1]], stderr=subprocess.DEVNULL)
deadline_s = time.monotonic() + 20
while not journal_there() and time.monotonic() < deadline_s:
    time.sleep(0.05)

async def work():
    sink = JournalSink(7)
    await sink.take(json.load(sys.stdin))
    await sink.close()

asyncio.run(work())
cgroup = "/system.slice/web.service"
victim = candidate(os.getpid(), comm="hog", cgroup=cgroup, owner=owner_of(cgroup))
marks = UnitMarks(-1, None, journald.open_socket(), "cafe")
marks.after(7, victim, Party(members=(Member(victim.pid, 1, "hog", 1),)), "SIGKILL", ["low"])
assert marks.failed == 0

def shown(*arguments):
    done = subprocess.run(["journalctl", "-q", "--no-pager", *arguments], capture_output=True, check=True)
    return done.stdout.decode()

while "hog" not in shown("-u", "web.service") and time.monotonic() < deadline_s:
    time.sleep(0.1)
print(json.dumps([shown("-t", "oomguardd", "-a", "-o", "json"), shown("-t", "oomguardd", "-o", "cat"),
                  shown("-u", "web.service", "-o", "cat")]))
daemon.terminate()
daemon.wait(20)
"""
"""With a /run and /var/log that nobody else sees."""


def test_journald_takes_them_and_journalctl_finds_them(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if not unshare or os.geteuid() != 0 or not os.access(JOURNALD, os.X_OK) or not shutil.which("journalctl"):
        pytest.skip("needs root and systemd-journald")
    large = {f"key_{number}": "x" * 1000 for number in range(250)}
    records = [record(1, kind="kill", triggers=["low", "high"]), record(2, **large), record(3)]
    prepare = 'mount -t tmpfs none /run && mount -t tmpfs none /var/log && mkdir /run/log && exec "$@"'
    apart = [unshare, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*apart, "sh", "-c", prepare, "sh", sys.executable, "-c", REAL, JOURNALD],
        input=json.dumps(records),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    if "Operation not permitted" in done.stderr and not done.stdout:
        pytest.skip("needs a mount namespace")
    assert done.returncode == 0, done.stderr
    entries, text, of_unit = json.loads(done.stdout)
    parsed = [json.loads(line) for line in entries.splitlines()]
    assert [entry["OOMGUARDD_SEQ"] for entry in parsed] == ["1", "2", "3"]
    assert parsed[0]["OOMGUARDD_TRIGGER"] == ["low", "high"]
    assert parsed[1]["OOMGUARDD_KEY_249"] == "x" * 1000
    assert "killed" in text.splitlines()[0]
    assert text.splitlines()[1].startswith("  ")
    assert of_unit.startswith("oomguardd killed hog[")
    assert len(of_unit.splitlines()) == 1
