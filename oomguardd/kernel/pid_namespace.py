"""/proc/PID/status, its lines Tgid and NSpid: which process a number means, and here or where else. See
pid_namespaces(7)."""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.kernel.files import read_small


class Numbers(NamedTuple):
    """What a process or thread is called."""

    process: int
    """The pid of its process; another one for a thread."""
    inner: tuple[int, ...]
    """Its numbers in the pid namespaces that it is in below ours, the outermost first."""
    state: str
    """One letter, Z for a zombie."""
    name: str


def read_numbers(proc_fd: int, pid: int) -> Numbers | None:
    """None if there is no such process or thread, or we may not see it."""
    try:
        return parse_numbers(read_small(proc_fd, f"{pid}/status"))
    except OSError:
        return None


def parse_numbers(data: bytes) -> Numbers | None:
    """None if it is no such file. Kernels before 4.1 have no NSpid: then there are no inner numbers."""
    values = dict(line.split(b":", 1) for line in data.split(b"\n") if b":" in line)
    try:
        process = int(values[b"Tgid"])
        inner = tuple(map(int, values.get(b"NSpid", b"").split()[1:]))
    except (KeyError, ValueError):
        return None
    state = values.get(b"State", b"").strip()[:1].decode("ascii", "replace")
    # The kernel escapes a newline in the name, so that it cannot pose as one of the lines.
    return Numbers(process, inner, state, values.get(b"Name", b"").strip().decode(errors="replace"))
