"""A terminal that is drawn on again and again, and given back as it was.

Rule of this file: whatever ends the command (q, Ctrl-C, Ctrl-Z, SIGTERM, an error), the terminal is left with
its own screen, its cursor and its settings.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

from oomguardd.ctl.console import Console

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The alternate screen, without a cursor; and no line runs on in the next one when the terminal was made
narrower after the line was made."""
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_REST_OF_LINE = "\x1b[K"
_REST_OF_SCREEN = "\x1b[J"

_QUIT = frozenset(b"qQ\x03\x04")
_AT_ONCE = frozenset(b" \r\n")


class Screen:
    """Use it with `with`. Needs a terminal on standard output; keys are only heard if there is one on
    standard input."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
        self._saved: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._pipe = (-1, -1)

    def __enter__(self) -> Screen:
        self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number, handler in (
            (signal.SIGWINCH, self._wake),
            (signal.SIGTERM, self._end),
            (signal.SIGHUP, self._end),
            (signal.SIGTSTP, self._stop),
        ):
            self._handlers[number] = signal.signal(number, handler)
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for fd in self._pipe:
            os.close(fd)

    def draw(self, lines: Sequence[str]) -> None:
        """The lines from the top, as many as there is room for."""
        _, rows = self._console.size() or (80, 24)
        # Erased before it is written: behind a line that fills its row, the last letter would go.
        shown = "\r\n".join(f"{_REST_OF_LINE}{line}" for line in lines[:rows])
        below = f"\r\n{_REST_OF_SCREEN}" if len(lines) < rows else ""
        self._write(f"{_HOME}{shown}{below}")

    def wait(self, seconds: float) -> bool:
        """Until the time is over, or something asks for another drawing (another size, a key). False: the
        user wants to leave."""
        until_s = time.monotonic() + seconds
        watched = [self._pipe[0], *([self._keys] if self._keys >= 0 else [])]
        while (left_s := until_s - time.monotonic()) > 0:
            ready, _, _ = select.select(watched, (), (), left_s)
            if self._pipe[0] in ready and os.read(self._pipe[0], 64):
                return True
            if self._keys in ready:
                keys = os.read(self._keys, 64)
                if not keys or _QUIT & set(keys):
                    return False
                if _AT_ONCE & set(keys):
                    return True
        return True

    def _take(self) -> None:
        if self._keys >= 0:
            self._saved = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys)
        self._write(_ENTER)

    def _give_back(self) -> None:
        self._write(_LEAVE)
        if self._saved is not None:
            termios.tcsetattr(self._keys, termios.TCSADRAIN, self._saved)
            self._saved = None

    def _write(self, text: str) -> None:
        self._console.out.write(text)
        self._console.out.flush()

    def _wake(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._pipe[1], b"w")

    def _end(self, number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal back, and we draw anew when it lets us go on."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self._wake(number, frame)
