"""Records' words on standard error: with sd-daemon(3) priorities for the journal, with the time for people.

A line counts as written when the kernel has taken all of it. A full pipe is waited for, for ever if
need be; a reader that has gone is `OutputGone`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum

from oomguardd.reporter.words import priority_of, time_of, words_of

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""syslog(3): the index is the priority."""

LEVEL_ALIASES = {"emergency": 0, "critical": 2, "error": 3, "warn": 4}

_PIECE_BYTES = 4096
"""A pipe that polls as writable has room for this (PIPE_BUF), so that even a blocking one does not block."""

_DISK_FULL_PAUSE_S = 1.0

_LATE_S = 2.0
"""From here on the journal's own time stamp misleads, so the line says how old it is."""

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_COLOURS = ("\x1b[1;31m",) * 4 + ("\x1b[1;33m", "\x1b[1m", "", _DIM)


class OutputGone(Exception):
    """Nobody can read standard error any more; the message is the reason."""


class Style(Enum):
    """What is put around the words."""

    JOURNAL = "journal"
    PLAIN = "plain"
    COLOUR = "colour"


def level_number(word: str) -> int:
    """The syslog priority of a level's name; ValueError names the known ones."""
    lower = word.lower()
    if lower in LEVEL_ALIASES:
        return LEVEL_ALIASES[lower]
    if lower not in LEVELS:
        raise ValueError(f"no such level: {word!r}; known are {', '.join(LEVELS)}")
    return LEVELS.index(lower)


def style_of(fd: int, environ: Mapping[str, str]) -> Style:
    """JOURNAL when $JOURNAL_STREAM (systemd.exec(5)) names this very descriptor; COLOUR on a terminal unless
    $NO_COLOR is set or it is a dumb one."""
    try:
        status = os.fstat(fd)
    except OSError:
        return Style.PLAIN
    if environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
        return Style.JOURNAL
    if os.isatty(fd) and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb":
        return Style.COLOUR
    return Style.PLAIN


def render(style: Style, priority: int, time_s: float, words: Sequence[str], now_s: float) -> bytes:
    """The lines as they are written, of what happened at `time_s` and is told at `now_s` (wall clock)."""
    priority = min(max(priority, 0), len(LEVELS) - 1)
    if style is Style.JOURNAL:
        late = f" ({now_s - time_s:.0f} s ago)" if time_s > 0 and now_s - time_s > _LATE_S else ""
        lines = [f"<{priority}>{line}" for line in (words[0] + late, *words[1:])]
    else:
        lines = [_dated(style, priority, time_s, words[0]), *words[1:]]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def _dated(style: Style, priority: int, time_s: float, sentence: str) -> str:
    when, level = _clock(time_s), LEVELS[priority]
    if style is Style.COLOUR:
        return f"{_DIM}{when}{_PLAIN} {_COLOURS[priority]}{level:<7} {sentence}{_PLAIN}"
    return f"{when} {level:<7} {sentence}"


def _clock(time_s: float) -> str:
    try:
        return datetime.fromtimestamp(time_s).astimezone().isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return "unknown time"


class Lines:
    """Standard error, or another descriptor, as a log; a sink of the relay."""

    name = "lines"
    must = True
    ticks = False

    def __init__(self, fd: int, style: Style, threshold: int, clock: Callable[[], float] = time.time) -> None:
        self._fd = fd
        self.style = style
        self.threshold = threshold
        """The last syslog priority that is shown."""
        self._clock = clock

    async def write(self, priority: int, time_s: float, words: Sequence[str]) -> None:
        """Returns when all of it has been taken, or at once when it is below the level. OutputGone."""
        if priority > self.threshold or not words:
            return
        data = render(self.style, priority, time_s, words, self._clock())
        while data:
            await self._writable()
            data = data[await self._taken(data[:_PIECE_BYTES]) :]

    async def take(self, records: Sequence[Mapping[str, object]]) -> None:
        """Each record in words. OutputGone."""
        for record in records:
            await self.write(priority_of(record), time_of(record), words_of(record))

    async def close(self) -> None:
        """Nothing is left to do."""

    async def say(self, priority: int, sentence: str) -> None:
        """Something of our own, happening now."""
        await self.write(priority, self._clock(), [sentence])

    async def _taken(self, piece: bytes) -> int:
        try:
            return os.write(self._fd, piece)
        except BlockingIOError:
            return 0  # somebody who shares the pipe was quicker
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise OutputGone(f"standard error: {error.strerror}") from error
        await asyncio.sleep(_DISK_FULL_PAUSE_S)
        return 0

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_writer(self._fd, ready.set)
        except PermissionError:
            return  # a regular file: never waits, and epoll refuses it
        except OSError as error:
            raise OutputGone(f"standard error: {error.strerror}") from error
        try:
            await ready.wait()
        finally:
            with contextlib.suppress(OSError):
                loop.remove_writer(self._fd)
