"""/proc/PID/stat and /proc/PID/task/TID/stat. See proc_pid_stat(5)."""

from __future__ import annotations

from typing import NamedTuple

_PF_EXITING = 0x4  # include/linux/sched.h
_PF_KTHREAD = 0x200000
_SCHEDULING = {b"1": "fifo", b"2": "rr", b"3": "batch", b"5": "idle", b"6": "deadline"}
"""include/uapi/linux/sched.h. A later one (SCHED_EXT is 7) is as good as SCHED_OTHER to us."""


class Stat(NamedTuple):
    """What we need of it; `start_ticks` are clock ticks since boot."""

    comm: str
    state: str
    ppid: int
    sid: int
    terminal: bool
    """Whether it has a controlling terminal."""
    flags: int
    nice: int
    threads: int
    start_ticks: int
    sched: str
    """other, fifo, rr, batch, idle or deadline."""

    @property
    def exiting(self) -> bool:
        return bool(self.flags & _PF_EXITING)

    @property
    def kernel_thread(self) -> bool:
        return bool(self.flags & _PF_KTHREAD)


def parse_stat(data: bytes) -> Stat | None:
    """None if it is not such a line. A process chooses its name, and may put anything in it but a NUL:
    behind the last parenthesis there are only numbers, so nothing that it writes can pose as one of
    them."""
    opening, closing = data.find(b"("), data.rfind(b")")
    fields = data[closing + 1 :].split(None, 39)
    if not 0 < opening < closing or len(fields) < 20:
        return None
    try:
        return Stat(
            comm=data[opening + 1 : closing].decode(errors="replace"),
            state=fields[0].decode(errors="replace"),
            ppid=int(fields[1]),
            sid=int(fields[3]),
            terminal=fields[4] != b"0",
            flags=int(fields[6]),
            nice=int(fields[16]),
            threads=int(fields[17]),
            start_ticks=int(fields[19]),
            sched=_SCHEDULING.get(fields[38], "other") if len(fields) > 38 else "other",
        )
    except ValueError:
        return None
