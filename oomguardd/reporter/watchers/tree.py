"""cgroup v2 watched with inotify: counters that move, and marks that systemd-oomd leaves.

Rule of this file: a cgroup at its limit moves its counters a hundred times a second, for hours; so they are
looked at twice a second at most, and the descriptor is left alone meanwhile.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from oomguardd.kernel import inotify
from oomguardd.kernel.inotify import Change, Inotify
from oomguardd.kernel.memory_events import cgroups_below

PAUSE_S = 0.5
MOST_WATCHES = 500
COUNTED_DEPTH = 2
"""Counters of these levels are watched; they count what is below, too."""
MARKED_DEPTH = 6
"""/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.slice is the fifth, and holds the units."""

KILLS_MARK = "user.oomd_kill"
TIMES_MARK = "user.oomd_ooms"
"""systemd-oomd's, and ours: processes killed in this unit, and how often; decimal numbers."""

_IN_DIRECTORY = inotify.CREATE | inotify.ATTRIB | inotify.ONLYDIR


def read_mark(path: str, name: str) -> int:
    """0 if there is none, or no such cgroup."""
    try:
        value = os.getxattr(path, name)
    except OSError:
        return 0
    return int(value) if value.isdigit() and len(value) < 19 else 0


class TreeWatch:
    """`moved` is called when counters may have moved; `marked` with a cgroup, and by how much the number of
    processes killed in it has grown (0: as yet unknown). OSError from the constructor where there is no
    inotify left."""

    def __init__(self, root: str, moved: Callable[[], None], marked: Callable[[str, int], None]) -> None:
        self._root = root
        self._moved = moved
        self._marked = marked
        self._inotify = Inotify()
        self._directories: dict[int, str] = {}
        self._files: set[int] = set()
        self._marks: dict[str, tuple[int, int]] = {}
        """Cgroup -> (times, kills), where there are any."""
        self._timer: asyncio.TimerHandle | None = None
        self._on = False
        self._survey()

    @property
    def watches(self) -> int:
        """How many there are."""
        return len(self._directories) + len(self._files)

    def start(self) -> None:
        """In a running loop."""
        self._on = True
        asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._readable)

    def close(self) -> None:
        """May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._on:
            self._on = False
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
        self._inotify.close()

    def _survey(self) -> None:
        self._enter("", 0)
        for path, level in cgroups_below(self._root, MOST_WATCHES, MARKED_DEPTH):
            self._enter(path, level)
            self._keep_marks(path)

    def _keep_marks(self, path: str) -> None:
        marks = self._read_marks(path)
        if any(marks):
            self._marks[path] = marks

    def _enter(self, path: str, level: int) -> None:
        """Watches a cgroup, as far as its level asks for it."""
        if self.watches < MOST_WATCHES:
            if level < MARKED_DEPTH and (number := self._watch(path, _IN_DIRECTORY)) is not None:
                self._directories[number] = path
            if 1 <= level <= COUNTED_DEPTH:
                number = self._watch(f"{path}/memory.events", inotify.MODIFY)
                self._files.update(() if number is None else (number,))

    def _watch(self, path: str, mask: int) -> int | None:
        try:
            return self._inotify.watch(self._root + path, mask)
        except OSError:
            return None  # gone again, or no watch left: the machine's counter still tells

    def _read_marks(self, path: str) -> tuple[int, int]:
        whole = self._root + path
        return read_mark(whole, TIMES_MARK), read_mark(whole, KILLS_MARK)

    def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        dirty = sum(self._take(change) for change in self._inotify.read())
        if dirty:  # hear nothing for a while: what happens meanwhile waits in the queue, equal ones as one
            loop.remove_reader(self._inotify.fileno())
            self._on = False
            self._timer = loop.call_later(PAUSE_S, self._go_on)
            self._moved()

    def _go_on(self) -> None:
        self._timer = None
        self.start()

    def _take(self, change: Change) -> bool:
        """Whether it was a counter."""
        if change.mask & inotify.OVERFLOW:
            self._survey()
            return True
        if change.mask & inotify.IGNORED:
            self._leave(change.watch)
            return False
        if change.watch in self._files:
            return True
        parent = self._directories.get(change.watch)
        if parent is not None and change.name and change.mask & inotify.IS_DIR:
            path = f"{parent}/{change.name}"
            if change.mask & inotify.CREATE:
                self._born(path)
            self._compare(path)
        return False

    def _born(self, path: str) -> None:
        """A new cgroup, without marks whatever one of its name had; what is in it may be older than our
        watch."""
        level = path.count("/")
        self._marks.pop(path, None)
        self._enter(path, level)
        for below, depth in cgroups_below(self._root + path, MOST_WATCHES, max(0, MARKED_DEPTH - level)):
            self._enter(path + below, level + depth)
            self._compare(path + below)

    def _leave(self, watch: int) -> None:
        self._files.discard(watch)
        path = self._directories.pop(watch, None)
        if path is not None:
            gone = [each for each in self._marks if each == path or each.startswith(path + "/")]
            for each in gone:
                del self._marks[each]

    def _compare(self, path: str) -> None:
        times, kills = self._read_marks(path)
        times_before, kills_before = self._marks.get(path, (0, 0))
        if (times, kills) == (0, 0) and path not in self._marks:
            return
        self._marks[path] = (times, kills)
        if times > times_before or kills > kills_before:
            self._marked(path, max(0, kills - kills_before))
