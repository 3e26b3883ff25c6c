"""Being able to act when nothing else can: memory locked, priority raised, not a victim itself.

Rule of this file: every step that fails is an ability that is missing, with what it costs and the remedy;
none is
fatal. Two-step locking would keep every page of the interpreter; locking on fault keeps what the rehearsal
touched, which is the whole path, and stays small.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import resource
from typing import NamedTuple

from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.syscalls import MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, lock_memory, trim_heap

PROBE_BYTES = 16 << 20
PROBE_CPUS = 8
"""More processors than this do not fill memory faster: it is the memory that is busy then."""
FILL_MIN = 256 << 20
FILL_MAX = 64 << 30
FDS_MAX = 1 << 17
"""More descriptors than these are no use: one for each of those who die together (kill.max_processes)."""
FDS_BESIDE = 64
"""What else is open."""
_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, Linux 5.14: fault in, without a store from user space


class Missing(NamedTuple):
    """An ability that is not there."""

    what: str
    cost: str
    remedy: str


def fill_rate() -> float:
    """How fast this machine could fill memory, in bytes per second: measured on 16 MiB, times its
    processors.
    """
    with mmap.mmap(-1, PROBE_BYTES) as area:
        began_s = monotonic_s()
        try:
            area.madvise(_POPULATE_WRITE)
        except OSError:
            for offset in range(0, PROBE_BYTES, mmap.PAGESIZE):
                area[offset] = 1
        took_s = monotonic_s() - began_s
    rate = PROBE_BYTES / max(took_s, 1e-6) * min(os.cpu_count() or 1, PROBE_CPUS)
    return min(max(rate, FILL_MIN), FILL_MAX)


def raise_priority(realtime: bool) -> Missing | None:
    """nice -20 for all threads, and SCHED_FIFO 1 for the main one; children start as ordinary processes."""
    for thread in os.listdir("/proc/self/task"):  # the reaper holds the interpreter lock at times
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, int(thread), -20)
    if not realtime:
        return None
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError as error:
        if os.getpriority(os.PRIO_PROCESS, 0) == -20:
            return None
        return Missing(
            f"raised priority ({error.strerror})",
            "on a busy machine the guard waits for a processor like everybody else",
            "CAP_SYS_NICE, or Nice=-20 in the unit",
        )
    return None


def raise_descriptor_limit(proc_fd: int, processes: int) -> Missing | None:
    """As many descriptors as there may be, and room in the kernel's table for those that it takes to hold so
    many processes: a table that has to grow while memory is short makes us wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FDS_MAX if hard == resource.RLIM_INFINITY else min(hard, FDS_MAX)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    wanted = processes + FDS_BESIDE
    enough = soft == resource.RLIM_INFINITY or soft >= wanted
    with contextlib.suppress(OSError):
        os.close(os.dup2(proc_fd, wanted if enough else soft - 1, inheritable=False))
    if enough:
        return None
    return Missing(
        f"{wanted} descriptors (the limit is {soft})",
        f"of those who die together only about {soft - FDS_BESIDE} are followed at a time, the others after"
        " them",
        f"LimitNOFILE={wanted} in the unit, or a smaller kill.max_processes",
    )


def protect_self(proc_fd: int) -> Missing | None:
    """oom_score_adj -1000, so that the kernel's killer does not take the guard."""
    try:
        fd = os.open("self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC, dir_fd=proc_fd)
    except OSError as error:
        return _not_protected(error)
    try:
        if int(os.pread(fd, 32, 0)) > -900:
            os.write(fd, b"-1000")
    except OSError as error:
        return _not_protected(error)
    finally:
        os.close(fd)
    return None


def _not_protected(error: OSError) -> Missing:
    return Missing(
        f"own oom_score_adj ({error.strerror})",
        "the kernel's OOM killer may take the guard itself",
        "OOMScoreAdjust=-1000 in the unit, or CAP_SYS_RESOURCE",
    )


def lock() -> Missing | None:
    """Freezes what is alive, and locks every page that was touched and every one that will be."""
    gc.collect()
    gc.freeze()
    trim_heap()
    error = lock_memory(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
    if error is None:
        return None
    return Missing(
        f"locked memory ({error.strerror})",
        "under pressure the guard's own pages may be swapped or dropped, and a kill may come late",
        "LimitMEMLOCK=infinity in the unit, or CAP_IPC_LOCK",
    )
