"""Who is logged in at a terminal: utmp(5) where there is one, and systemd-logind's session files.

Debian 13 has no utmp any more, and logind does not know the terminal of an ssh session: that is found at the
processes of the session. A graphical session has no terminal here: its user hears of us on the desktop.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import children
from oomguardd.kernel.terminal import read_terminal

MOST_TERMINALS = 200
MOST_BYTES = 1 << 20
DEEPEST = 4
"""Between sshd's process of a session and its shell there are one or two more."""

_USER_PROCESS = 7  # utmp.h
_LONG_TIMES = ("aarch64", "riscv64", "loongarch64", "ia64", "alpha")
"""Where glibc's utmp has 64-bit times (no __WORDSIZE_TIME64_COMPAT32), so that an entry is longer."""
_LINE, _HOST = slice(8, 40), slice(76, 332)
_GRAPHICAL = ("x11", "wayland", "mir")


def entry_bytes(machine: str) -> int:
    """The length of a utmp entry on such a machine (os.uname)."""
    return 400 if machine in _LONG_TIMES else 384


def parse_utmp(data: bytes, length: int) -> Iterator[str]:
    """Terminals with somebody logged in; not those of X displays."""
    for start in range(0, len(data) - length + 1, length):
        entry = data[start : start + length]
        if int.from_bytes(entry[:2], "little") == _USER_PROCESS and not entry[_HOST].startswith(b":"):
            yield entry[_LINE].partition(b"\0")[0].decode("ascii", "replace")


def parse_session(data: bytes) -> dict[str, str]:
    """A file of /run/systemd/sessions: KEY=value lines. It is logind's own, so anything may be missing."""
    lines = (line.partition("=") for line in data.decode(errors="replace").splitlines())
    return {key: value for key, equals, value in lines if equals and not key.startswith("#")}


def terminals(run: str = "/run", proc: str = "/proc") -> list[str]:
    """Names below /dev, each once, in their order; never one that would lead elsewhere."""
    found = [*_of_utmp(run), *_of_logind(run, proc)]
    return [name for name in dict.fromkeys(found) if is_terminal(name)][:MOST_TERMINALS]


def is_terminal(name: str) -> bool:
    """Whether it is the name of one: tty..., or pts/ and a number."""
    if name.startswith("pts/"):
        return name[4:].isascii() and name[4:].isdecimal()
    return name.startswith("tty") and name.isascii() and name.isalnum()


def _of_utmp(run: str) -> Iterator[str]:
    yield from parse_utmp(_read(f"{run}/utmp"), entry_bytes(os.uname().machine))


def _of_logind(run: str, proc: str) -> Iterator[str]:
    directory = f"{run}/systemd/sessions"
    try:
        names = sorted(os.listdir(directory))
        proc_fd = open_dir(proc)
    except OSError:
        return
    try:
        for name in names[:MOST_TERMINALS]:
            session = parse_session(_read(f"{directory}/{name}")) if not name.endswith(".ref") else {}
            if session.get("CLASS", "").startswith("user") and session.get("TYPE") not in _GRAPHICAL:
                yield session.get("TTY") or _of_process(proc_fd, session.get("LEADER", ""), DEEPEST)
    finally:
        os.close(proc_fd)


def _of_process(proc_fd: int, leader: str, levels: int) -> str:
    """The terminal of the first process below the session's leader that has one; empty for none."""
    if not leader.isdecimal() or len(leader) > 10:
        return ""
    pid = int(leader)
    if terminal := read_terminal(proc_fd, pid):
        return terminal
    for child in (children(proc_fd, pid) or ()) if levels else ():
        if terminal := _of_process(proc_fd, str(child), levels - 1):
            return terminal
    return ""


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.read(fd, MOST_BYTES)
    except OSError:
        return b""
    finally:
        os.close(fd)
