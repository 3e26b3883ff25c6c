"""inotify on a tree of cgroups: files that change, and marks on the real v2 hierarchy."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from oomguardd.reporter.watchers.tree import (
    KILLS_MARK,
    MOST_WATCHES,
    PAUSE_S,
    TIMES_MARK,
    TreeWatch,
    read_mark,
)

UNIFIED = next(
    (
        path
        for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
        if (path / "cgroup.controllers").exists()
    ),
    None,
)


def test_counters_that_move_are_told_twice_a_second_at_most(tmp_path: Path) -> None:
    events = tmp_path / "system.slice" / "memory.events"
    events.parent.mkdir()
    events.write_text("oom_kill 0\n")
    moved: list[float] = []

    async def run() -> None:
        clock = asyncio.get_running_loop().time
        watch = TreeWatch(str(tmp_path), lambda: moved.append(clock()), lambda *_: None)
        watch.start()
        for number in range(100):
            events.write_text(f"oom_kill {number}\n")
            await asyncio.sleep(0.01)
        await asyncio.sleep(PAUSE_S + 0.2)
        watch.close()
        watch.close()

    asyncio.run(run())
    assert len(moved) >= 2
    assert all(later - one >= 0.9 * PAUSE_S for one, later in pairwise(moved))


def test_a_cgroup_that_comes_later_is_watched(tmp_path: Path) -> None:
    moved: list[int] = []

    async def run() -> None:
        watch = TreeWatch(str(tmp_path), lambda: moved.append(1), lambda *_: None)
        watch.start()
        before = watch.watches
        below = tmp_path / "new.slice"
        below.mkdir()
        (below / "memory.events").write_text("oom_kill 0\n")
        await asyncio.sleep(0.1)
        assert watch.watches == before + 2
        (below / "memory.events").write_text("oom_kill 1\n")
        await asyncio.sleep(0.1)
        (below / "memory.events").unlink()
        below.rmdir()
        await asyncio.sleep(PAUSE_S + 0.2)
        assert watch.watches == before
        watch.close()

    asyncio.run(run())
    assert moved


def test_the_number_of_watches_has_an_end(tmp_path: Path) -> None:
    for number in range(MOST_WATCHES):
        (tmp_path / f"{number}").mkdir()
    watch = TreeWatch(str(tmp_path), lambda: None, lambda *_: None)
    assert watch.watches == MOST_WATCHES
    watch.close()


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """An empty one on the real v2 hierarchy, with one below it."""
    if UNIFIED is None or not os.access(UNIFIED, os.W_OK):
        pytest.skip("no writable cgroup v2 here")
    made = UNIFIED / f"oomguardd-test-{os.getpid()}"
    (made / "unit.scope").mkdir(parents=True)
    yield made
    for path in (made / "unit.scope", made):
        with contextlib.suppress(OSError):
            path.rmdir()


def test_marks_of_systemd_oomd_are_seen_as_they_are_made(cgroup: Path) -> None:
    unit = cgroup / "unit.scope"
    marked: list[tuple[str, int]] = []
    os.setxattr(unit, KILLS_MARK, b"5")

    async def run() -> None:
        watch = TreeWatch(str(cgroup), lambda: None, lambda *mark: marked.append(mark))
        watch.start()
        os.setxattr(unit, "user.other", b"1")
        await asyncio.sleep(0.1)
        assert marked == [], "what was there before is not told"
        os.setxattr(unit, TIMES_MARK, b"1")
        await asyncio.sleep(0.1)
        os.setxattr(unit, KILLS_MARK, b"8")
        await asyncio.sleep(0.1)
        unit.rmdir()
        unit.mkdir()
        os.setxattr(unit, KILLS_MARK, b"2")
        await asyncio.sleep(0.1)
        watch.close()

    asyncio.run(run())
    assert marked == [("/unit.scope", 0), ("/unit.scope", 3), ("/unit.scope", 2)]


def test_a_mark_that_is_no_number(cgroup: Path) -> None:
    os.setxattr(cgroup, KILLS_MARK, b"many")
    assert read_mark(str(cgroup), KILLS_MARK) == 0
    assert read_mark(str(cgroup / "none"), KILLS_MARK) == 0
