"""/proc/PID/status and /proc/PID/task/TID/status. See proc_pid_status(5)."""

from __future__ import annotations

from typing import NamedTuple

_SIGKILL_BIT = 1 << (9 - 1)


class Status(NamedTuple):
    """What we need of it. The sizes are zero where `has_memory` is not true."""

    tgid: int
    """The process that this thread belongs to."""
    uid: int
    gid: int
    has_memory: bool
    """False: this thread has let go of its memory, or is the kernel's and never had any."""
    rss_anon_bytes: int
    rss_file_bytes: int
    rss_shmem_bytes: int
    swap_bytes: int
    pagetables_bytes: int
    kill_pending: bool


def _number(data: bytes, key: bytes, base: int = 10) -> int | None:
    """The first number behind `key`, which begins with the newline before it: the kernel escapes newlines
    in the name of the process, so that it cannot pose as one of the lines."""
    start = data.find(key)
    if start < 0:
        return None
    start += len(key)
    end = data.find(b"\n", start)
    words = data[start : end if end >= 0 else len(data)].split(None, 1)
    try:
        return int(words[0], base) if words else None
    except ValueError:
        return None


def _kib(data: bytes, key: bytes) -> int:
    return (_number(data, key) or 0) * 1024


def parse_status(data: bytes) -> Status | None:
    """None if it does not even say which process it is, and whose."""
    uid = _number(data, b"\nUid:")
    gid = _number(data, b"\nGid:") or 0
    tgid = _number(data, b"\nTgid:")
    if uid is None or tgid is None:
        return None
    pending = (_number(data, b"\nSigPnd:", 16) or 0) | (_number(data, b"\nShdPnd:", 16) or 0)
    killed = bool(pending & _SIGKILL_BIT)
    resident = _number(data, b"\nVmRSS:")
    if resident is None:
        return Status(tgid, uid, gid, False, 0, 0, 0, 0, 0, killed)
    anon = _number(data, b"\nRssAnon:")
    return Status(
        tgid=tgid,
        uid=uid,
        gid=gid,
        has_memory=True,
        # Before 4.5 there is only the sum. As anon it weighs the same in badness, and nobody is taken for
        # harmless.
        rss_anon_bytes=(resident if anon is None else anon) * 1024,
        rss_file_bytes=_kib(data, b"\nRssFile:"),
        rss_shmem_bytes=_kib(data, b"\nRssShmem:"),
        swap_bytes=_kib(data, b"\nVmSwap:"),
        # 4.0 to 4.14 count the middle levels in a line of their own, later ones count all levels as VmPTE.
        pagetables_bytes=_kib(data, b"\nVmPTE:") + _kib(data, b"\nVmPMD:"),
        kill_pending=killed,
    )
