"""Messages to terminals: real pseudo-terminals, in a /dev and a /run of the tests' own."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.kernel.terminal import parse_terminal, terminal_name, write_terminal
from oomguardd.notifiers.base import Gear, Notice
from oomguardd.notifiers.logins import entry_bytes, is_terminal, parse_session, parse_utmp, terminals
from oomguardd.notifiers.wall import Wall, make, render
from oomguardd.telling import NotifySettings, Telling


def notice(summary: str = "hog was ended", kind: str = "kill", people: bool = True) -> Notice:
    return Notice(kind, 1.0, summary, "It held 2 GiB.", {}, {}, people=people)


class Terminal:
    """A pseudo-terminal; what is written to it can be read here."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        self.name = os.ttyname(self.slave).removeprefix("/dev/")
        os.fchmod(self.slave, 0o620)

    def said(self) -> bytes:
        try:
            return os.read(self.master, 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


def test_a_message_reaches_a_terminal(terminal: Terminal) -> None:
    wall = Wall("box", lambda: [terminal.name], clock=lambda: 1.0)
    asyncio.run(wall.tell([notice("h\udcffg é\x1b[31m was ended")]))
    said = terminal.said()
    assert b"Message from oomguardd@box at " in said
    assert b"  hog" not in said
    assert b"\\xe9" in said, "ASCII only: the terminal may know nothing else"
    assert said.count(b"\a") == 1


def test_those_who_want_no_messages_get_none(terminal: Terminal) -> None:
    os.fchmod(terminal.slave, 0o600)  # mesg n
    asyncio.run(Wall("box", lambda: [terminal.name]).tell([notice()]))
    assert terminal.said() == b""


def test_a_stopped_terminal_holds_nobody(terminal: Terminal) -> None:
    wall = Wall("box", lambda: [terminal.name])

    async def fill() -> None:
        for _ in range(1000):
            await asyncio.wait_for(wall.tell([notice()] * 50), 5)

    asyncio.run(fill())
    assert terminal.said(), "as much as fits"


def test_what_is_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "tty1").write_text("a file")
    (tmp_path / "tty1").chmod(0o666)
    (tmp_path / "tty2").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "tty3", 0o666)
    wall = Wall("box", lambda: ["tty1", "tty2", "tty3", "tty4"], dev=str(tmp_path))
    asyncio.run(wall.tell([notice()]))
    assert (tmp_path / "tty1").read_text() == "a file"
    dev_fd = os.open(tmp_path, os.O_PATH)
    try:
        assert not write_terminal(dev_fd, "tty1", b"x")
        with pytest.raises(OSError, match="tty2"):
            write_terminal(dev_fd, "tty2", b"x")
    finally:
        os.close(dev_fd)


def test_many_become_one_message() -> None:
    text = render([notice(f"p{number} was ended") for number in range(9)], "box", 1.0).decode()
    assert "p2 was ended" in text
    assert "p3 was ended" not in text
    assert "and 6 more events" in text
    assert text.count("\n") == text.count("\r\n")


def test_what_it_wants() -> None:
    gear = Gear(missing=lambda what, cost, remedy: None)
    (wall,) = make(Telling(), gear)
    assert wall.wants(notice())
    assert not wall.wants(notice(people=False))
    assert not wall.wants(notice(kind="warn")), "that is for desktops"
    assert list(make(Telling(notify=NotifySettings(wall=False)), gear)) == []


def utmp(kind: int, line: bytes, host: bytes = b"", length: int = 384) -> bytes:
    return struct.pack("hxxi32s4s32s256s", kind, 1, line, b"id", b"user", host).ljust(length, b"\0")


@pytest.mark.parametrize("length", [384, 400])
def test_utmp(length: int) -> None:
    entries = [
        utmp(7, b"tty1", length=length),
        utmp(7, b"pts/0", b"10.0.0.1", length=length),
        utmp(7, b"pts/1", b":0", length=length),
        utmp(8, b"pts/2", length=length),
    ]
    data = b"".join(entries) + b"half an entry"
    assert list(parse_utmp(data, length)) == ["tty1", "pts/0"]


def test_lengths_of_entries() -> None:
    assert (entry_bytes("x86_64"), entry_bytes("aarch64"), entry_bytes("armv7l")) == (384, 400, 384)


def session(directory: Path, name: str, **more: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    lines = {"UID": "1000", "CLASS": "user", "TYPE": "tty", **more}
    text = "# This is private data. Do not parse.\n" + "".join(
        f"{key}={value}\n" for key, value in lines.items()
    )
    (directory / name).write_text(text)


def stat(directory: Path, pid: int, tty_nr: int, children: str = "") -> None:
    task = directory / str(pid) / "task" / str(pid)
    task.mkdir(parents=True)
    (directory / str(pid) / "stat").write_text(f"{pid} (sshd) S) S 1 1 1 {tty_nr} -1 0")
    (task / "children").write_text(children)


def test_logind_and_processes(tmp_path: Path) -> None:
    sessions = tmp_path / "run/systemd/sessions"
    session(sessions, "1", TTY="tty1")
    session(sessions, "2", TYPE="wayland", TTY="tty2")
    session(sessions, "3", CLASS="greeter", TTY="tty3")
    session(sessions, "4", LEADER="50")  # ssh on Debian 13
    session(sessions, "5", LEADER="99999999999999")
    session(sessions, "6", TTY="../../etc/passwd")
    (sessions / "1.ref").write_text("")
    proc = tmp_path / "proc"
    stat(proc, 50, 0, "51 ")
    stat(proc, 51, 0, "52 ")
    stat(proc, 52, (136 << 8) | 7)
    (tmp_path / "run/utmp").write_bytes(utmp(7, b"tty1") + utmp(7, b"ttyS0"))
    found = terminals(str(tmp_path / "run"), str(proc))
    assert found[0] == "tty1"
    assert set(found) in ({"tty1", "ttyS0", "pts/7"}, {"tty1", "pts/7"}), (
        "entries may have another length here"
    )


def test_no_run_no_proc(tmp_path: Path) -> None:
    assert terminals(str(tmp_path), str(tmp_path)) == []


@pytest.mark.parametrize(
    ("tty_nr", "name"),
    [
        ((136 << 8) | 3, "pts/3"),
        ((136 << 8) | (0x101 & 0xFF) | ((0x101 & 0xFFF00) << 12), "pts/257"),
        ((4 << 8) | 1, "tty1"),
        ((4 << 8) | 64, "ttyS0"),
        ((5 << 8) | 1, ""),
        (0, ""),
    ],
)
def test_terminal_numbers(tty_nr: int, name: str) -> None:
    assert terminal_name(tty_nr) == name
    assert parse_terminal(b"1 (a) 1 (b) S 1 1 1 %d 1" % tty_nr) == name


def test_our_own_terminal_number(terminal: Terminal) -> None:
    device = os.fstat(terminal.slave).st_rdev
    major, minor = os.major(device), os.minor(device)
    assert terminal_name((minor & 0xFF) | (major << 8) | ((minor & 0xFFF00) << 12)) == terminal.name


@pytest.mark.parametrize("data", [b"", b"junk", b"1 (a) S 1", b"1 (a) S 1 1 1 x 1"])
def test_no_terminal(data: bytes) -> None:
    assert parse_terminal(data) == ""


@pytest.mark.parametrize("name", ["", ":0", "pts/", "pts/../1", "pts/-1", "/dev/tty1", "tty/1", "null", "~"])
def test_names_that_are_none(name: str) -> None:
    assert not is_terminal(name)


def test_session_files() -> None:
    assert parse_session(b"#A=b\nTTY=tty1\nnothing\nX=a=b\n\xff=\xff") == {
        "TTY": "tty1",
        "X": "a=b",
        "\ufffd": "\ufffd",
    }
