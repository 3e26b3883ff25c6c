"""`oomguardctl rank --watch` on a terminal of its own: drawn in place, and given back as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from oomguardd.ctl.text import width_of

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
DEADLINE_S = 30.0
ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, *words: str, environ: Mapping[str, str] = MappingProxyType({})) -> None:
        self.seen = b""
        self.status: int | None = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(ROOT)
                env = os.environ | {"TERM": "xterm", "PYTHONPATH": str(ROOT), **environ}
                env.pop("COLUMNS", None)
                time.sleep(0.2)  # until its size is set
                os.execve(sys.executable, [sys.executable, "-m", "oomguardd.ctl", *words], env)
            finally:
                os._exit(127)
        self.resize(80, 24)
        self.before = termios.tcgetattr(self.fd)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def until(self, wanted: bytes, times: int = 1) -> None:
        """Read until that has come so often."""
        until_s = time.monotonic() + DEADLINE_S
        while self.seen.count(wanted) < times:
            assert time.monotonic() < until_s, self.seen[-2000:]
            if not self._read(0.5):
                break
        assert self.seen.count(wanted) >= times, self.seen[-2000:]

    def end(self) -> int:
        """Its exit status, when it has ended."""
        until_s = time.monotonic() + DEADLINE_S
        while self.status is None and time.monotonic() < until_s:
            self._read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        while self._read(0):
            pass
        assert self.status is not None
        return self.status

    def screens(self) -> list[list[str]]:
        """Every drawing, as lines without what moves the cursor."""
        drawn = self.seen.decode(errors="replace").split("\x1b[H")[1:]
        return [
            [re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", line) for line in one.replace("\r", "").split("\n")]
            for one in drawn
        ]

    def close(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def _read(self, wait_s: float) -> bool:
        """False when there is no more."""
        if not select.select([self.fd], [], [], wait_s)[0]:
            return wait_s > 0
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.seen += data
        return bool(data)


@pytest.fixture
def nothing(tmp_path: Path) -> str:
    file = tmp_path / "oomguard.toml"
    file.write_text("")
    return str(file)


@pytest.fixture
def terminal(nothing: str) -> Iterator[Terminal]:
    """Already drawn once."""
    one = Terminal("rank", "--watch", "0.3", "--config", nothing)
    try:
        one.until(b"\x1b[J")
        yield one
    finally:
        one.close()


def assert_given_back(one: Terminal) -> None:
    assert one.seen.count(ENTER) == one.seen.count(LEAVE) == 1
    assert one.seen.rindex(b"\x1b[?25h") > one.seen.rindex(b"\x1b[?25l"), "the cursor is there again"
    assert one.seen.rindex(b"\x1b[?7h") > one.seen.rindex(b"\x1b[?7l")
    assert termios.tcgetattr(one.fd) == one.before


@pytest.mark.parametrize(("keys", "status"), [(b"q", 0), (b"\x03", 130)])
def test_it_ends_by_a_key(terminal: Terminal, keys: bytes, status: int) -> None:
    terminal.type(keys)
    assert terminal.end() == status
    assert_given_back(terminal)


def test_it_ends_by_a_signal(terminal: Terminal) -> None:
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.end() == 128 + signal.SIGTERM
    assert_given_back(terminal)


def test_it_is_drawn_again_and_again_in_place(terminal: Terminal) -> None:
    terminal.until(b"\x1b[H", 3)
    terminal.type(b"q")
    terminal.end()
    for lines in terminal.screens():
        assert len(lines) <= 24
        assert max(map(width_of, lines)) <= 80
    assert "every 0.3 s, q ends" in terminal.screens()[0][0]


def test_another_size_is_seen_at_once(nothing: str) -> None:
    one = Terminal("rank", "--watch", "60", "--config", nothing)
    try:
        one.until(b"\x1b[J")
        one.resize(50, 10)
        one.until(b"\x1b[H", 2)
        one.type(b"q")
        assert one.end() == 0
        lines = one.screens()[-1]
        assert len(lines) <= 10
        assert max(map(width_of, lines)) <= 50
    finally:
        one.close()


def test_it_can_be_stopped_and_goes_on(terminal: Terminal) -> None:
    terminal.type(b"\x1a")
    terminal.until(LEAVE)
    until_s = time.monotonic() + DEADLINE_S
    stat = Path(f"/proc/{terminal.pid}/stat")
    while " T " not in stat.read_text() and time.monotonic() < until_s:
        time.sleep(0.02)
    assert termios.tcgetattr(terminal.fd) == terminal.before, "the shell has its terminal"
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.until(ENTER, 2)
    terminal.type(b"q")
    assert terminal.end() == 0
    assert termios.tcgetattr(terminal.fd) == terminal.before


def test_a_space_draws_at_once(nothing: str) -> None:
    one = Terminal("rank", "--watch", "60", "--config", nothing)
    try:
        one.until(b"\x1b[J")
        one.type(b" ")
        one.until(b"\x1b[H", 2)
        one.type(b"q")
        assert one.end() == 0
    finally:
        one.close()


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_only_where_they_are_wanted(nothing: str, environ: dict[str, str], coloured: bool) -> None:
    one = Terminal("rank", "--config", nothing, environ=environ)
    try:
        assert one.end() == 0
        assert (b"\x1b[1m" in one.seen) is coloured
    finally:
        one.close()


def test_a_terminal_that_can_nothing_gets_one_table_after_the_other(nothing: str) -> None:
    one = Terminal("rank", "--watch", "0.2", "--config", nothing, environ={"TERM": "dumb"})
    try:
        one.until(b"exempt", 2)
        assert b"\x1b" not in one.seen
    finally:
        one.close()
