"""The textfile: whole or not at all, soon after a kill, and no trouble where it cannot be written."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oomguardd.reporter.inbox import Record
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.metrics.exposition import Exposition
from oomguardd.reporter.metrics.tally import Tally
from oomguardd.reporter.metrics.textfile import Textfile, write_whole
from oomguardd.reporter.present import Present
from oomguardd.telling import MetricsSettings
from tests.prometheus.story import Machine, everything, kill, tick


class Desk:
    """A machine whose metrics go to a file."""

    def __init__(self, path: Path | None, every_s: float = 60.0) -> None:
        self.machine = Machine(*everything())
        self.path = path
        self.told: list[Record] = []
        self.settings = MetricsSettings(textfile=str(path) if path else None)
        self.textfile = Textfile(
            self.settings,
            self.machine.exposition,
            self.machine.meters,
            publish=self.told.append,
            every_s=every_s,
        )

    async def tell(self, record: dict[str, Any]) -> None:
        self.machine.clock_s += 1.0
        self.machine.tell(record)
        await self.textfile.take([record])

    async def until(self, words: str, within_s: float = 5.0) -> float:
        """How long it took until the file had them."""
        began_s = time.monotonic()
        while self.path and not (self.path.exists() and words in self.path.read_text()):
            assert time.monotonic() - began_s < within_s, f"never in the file: {words}"
            await asyncio.sleep(0.01)
        return time.monotonic() - began_s

    def count(self, name: str) -> int:
        return self.machine.meters.counts.get((name, "textfile"), 0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def kills(number: int) -> str:
    return f'oomguard_kills_total{{dry_run="false",signal="SIGTERM",trigger="low-memory"}} {number}.0\n'


def test_it_is_written_at_once_and_soon_after_a_kill(tmp_path: Path) -> None:
    async def scenario() -> None:
        desk = Desk(tmp_path / "oomguard.prom")
        desk.textfile.start()
        await desk.until(kills(1))
        await desk.tell(tick(100))
        await desk.tell(kill(7))
        assert await desk.until(kills(2)) < 1.0
        await desk.textfile.close()
        assert os.listdir(tmp_path) == ["oomguard.prom"]
        assert stat.S_IMODE((tmp_path / "oomguard.prom").stat().st_mode) == 0o644
        assert desk.told == []
        assert desk.count("told") == 3, "at the start, after the kill and at the end"

    run(scenario())


def test_what_is_not_urgent_waits_for_its_turn(tmp_path: Path) -> None:
    async def scenario() -> None:
        desk = Desk(tmp_path / "oomguard.prom", every_s=0.1)
        desk.textfile.start()
        await desk.tell(tick(100, ticks=4711))
        await desk.until("oomguard_guard_ticks_total 4711.0\n")
        await desk.textfile.close()
        assert desk.count("failed") == 0

    run(scenario())


def test_a_directory_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        desk = Desk(tmp_path / "later" / "oomguard.prom", every_s=0.05)
        desk.textfile.start()
        await asyncio.sleep(0.3)
        assert desk.count("failed") >= 2
        (fault,) = desk.told
        assert fault["kind"] == "fault"
        assert f"ReadWritePaths={tmp_path / 'later'}" in str(fault["error"])
        (tmp_path / "later").mkdir()
        await desk.until(kills(1))
        await desk.textfile.close()

    run(scenario())


def test_off_writes_nothing_until_a_reload_turns_it_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        desk = Desk(None)
        desk.textfile.start()
        await desk.tell(kill())
        await asyncio.sleep(0.4)
        assert desk.count("told") == desk.count("failed") == 0
        desk.path = tmp_path / "oomguard.prom"
        desk.textfile.retune(replace(desk.settings, textfile=str(desk.path)))
        await desk.until(kills(2))
        await desk.textfile.close()
        await desk.textfile.close()

    run(scenario())


def test_without_the_library_it_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        told: list[Record] = []
        exposition = Exposition(Present(), Tally(), Meters(), "1", library=None)
        settings = MetricsSettings(textfile=str(tmp_path / "x.prom"))
        textfile = Textfile(settings, exposition, Meters(), publish=told.append)
        textfile.start()
        await asyncio.sleep(0.1)
        await textfile.close()
        assert [record["kind"] for record in told] == ["missing"]
        assert os.listdir(tmp_path) == []

    run(scenario())


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.prom"
    write_whole(str(path), b"old\n")
    with path.open("rb") as reader:
        write_whole(str(path), b"new\n")
        assert reader.read() == b"old\n"
    assert path.read_bytes() == b"new\n"


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.prom").mkdir()
    with pytest.raises(OSError, match=r"x\.prom"):
        write_whole(str(tmp_path / "x.prom"), b"new\n")
    assert os.listdir(tmp_path) == ["x.prom"]


def test_the_umask_of_the_service_does_not_hide_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_whole(str(tmp_path / "x.prom"), b"new\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.prom").stat().st_mode) == 0o644
