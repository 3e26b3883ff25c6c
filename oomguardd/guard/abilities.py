"""What this kernel, this machine and these privileges do not give us, and what that costs.

Rule of this file: said once at start; fatal only where we could kill nobody.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator

from oomguardd.engine.badness import oom_score
from oomguardd.guard.errors import StartError
from oomguardd.guard.harden import Missing
from oomguardd.guard.scout import pid_is_visible
from oomguardd.kernel.capability import effective
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.process import glance, pids, read_adj, start_ticks
from oomguardd.kernel.process import inspect as inspect_process
from oomguardd.kernel.syscalls import process_mrelease
from oomguardd.model import Totals

OTHERS = ("earlyoom", "systemd-oomd", "nohang", "nohang-desktop", "oomd", "bustd")
"""Process names of other daemons that kill when memory is short."""


def demand_kill(proc_fd: int, dry_run: bool) -> None:
    """StartError where nobody could be killed."""
    try:
        fd = os.pidfd_open(os.getpid())
        try:
            signal.pidfd_send_signal(fd, 0)  # 0 only asks
        finally:
            os.close(fd)
    except OSError as error:
        if not dry_run:
            raise StartError(
                f"pidfd_open or pidfd_send_signal: {error.strerror}; this needs Linux 5.3 or newer"
                " and a system call filter that allows them (--dry-run works without)"
            ) from None
    if start_ticks(proc_fd, os.getpid()) is None:
        raise StartError("/proc does not show this process; mount it (mount -t proc proc /proc)")


def may_signal_all(proc_fd: int) -> bool:
    """Whether other users' processes can be killed."""
    try:
        return "KILL" in effective(proc_fd)
    except (OSError, SensorError):
        return False


def missing(proc_fd: int, totals: Totals) -> Iterator[Missing]:
    """Everything that is not there, one by one."""
    yield from _privileges(proc_fd)
    yield from _kernel(proc_fd, totals)
    yield from _rivals(proc_fd)


def _privileges(proc_fd: int) -> Iterator[Missing]:
    if not may_signal_all(proc_fd):
        yield Missing(
            "CAP_KILL",
            f"only processes of uid {os.geteuid()} can be killed",
            "run as root, or AmbientCapabilities=CAP_KILL in the unit",
        )
    if os.getpid() != 1 and not pid_is_visible(proc_fd, 1):
        yield Missing(
            "other users' processes in /proc (hidepid)",
            "only processes that this user sees can be chosen",
            "CAP_SYS_PTRACE, or the mount option gid= of /proc",
        )


def _kernel(proc_fd: int, totals: Totals) -> Iterator[Missing]:
    fd = os.pidfd_open(os.getpid())
    try:
        if process_mrelease(fd) == errno.ENOSYS:
            yield Missing(
                "process_mrelease (Linux 5.15)",
                "the memory of a victim that cannot run is freed only when it runs",
                "a newer kernel",
            )
    finally:
        os.close(fd)
    adj, score = read_adj(proc_fd, os.getpid()), glance(proc_fd, os.getpid())
    expected = oom_score((adj or 0) * totals.point_pages, totals)
    if adj is not None and score is not None and adj > -1000 and score < expected - 1:
        yield Missing(
            "the badness formula of Linux 5.9",
            "this kernel would weigh negative oom_score_adj differently than we do",
            "a newer kernel",
        )


def _rivals(proc_fd: int) -> Iterator[Missing]:
    for pid in pids(proc_fd):
        c = inspect_process(proc_fd, pid, 0.0)
        # The kernel cuts a name to 15 bytes.
        if c is not None and not c.kernel_thread and any(c.comm == name[:15] for name in OTHERS):
            yield Missing(
                f"being alone: {c.comm} (pid {c.pid}) runs too",
                "two daemons may kill one victim each for the same shortage",
                f"systemctl disable --now {c.comm}",
            )
