"""A small /proc and /sys of real files, which tests fill with the processes and readings they need.

All sizes are bytes. Files are rewritten in place, so that a sensor which holds one open sees what changed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
GIB = 1 << 30

_PF_KTHREAD = 0x200000
_SCHEDULING = {"other": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5, "deadline": 6}


@dataclass(frozen=True)
class Machine:
    """What the machine-wide files say; PSI's `total` is in seconds."""

    mem_total: int = 1 * GIB
    mem_available: int = 800 * MIB
    mem_free: int = 600 * MIB
    swap_total: int = 0
    swap_free: int = 0
    shmem: int = 0
    anon: int = 100 * MIB
    hugetlb: int = 0
    zswap: int = 0
    psi: bool = True
    """False: a kernel without PSI, its file is gone."""
    psi_some_avg10: float = 0.0
    psi_some_avg60: float = 0.0
    psi_some_total_s: float = 0.0
    psi_full_avg10: float = 0.0
    psi_full_avg60: float = 0.0
    psi_full_total_s: float = 0.0
    pgscan_kswapd: int = 0
    pgscan_direct: int = 0
    pgsteal_kswapd: int = 0
    pgsteal_direct: int = 0
    refault_anon: int = 0
    refault_file: int = 0
    pswpin: int = 0
    pswpout: int = 0
    pgmajfault: int = 0
    oom_kill: int = 0
    pcp_pages: int = 0
    last_pid: int = 1


@dataclass(frozen=True)
class _Task:
    pid: int
    comm: bytes
    ppid: int
    uid: int
    nice: int
    state: str
    threads: int
    start_ticks: int
    cgroup: str
    flags: int
    anon: int
    file: int
    shmem: int
    swap: int
    pagetables: int
    has_memory: bool
    kill_pending: bool
    gid: int
    sid: int
    tty: int
    sched: str


class FakeProc:
    """`root` is the directory for a whole tree: /proc becomes `proc_root`, /sys `sys_root`; `fd` is /proc
    open.

    Use it as a context manager, or call `close`, so that no descriptor outlives the test.
    """

    def __init__(self, root: Path, **machine: Any) -> None:
        self.proc_root = str(root / "proc")
        self.sys_root = str(root / "sys")
        self._proc = root / "proc"
        self._sys = root / "sys"
        self._proc.mkdir(parents=True)
        self._sys.mkdir()
        self.fd = os.open(self._proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.now = Machine()
        self.machine(**machine)
        self._link("self/ns/user", b"user:[4026531837]")
        self.write("swaps", b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
        self.write("sys/kernel/pid_max", b"32768\n")
        self.write("sys/vm/swappiness", b"60\n")

    def __enter__(self) -> FakeProc:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close `fd`; may be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def write(self, name: str, data: bytes) -> None:
        """Any file below /proc, e.g. to put garbage there."""
        _write(self._proc / name, data)

    def machine(self, **changes: Any) -> None:
        """Change some of `Machine`'s fields and write all machine-wide files."""
        self.now = replace(self.now, **changes)
        self.write("meminfo", meminfo(self.now))
        self.write("vmstat", vmstat(self.now))
        self.write("zoneinfo", zoneinfo(self.now.pcp_pages))
        self.write("loadavg", f"0.00 0.01 0.05 1/99 {self.now.last_pid}\n".encode())
        if self.now.psi:
            self.write("pressure/memory", pressure(self.now))
        else:
            (self._proc / "pressure/memory").unlink(missing_ok=True)

    def zram(self, size: int, used: int, orig: int, memory: int, limit: int = 0) -> None:
        """One swap area on zram0: `used` of `size` taken, which holds `orig` bytes in `memory` bytes."""
        line = f"/dev/zram0 partition\t{size // 1024}\t\t{used // 1024}\t\t100\n"
        self.write("swaps", b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" + line.encode())
        stat = f"{orig:8} {memory * 9 // 10:8} {memory:8} {limit:8} {memory:8} 0 0 0 0\n"
        _write(self._sys / "block/zram0/mm_stat", stat.encode())

    def arc(self, size: int, minimum: int) -> None:
        """The cache of ZFS."""
        rows = f"hits 4 12\nc_min 4 {minimum}\nc_max 4 {size * 2}\nsize 4 {size}\ncompressed_size 4 1\n"
        self.write("spl/kstat/zfs/arcstats", b"13 1 0x01 5 1360 1 2\nname type data\n" + rows.encode())

    def add(
        self,
        pid: int,
        comm: str | bytes = "task",
        *,
        ppid: int = 1,
        uid: int = 1000,
        nice: int = 0,
        state: str = "S",
        threads: int = 1,
        start_ticks: int = 100,
        cgroup: str = "/",
        rss: int = 0,
        rss_file: int = 0,
        rss_shmem: int = 0,
        swap: int = 0,
        pagetables: int = 0,
        adj: int = 0,
        kernel_thread: bool = False,
        kill_pending: bool = False,
        flags: int = 0x400000,
        oom_score: int | None = None,
        gid: int = 0,
        sid: int = 0,
        tty: int = 0,
        sched: str = "other",
        exe: str | bytes | None = None,
        cmdline: str | bytes | None = None,
        children: Iterable[int] | None = None,
    ) -> None:
        """A process; `rss` is its anonymous memory. An existing one of that pid is replaced.

        State "Z" with more than one thread is a leader that has exited: its memory is then shown by its
        second thread only. `oom_score` is what a kernel from 5.9 on would compute, unless given. `cmdline`
        as text has blanks between its arguments. What is None has no file: `exe` and `cmdline` as if they
        could not be read, `children` as on a kernel that does not tell.
        """
        self.remove(pid)
        zombie = state == "Z"
        has_memory = not zombie and not kernel_thread
        leader = _Task(
            pid=pid,
            comm=comm.encode() if isinstance(comm, str) else comm,
            ppid=ppid,
            uid=uid,
            nice=nice,
            state=state,
            threads=threads,
            start_ticks=start_ticks,
            cgroup=cgroup,
            flags=flags | (_PF_KTHREAD if kernel_thread else 0) | (0x4 if zombie else 0),
            anon=rss,
            file=rss_file,
            shmem=rss_shmem,
            swap=swap,
            pagetables=pagetables,
            has_memory=has_memory,
            kill_pending=kill_pending,
            gid=gid,
            sid=sid,
            tty=tty,
            sched=sched,
        )
        eligible = pid != 1 and not kernel_thread and (has_memory or threads > 1)
        if oom_score is None:
            oom_score = self._oom_score(leader, adj) if eligible else 0
        self._write_process(leader, adj, oom_score)
        self._write_program(pid, exe, cmdline)
        for index in range(threads if children is not None else 0):
            listed = " ".join(map(str, children or ())) if index == 0 else ""
            self.write(f"{pid}/task/{pid + index}/children", listed.encode())
        if pid > self.now.last_pid:
            self.now = replace(self.now, last_pid=pid)
            self.write("loadavg", f"0.00 0.01 0.05 1/99 {pid}\n".encode())

    def remove(self, pid: int) -> None:
        """It is gone at once, as far as lookups below /proc tell; no error if there was none."""
        grave = self._proc / f".{pid}"
        try:
            (self._proc / str(pid)).rename(grave)
        except FileNotFoundError:
            return
        shutil.rmtree(grave)

    def _write_process(self, leader: _Task, adj: int, oom_score: int) -> None:
        home = f"{leader.pid}"
        _write_task(self._proc / home, leader)
        self._link(f"{home}/ns/user", b"user:[4026531837]")
        self.write(f"{home}/oom_score", f"{oom_score}\n".encode())
        self.write(f"{home}/oom_score_adj", f"{adj}\n".encode())
        self.write(f"{home}/cgroup", f"0::{leader.cgroup}\n".encode())
        resident = leader.anon + leader.file + leader.shmem if leader.has_memory else 0
        self.write(f"{home}/statm", f"{resident // PAGE} {resident // PAGE} 0 0 0 0 0\n".encode())
        for index in range(leader.threads):
            thread = leader
            if index > 0 and leader.state == "Z":
                thread = replace(leader, state="S", has_memory=True, flags=leader.flags & ~0x4)
            _write_task(self._proc / home / "task" / str(leader.pid + index), thread)

    def _link(self, name: str, target: bytes) -> None:
        path = self._proc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, os.fsencode(path))

    def _write_program(self, pid: int, exe: str | bytes | None, cmdline: str | bytes | None) -> None:
        if exe is not None:
            os.symlink(os.fsencode(exe), os.fsencode(self._proc / f"{pid}/exe"))
        if cmdline is not None:
            data = cmdline if isinstance(cmdline, bytes) else cmdline.replace(" ", "\0").encode() + b"\0"
            self.write(f"{pid}/cmdline", data)

    def _oom_score(self, task: _Task, adj: int) -> int:
        if adj == -1000:
            return 0
        total_pages = (self.now.mem_total + self.now.swap_total) // PAGE
        resident = task.anon + task.file + task.shmem + task.swap
        points = resident // PAGE + task.pagetables // PAGE + adj * (total_pages // 1000)
        share = abs(points) * 1000 // total_pages * (1 if points >= 0 else -1)
        scaled = (1000 + share) * 2
        return max(0, abs(scaled) // 3 * (1 if scaled >= 0 else -1))


class FakeCgroups:
    """A cgroup tree of real files below `root`, to be opened with `find_cgroups(str(root))`.

    Nothing happens by itself: who writes cgroup.kill kills nobody, and cgroup.events says what `add` was
    told. v1 has the processes in memory/ and freezer/.
    """

    def __init__(self, root: Path, version: int = 2) -> None:
        self.root = root
        self._trees = [root] if version == 2 else [root / "memory", root / "freezer"]
        self._version = version
        for tree in self._trees:
            _write(tree / "cgroup.procs", b"")
        if version == 2:
            _write(root / "cgroup.controllers", b"cpu memory pids\n")

    def add(self, cgroup: str, procs: Iterable[int] = (), frozen: bool = False, **files: int | str) -> None:
        """A cgroup; those above it are made if they are not there. `files` by their names, with underscores
        for the dots: memory_low=4096, memory_oom_group=1."""
        path = ""
        for name in cgroup.strip("/").split("/"):
            path = f"{path}/{name}"
            if not (self._trees[0] / path[1:]).exists():
                self._make(path)
        listed = "".join(f"{pid}\n" for pid in procs)
        for tree in self._trees:
            _write(tree / cgroup.strip("/") / "cgroup.procs", listed.encode())
        if self._version == 2:
            self.write(cgroup, "cgroup.events", f"populated {int(bool(listed))}\nfrozen {int(frozen)}\n")
        for name, value in files.items():
            self.write(cgroup, name.replace("_", ".", 2), f"{value}\n")

    def write(self, cgroup: str, name: str, text: str) -> None:
        """One of its files (v1: of the memory controller)."""
        _write(self._trees[0] / cgroup.strip("/") / name, text.encode())

    def read(self, cgroup: str, name: str) -> str:
        """What was last written into one of its files (v1: freezer.state)."""
        tree = self._trees[-1 if name.startswith("freezer.") else 0]
        return (tree / cgroup.strip("/") / name).read_text()

    def remove(self, cgroup: str) -> None:
        """With everything below it."""
        for tree in self._trees:
            shutil.rmtree(tree / cgroup.strip("/"))

    def _make(self, path: str) -> None:
        if self._version == 1:
            for tree in self._trees:
                _write(tree / path[1:] / "cgroup.procs", b"")
            _write(self._trees[1] / path[1:] / "freezer.state", b"THAWED\n")
            return
        for name, text in _CGROUP_FILES.items():
            self.write(path, name, text)


_CGROUP_FILES = {
    "cgroup.procs": "",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "cgroup.freeze": "0\n",
    "cgroup.kill": "",
    "memory.current": "0\n",
    "memory.min": "0\n",
    "memory.low": "0\n",
    "memory.high": "max\n",
    "memory.oom.group": "0\n",
}
"""Of a v2 cgroup in which nothing was set."""


def meminfo(m: Machine) -> bytes:
    """The lines of /proc/meminfo in the kernel's order."""
    cached = max(0, m.mem_available - m.mem_free)
    rows = (
        ("MemTotal", m.mem_total),
        ("MemFree", m.mem_free),
        ("MemAvailable", m.mem_available),
        ("Buffers", 0),
        ("Cached", cached + m.shmem),
        ("SwapCached", 0),
        ("Active", m.anon + cached // 2),
        ("Inactive", cached // 2),
        ("Active(anon)", m.anon),
        ("Inactive(anon)", m.shmem),
        ("Active(file)", cached // 2),
        ("Inactive(file)", cached // 2),
        ("SwapTotal", m.swap_total),
        ("SwapFree", m.swap_free),
        ("Zswap", m.zswap),
        ("Zswapped", m.zswap * 3),
        ("Dirty", 0),
        ("AnonPages", m.anon),
        ("Shmem", m.shmem),
        ("SReclaimable", 0),
    )
    text = "".join(f"{name + ':':16}{value // 1024:8} kB\n" for name, value in rows)
    pages = m.hugetlb // (2 * MIB)
    text += (
        f"HugePages_Total:{pages:8}\nHugepagesize:       2048 kB\nHugetlb:        {m.hugetlb // 1024:8} kB\n"
    )
    return text.encode()


def vmstat(m: Machine) -> bytes:
    """The counters of /proc/vmstat that matter, in the kernel's order; in pages."""
    rows = (
        ("nr_free_pages", m.mem_free // PAGE),
        ("workingset_refault_anon", m.refault_anon),
        ("workingset_refault_file", m.refault_file),
        ("pswpin", m.pswpin),
        ("pswpout", m.pswpout),
        ("pgmajfault", m.pgmajfault),
        ("pgsteal_kswapd", m.pgsteal_kswapd),
        ("pgsteal_direct", m.pgsteal_direct),
        ("pgscan_kswapd", m.pgscan_kswapd),
        ("pgscan_direct", m.pgscan_direct),
        ("pgscan_direct_throttle", 0),
        ("oom_kill", m.oom_kill),
        ("nr_unstable", 0),
    )
    return "".join(f"{name} {value}\n" for name, value in rows).encode()


def pressure(m: Machine) -> bytes:
    """/proc/pressure/memory."""
    some, full = int(m.psi_some_total_s * 1e6), int(m.psi_full_total_s * 1e6)
    return (
        f"some avg10={m.psi_some_avg10:.2f} avg60={m.psi_some_avg60:.2f} avg300=0.00 total={some}\n"
        f"full avg10={m.psi_full_avg10:.2f} avg60={m.psi_full_avg60:.2f} avg300=0.00 total={full}\n"
    ).encode()


def zoneinfo(pcp_pages: int) -> bytes:
    """One zone with two CPUs that share `pcp_pages` of free pages in their lists."""
    counts = (pcp_pages - pcp_pages // 2, pcp_pages // 2)
    sets = "".join(
        f"    cpu: {cpu}\n              count:    {count}\n              high:     1\n"
        for cpu, count in enumerate(counts)
    )
    head = "Node 0, zone   Normal\n  pages free     381\n        low      68\n      nr_free_pages 381\n"
    return f"{head}  pagesets\n{sets}  node_unreclaimable:  0\n  start_pfn:           1048576\n".encode()


def _write_task(home: Path, task: _Task) -> None:
    home.mkdir(parents=True)
    numbers = [0] * 49
    numbers[0], numbers[2], numbers[3], numbers[5] = task.ppid, task.sid, task.tty, task.flags
    numbers[14], numbers[15], numbers[16] = 20 + task.nice, task.nice, task.threads
    numbers[18] = task.start_ticks
    numbers[37] = _SCHEDULING[task.sched]
    tail = " ".join(map(str, numbers)).encode()
    _write(home / "stat", b"%d (%b) %b %b\n" % (task.pid, task.comm, task.state.encode(), tail))
    _write(home / "status", _status(task))
    _write(home / "comm", task.comm + b"\n")


def _status(task: _Task) -> bytes:
    name = task.comm.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    head = (
        f"State:\t{task.state}\nTgid:\t{task.pid}\nPid:\t{task.pid}\nPPid:\t{task.ppid}\n"
        f"Tgid:\t{task.pid}\nUid:\t{task.uid}\t{task.uid}\t{task.uid}\t{task.uid}\n"
        f"Gid:\t{task.gid}\t{task.gid}\t{task.gid}\t{task.gid}\nGroups:\t \n"
    )
    sizes = (
        ("VmSize", task.anon + task.file + task.shmem),
        ("VmRSS", task.anon + task.file + task.shmem),
        ("RssAnon", task.anon),
        ("RssFile", task.file),
        ("RssShmem", task.shmem),
        ("VmPTE", task.pagetables),
        ("VmSwap", task.swap),
    )
    memory = "".join(f"{key}:\t{value // 1024:8} kB\n" for key, value in sizes) if task.has_memory else ""
    pending = 1 << 8 if task.kill_pending else 0
    tail = f"Threads:\t{task.threads}\nSigPnd:\t{0:016x}\nShdPnd:\t{pending:016x}\n"
    return b"Name:\t" + name + b"\n" + (head + memory + tail).encode()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
