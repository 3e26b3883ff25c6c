"""/proc/PID: who is there, how bad the kernel thinks each one is, and everything about a few of them.

A process that has gone, or that we may not see, is None everywhere. Nothing here waits for the process: what
may (its command line) is in program.py.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator

from oomguardd.kernel.files import SensorError, open_dir, read_records, read_small
from oomguardd.kernel.task_stat import Stat, parse_stat
from oomguardd.kernel.task_status import Status, parse_status
from oomguardd.model import Candidate, Glance

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_READ = os.O_RDONLY | os.O_CLOEXEC
_SCAN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OURS = (errno.EMFILE, errno.ENFILE)
"""Not that process's fault but ours: taken for "gone", it would hide everybody."""


def pids(proc_fd: int) -> Generator[int, None, None]:
    """Every process, as the directory is read: no list of them all exists. OSError if /proc cannot be
    listed."""
    # A descriptor of its own, because a duplicate would share its position with another scan's.
    fd = os.open(".", _SCAN, dir_fd=proc_fd)
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                name = entry.name
                if name.isdecimal():
                    yield int(name)
    finally:
        os.close(fd)


def glance(proc_fd: int, pid: int) -> int | None:
    """The kernel's oom_score of one process."""
    return _read_number(proc_fd, f"{pid}/oom_score")


def glances(proc_fd: int) -> Generator[Glance, None, None]:
    """The oom_score of every process. OSError if /proc cannot be listed, or if we have no descriptor left."""
    # 10 µs a process, nine of them the kernel's: one loop without these two calls was no faster.
    for pid in pids(proc_fd):
        score = glance(proc_fd, pid)
        if score is not None:
            yield Glance(score, pid)


def read_adj(proc_fd: int, pid: int) -> int | None:
    """oom_score_adj, -1000 to 1000."""
    return _read_number(proc_fd, f"{pid}/oom_score_adj")


def resident_pages(proc_fd: int, pid: int) -> int | None:
    """Pages in memory, from statm; 0 for a kernel thread, and for a leader that is a zombie, threads or
    not."""
    data = _read(proc_fd, f"{pid}/statm", 128)
    words = data.split(None, 2) if data else []
    try:
        return int(words[1]) if len(words) > 1 else None
    except ValueError:
        return None


def start_ticks(proc_fd: int, pid: int) -> int | None:
    """When it was started, in clock ticks since boot: with the pid, the identity of a process."""
    stat = _read_stat(proc_fd, f"{pid}/stat")
    return stat.start_ticks if stat else None


def is_process(proc_fd: int, pid: int) -> bool:
    """Whether it is the pid of a process, and not of one more thread: /proc answers for those, too, though
    it does not list them."""
    status = _read_status(proc_fd, f"{pid}/status")
    return status is not None and status.tgid == pid


def held_bytes(proc_fd: int, pid: int) -> int | None:
    """As `Candidate.held_bytes`, for a third of what `inspect` costs."""
    status = _read_status(proc_fd, f"{pid}/status")
    if status is None or not status.has_memory:
        c = inspect(proc_fd, pid, 0.0)  # perhaps a leader that is a zombie
        return None if c is None else c.held_bytes
    return status.rss_anon_bytes + status.rss_shmem_bytes + status.swap_bytes + status.pagetables_bytes


def read_cgroup(proc_fd: int, pid: int) -> str | None:
    """As `parse_cgroup`."""
    data = _read(proc_fd, f"{pid}/cgroup", 4096)
    return None if data is None else parse_cgroup(data)


def inspect(proc_fd: int, pid: int, now_boot_s: float) -> Candidate | None:
    """A process in full; None also for a zombie of which no thread lives. `now_boot_s` is CLOCK_BOOTTIME,
    for its age.

    All its files are read below one descriptor of its directory, so that they tell of one process even
    when the pid is given to another meanwhile.
    """
    try:
        fd = open_dir(str(pid), proc_fd)
    except OSError as error:
        _raise_if_ours(error)
        return None
    try:
        return _inspect(fd, pid, now_boot_s)
    finally:
        os.close(fd)


def own_ancestors(proc_fd: int, pid: int | None = None) -> frozenset[int]:
    """A process (by default this one) and those it descends from, as far as our pid namespace shows them."""
    found: set[int] = set()
    current = os.getpid() if pid is None else pid
    while current > 0 and current not in found:
        found.add(current)
        stat = _read_stat(proc_fd, f"{current}/stat")
        current = stat.ppid if stat else 0
    return frozenset(found)


def parent(proc_fd: int, pid: int) -> tuple[int, str] | None:
    """One step from a process up to init: the pid of its parent, 0 above init, and its own name."""
    stat = _read_stat(proc_fd, f"{pid}/stat")
    return (stat.ppid, stat.comm) if stat else None


def children(proc_fd: int, pid: int) -> list[int] | None:
    """The processes that its threads have started, zombies too; none if it has gone. While it runs,
    some may be missing. None where the kernel does not tell (CONFIG_PROC_CHILDREN).
    """
    try:
        fd = os.open(f"{pid}/task", _SCAN, dir_fd=proc_fd)
    except OSError as error:
        _raise_if_ours(error)
        return []
    found: list[int] = []
    try:
        for tid in pids(fd):
            data = _read_list(fd, f"{tid}/children")
            if data is None and _read(fd, f"{tid}/stat", 1024) is not None:
                return None
            found += map(int, data.split() if data else ())
    except OSError as error:
        _raise_if_ours(error)
    finally:
        os.close(fd)
    return found


def parse_last_pid(loadavg: bytes) -> int:
    """The pid that was given away last, the last word of /proc/loadavg. SensorError if it is no number."""
    try:
        return int(loadavg.split()[-1])
    except (ValueError, IndexError):
        raise SensorError(f"/proc/loadavg: ends in no pid: {loadavg[:80]!r}") from None


def read_last_pid(proc_fd: int) -> int:
    """As `parse_last_pid`; OSError if the file cannot be read."""
    return parse_last_pid(read_small(proc_fd, "loadavg", 256))


def read_pid_max(proc_fd: int) -> int:
    """One more than the largest pid; above it they begin again from below. SensorError, OSError."""
    data = read_small(proc_fd, "sys/kernel/pid_max", 64)
    try:
        return int(data)
    except ValueError:
        raise SensorError(f"/proc/sys/kernel/pid_max: no number: {data!r}") from None


def parse_cgroup(data: bytes) -> str:
    """The cgroup that counts its memory, as a path below that hierarchy's root; empty if there is none.

    v1's memory controller first, then systemd's own hierarchy, then v2, whose line is empty of meaning
    where the controllers are in v1.
    """
    best, best_rank = b"", 0
    for line in data.split(b"\n"):
        _, _, rest = line.partition(b":")
        controllers, colon, path = rest.partition(b":")
        rank = _cgroup_rank(controllers) if colon else 0
        if rank > best_rank:
            best, best_rank = path, rank
    return best.decode(errors="replace")


def _cgroup_rank(controllers: bytes) -> int:
    if not controllers:
        return 1
    if controllers == b"name=systemd":
        return 2
    return 3 if b"memory" in controllers.split(b",") else 0


def _inspect(fd: int, pid: int, now_boot_s: float) -> Candidate | None:
    stat, status = _read_stat(fd, "stat"), _read_status(fd, "status")
    adj, cgroup = _read_number(fd, "oom_score_adj"), _read(fd, "cgroup", 4096)
    if stat is None or status is None or adj is None or status.tgid != pid:
        return None
    exiting = stat.exiting
    if not status.has_memory and not stat.kernel_thread:
        live = _live_thread(fd) if stat.threads > 1 else None
        if live is not None:
            status, exiting, cgroup = live
        elif stat.state in "ZXx":
            return None
    return Candidate(
        pid=pid,
        ppid=stat.ppid,
        start_ticks=stat.start_ticks,
        comm=stat.comm,
        sid=stat.sid,
        terminal=stat.terminal,
        sched=stat.sched,
        uid=status.uid,
        gid=status.gid,
        nice=stat.nice,
        age_s=max(0.0, now_boot_s - stat.start_ticks / _TICKS_PER_S),
        state=stat.state,
        threads=stat.threads,
        cgroup=parse_cgroup(cgroup or b""),
        rss_anon_bytes=status.rss_anon_bytes,
        rss_file_bytes=status.rss_file_bytes,
        rss_shmem_bytes=status.rss_shmem_bytes,
        swap_bytes=status.swap_bytes,
        pagetables_bytes=status.pagetables_bytes,
        oom_score_adj=adj,
        dying=exiting or status.kill_pending,
        kernel_thread=stat.kernel_thread,
    )


def _live_thread(fd: int) -> tuple[Status, bool, bytes | None] | None:
    """The first thread that still has the memory, whether it is exiting, and its cgroups (v1 moves a
    zombie to the root). A main thread that has
    called exit is a zombie without any, while the others may hold gigabytes; the kernel looks through all
    of them as well."""
    try:
        task_fd = os.open("task", _SCAN, dir_fd=fd)
    except OSError as error:
        _raise_if_ours(error)
        return None
    try:
        for tid in pids(task_fd):
            status = _read_status(task_fd, f"{tid}/status")
            if status is not None and status.has_memory:
                stat = _read_stat(task_fd, f"{tid}/stat")
                return status, stat is None or stat.exiting, _read(task_fd, f"{tid}/cgroup", 4096)
    except OSError as error:
        _raise_if_ours(error)
        return None
    finally:
        os.close(task_fd)
    return None


def _read_stat(fd: int, name: str) -> Stat | None:
    data = _read(fd, name, 1024)
    return parse_stat(data) if data else None


def _read_status(fd: int, name: str) -> Status | None:
    data = _read(fd, name, 4096)
    return parse_status(data) if data else None


def _read_number(fd: int, name: str) -> int | None:
    data = _read(fd, name, 32)
    try:
        return int(data) if data else None
    except ValueError:
        return None


def _read(fd: int, name: str, size: int) -> bytes | None:
    try:
        return read_small(fd, name, size)
    except OSError as error:
        _raise_if_ours(error)
        return None


def _read_list(fd: int, name: str) -> bytes | None:
    try:
        return read_records(fd, name)
    except OSError as error:
        _raise_if_ours(error)
        return None


def _raise_if_ours(error: OSError) -> None:
    """Whatever keeps us from reading a process concerns that one only, unless it is we who have run out."""
    if error.errno in _OURS:
        raise error
