"""inotify, on real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.kernel import inotify
from oomguardd.kernel.inotify import Change, Inotify, parse_changes


@pytest.fixture
def watcher() -> Iterator[Inotify]:
    """Closed afterwards."""
    made = Inotify()
    yield made
    made.close()
    made.close()


def test_a_file_that_changes(watcher: Inotify, tmp_path: Path) -> None:
    file = tmp_path / "memory.events"
    file.write_text("0")
    number = watcher.watch(str(file), inotify.MODIFY)
    assert watcher.read() == []
    for _ in range(50):
        file.write_text("1")
    assert watcher.read() == [Change(number, inotify.MODIFY, "")], "equal ones in a row are one"


def test_a_directory_that_is_made_and_goes(watcher: Inotify, tmp_path: Path) -> None:
    below = tmp_path / "a.scope"
    number = watcher.watch(str(tmp_path), inotify.CREATE | inotify.ONLYDIR)
    below.mkdir()
    assert watcher.read() == [Change(number, inotify.CREATE | inotify.IS_DIR, "a.scope")]
    inner = watcher.watch(str(below), inotify.CREATE)
    below.rmdir()
    assert watcher.read() == [Change(inner, inotify.IGNORED, "")]


def test_a_watch_that_was_ended_says_no_more(watcher: Inotify, tmp_path: Path) -> None:
    number = watcher.watch(str(tmp_path), inotify.CREATE)
    watcher.forget(number)
    watcher.forget(number)
    (tmp_path / "x").touch()
    assert [change.mask for change in watcher.read()] == [inotify.IGNORED]


def test_what_is_not_there_cannot_be_watched(watcher: Inotify, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watcher.watch(str(tmp_path / "none"), inotify.MODIFY)


def test_half_an_event_is_left_out() -> None:
    assert parse_changes(b"\x01\0\0\0\x02\0\0\0") == []
