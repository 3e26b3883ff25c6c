"""The reporter as our child: there when all is calm, started less and less often when it keeps dying."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.guard import child as room
from oomguardd.guard.child import ReporterChild
from tests.shell.rig import event_loop, open_fds


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with event_loop() as made:
        yield made


def run(loop: asyncio.AbstractEventLoop, for_s: float) -> None:
    loop.run_until_complete(asyncio.sleep(for_s))


def test_started_once_and_ended(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    fds = open_fds()
    child = ReporterChild(loop, ["--socket", str(tmp_path / "guard.sock"), "--log-level", "info"])
    assert child.revive() == ""
    pid = child.pid
    assert child.revive() == ""
    assert child.pid == pid > 0
    child.stop(5.0)
    assert child.pid == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert open_fds() == fds


def test_a_killed_one_comes_back_after_a_pause(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    child = ReporterChild(loop, ["--socket", str(tmp_path / "guard.sock"), "--log-level", "info"])
    child.revive()
    first = child.pid
    os.kill(first, signal.SIGKILL)
    deadline_s = time.monotonic() + 20
    while child.pid and time.monotonic() < deadline_s:
        run(loop, 0.01)
    assert child.pid == 0
    assert child.revive() == ""
    assert child.pid == 0  # not at once
    while not child.pid and time.monotonic() < deadline_s:
        run(loop, 0.05)
        child.revive()
    assert child.pid not in (0, first)
    child.stop(5.0)


def test_a_stopped_one_does_not_keep_us_from_ending(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    child = ReporterChild(loop, ["--socket", str(tmp_path / "guard.sock"), "--log-level", "info"])
    child.revive()
    pid = child.pid
    os.kill(pid, signal.SIGSTOP)
    child.stop(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_stop_without_a_child_is_nothing(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    child = ReporterChild(loop, ["--socket", str(tmp_path / "guard.sock"), "--log-level", "info"])
    child.stop(0.0)
    assert child.pid == 0


def test_the_pauses_grow_to_a_minute() -> None:
    assert 0 < room.FIRST_PAUSE_S < room.LONGEST_PAUSE_S == 60
