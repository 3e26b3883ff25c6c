"""A child that follows the journal: entries, entries that are none, its end and its restart."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from oomguardd.oomlog import Report
from oomguardd.reporter.watchers.journal import LONGEST_ENTRY_BYTES, Entry, JournalFollower, text_of
from oomguardd.reporter.watchers.kernel_log import JournalWatch


def program(directory: Path, script: str) -> str:
    """Stands for journalctl."""
    path = directory / "journalctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def follow(name: str, until: int, seconds: float = 5.0) -> tuple[list[Entry], list[str]]:
    """Entries and troubles, until there are so many of both together."""
    entries: list[Entry] = []
    troubles: list[str] = []

    async def run() -> None:
        follower = JournalFollower(("--dmesg",), entries.append, troubles.append, name, first_pause_s=0.05)
        follower.start()
        follower.start()
        deadline_s = time.monotonic() + seconds
        while len(entries) + len(troubles) < until and time.monotonic() < deadline_s:
            await asyncio.sleep(0.02)
        await follower.close()
        await follower.close()

    asyncio.run(run())
    return entries, troubles


def test_entries_and_garbage(tmp_path: Path) -> None:
    long = LONGEST_ENTRY_BYTES + 10
    name = program(
        tmp_path,
        'echo \'{"MESSAGE":"one"}\'; echo garbage; echo [1]; '
        f"head -c {long} /dev/zero | tr '\\0' x; echo; "
        'echo \'{"MESSAGE":"two"}\'; exec sleep 30',
    )
    entries, troubles = follow(name, 2)
    assert [text_of(entry, "MESSAGE") for entry in entries] == ["one", "two"]
    assert troubles == []


def test_it_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    name = program(tmp_path, f'echo "$@" >> {tmp_path}/calls; echo \'{{"__CURSOR":"c=1","MESSAGE":"m"}}\'')
    follow(name, 3)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert "--lines=0" in calls[0]
    assert "--after-cursor=c=1 --no-tail" in calls[1]


def test_a_journal_that_may_not_be_read_is_told_once_with_its_words(tmp_path: Path) -> None:
    name = program(tmp_path, "echo insufficient permissions >&2; exit 1")
    entries, troubles = follow(name, 3, seconds=0.6)
    assert (entries, troubles) == ([], ["insufficient permissions"])
    assert follow(str(tmp_path / "none"), 1)[1] == [f"{tmp_path}/none: No such file or directory"]


def test_no_child_is_left_behind(tmp_path: Path) -> None:
    name = program(
        tmp_path, f"echo $$ > {tmp_path}/pid; echo '{{}}'; trap '' TERM; while :; do sleep 0.1; done"
    )
    follow(name, 1)
    pid = int((tmp_path / "pid").read_text())
    assert not os.path.exists(f"/proc/{pid}")


def test_text_of() -> None:
    assert text_of({"M": [104, 105, 255]}, "M") == "hi\ufffd"
    assert text_of({"M": None}, "M") == text_of({}, "M") == text_of({"M": ["x", 999]}, "M") == ""


def test_the_kernels_log_through_the_journal(tmp_path: Path) -> None:
    lines = (Path(__file__).parents[3] / "oomlogs" / "lab-6.12.107-memcg_simple.log").read_text().splitlines()
    entries = [
        {
            "_TRANSPORT": "kernel",
            "_SOURCE_MONOTONIC_TIMESTAMP": f"{5000000 + at}",
            "MESSAGE": line.partition("] ")[2],
        }
        for at, line in enumerate(lines)
    ]
    forged = "Out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB"
    entries.append({"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "3", "MESSAGE": forged})
    entries.append({"_TRANSPORT": "syslog", "MESSAGE": forged})
    (tmp_path / "entries").write_text("\n".join(map(json.dumps, entries)) + "\n")
    name = program(tmp_path, f"cat {tmp_path}/entries; exec sleep 30")
    heard: list[tuple[Report, str, float]] = []

    async def run() -> None:
        watch = JournalWatch(lambda *each: heard.append(each), lambda _: None, lambda: 1000.0, name)
        watch.start()
        for _ in range(100):
            await asyncio.sleep(0.05)
            if heard:
                break
        await watch.close()

    asyncio.run(run())
    ((report, source, time_s),) = heard
    assert [victim.pid for victim in report.victims] == [155]
    assert source == "journal"
    assert 999.0 < time_s <= 1000.0
