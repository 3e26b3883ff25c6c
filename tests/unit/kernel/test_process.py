"""/proc/PID: small trees for what a kernel rarely does, and the live kernel for everything else."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from oomguardd.kernel.clock import boottime_s
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.process import (
    glance,
    glances,
    inspect,
    own_ancestors,
    parse_cgroup,
    parse_last_pid,
    pids,
    read_adj,
    read_last_pid,
    read_pid_max,
    resident_pages,
    start_ticks,
)
from oomguardd.kernel.task_stat import parse_stat
from oomguardd.kernel.task_status import parse_status
from oomguardd.model import Candidate
from tests.fakes import MIB, PAGE, FakeProc

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[FakeProc]:
    with FakeProc(tmp_path) as fake:
        yield fake


@pytest.fixture
def live() -> Iterator[int]:
    fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def seen(proc: FakeProc, pid: int) -> Candidate:
    candidate = inspect(proc.fd, pid, 50.0)
    assert candidate is not None
    return candidate


def inspect_now(proc_fd: int, pid: int) -> Candidate | None:
    return inspect(proc_fd, pid, boottime_s())


def test_every_field_of_a_process(proc: FakeProc) -> None:
    proc.add(
        42,
        "firefox",
        ppid=7,
        uid=1001,
        nice=5,
        threads=3,
        start_ticks=20 * TICKS_PER_S,
        cgroup="/user.slice/app",
        rss=8 * MIB,
        rss_file=4 * MIB,
        rss_shmem=2 * MIB,
        swap=16 * MIB,
        pagetables=64 << 10,
        adj=200,
    )
    assert seen(proc, 42) == Candidate(
        pid=42,
        ppid=7,
        start_ticks=20 * TICKS_PER_S,
        comm="firefox",
        uid=1001,
        nice=5,
        age_s=30.0,
        state="S",
        threads=3,
        cgroup="/user.slice/app",
        rss_anon_bytes=8 * MIB,
        rss_file_bytes=4 * MIB,
        rss_shmem_bytes=2 * MIB,
        swap_bytes=16 * MIB,
        pagetables_bytes=64 << 10,
        oom_score_adj=200,
    )
    assert resident_pages(proc.fd, 42) == 14 * MIB // PAGE
    assert read_adj(proc.fd, 42) == 200
    assert start_ticks(proc.fd, 42) == 20 * TICKS_PER_S


@pytest.mark.parametrize(
    "comm",
    [
        b"foo) Z 1",
        b"foo) Z ",
        b"((((",
        b"))))",
        b"",
        b"a\nb",
        b"x\nVmRSS:\t1 kB",
        b"Uid:\t0",
        b"\xff\xfe",
        b"\\n) R 1",
    ],
)
def test_a_hostile_name_changes_nothing_else(proc: FakeProc, comm: bytes) -> None:
    proc.add(42, comm, uid=1001, nice=5, rss=8 * MIB)
    found = seen(proc, 42)
    assert (found.nice, found.uid, found.state, found.rss_anon_bytes) == (5, 1001, "S", 8 * MIB)
    assert found.comm == comm.decode(errors="replace")


def test_a_process_that_is_gone_is_none_everywhere(proc: FakeProc) -> None:
    proc.add(42)
    proc.remove(42)
    assert inspect(proc.fd, 42, 0.0) is None
    assert glance(proc.fd, 42) is None
    assert read_adj(proc.fd, 42) is None
    assert resident_pages(proc.fd, 42) is None
    assert start_ticks(proc.fd, 42) is None
    assert list(pids(proc.fd)) == []


@pytest.mark.parametrize("name", ["stat", "status", "oom_score_adj"])
@pytest.mark.parametrize("data", [b"", b"\0", b"garbage\n", b"42 (a) S"])
def test_a_garbled_process_drops_only_itself(proc: FakeProc, name: str, data: bytes) -> None:
    proc.add(41, rss=MIB)
    proc.add(42, rss=MIB)
    proc.write(f"42/{name}", data)
    assert inspect(proc.fd, 42, 0.0) is None
    assert seen(proc, 41).rss_anon_bytes == MIB


def test_a_zombie_leader_is_as_big_as_its_threads(proc: FakeProc) -> None:
    proc.add(42, state="Z", threads=2, rss=300 * MIB, swap=MIB)
    found = seen(proc, 42)
    assert (found.state, found.threads) == ("Z", 2)
    assert (found.rss_anon_bytes, found.swap_bytes) == (300 * MIB, MIB)
    assert not found.dying


def test_a_zombie_leader_that_was_shot_is_dying(proc: FakeProc) -> None:
    proc.add(42, state="Z", threads=2, rss=300 * MIB, kill_pending=True)
    assert seen(proc, 42).dying


def test_a_zombie_without_threads_is_nobody(proc: FakeProc) -> None:
    proc.add(42, state="Z", threads=1)
    assert inspect(proc.fd, 42, 0.0) is None


@pytest.mark.parametrize(
    ("flags", "pending", "dying"), [(0, False, False), (4, False, True), (0, True, True)]
)
def test_who_is_dying(proc: FakeProc, flags: int, pending: bool, dying: bool) -> None:
    proc.add(42, rss=MIB, flags=flags, kill_pending=pending)
    assert seen(proc, 42).dying is dying


def test_a_kernel_thread_has_no_memory(proc: FakeProc) -> None:
    proc.add(42, "kswapd0", kernel_thread=True)
    found = seen(proc, 42)
    assert found.kernel_thread
    assert found.resident_bytes == 0


def test_the_scan_sees_all_processes_and_nothing_else(proc: FakeProc) -> None:
    for pid in (1, 7, 300):
        proc.add(pid, oom_score=pid * 2)
    assert sorted(pids(proc.fd)) == [1, 7, 300]
    assert sorted(glances(proc.fd)) == [(2, 1), (14, 7), (600, 300)]
    assert glance(proc.fd, 300) == 600


def test_the_scan_leaves_out_what_vanishes_or_is_garbled(proc: FakeProc) -> None:
    for pid in (7, 8, 9):
        proc.add(pid, oom_score=666)
    proc.write("8/oom_score", b"garbage")
    scan = glances(proc.fd)
    Path(proc.proc_root, "9", "oom_score").unlink()
    assert list(scan) == [(666, 7)]


def test_two_scans_at_once_do_not_disturb_each_other(proc: FakeProc) -> None:
    for pid in range(1, 400):
        proc.add(pid)
    outer = pids(proc.fd)
    first = next(outer)
    assert len(list(pids(proc.fd))) == 399
    assert sorted([first, *outer]) == list(range(1, 400))


def test_a_scan_that_is_given_up_leaves_no_descriptor(proc: FakeProc) -> None:
    proc.add(7)
    proc.add(8)
    before = len(os.listdir("/proc/self/fd"))
    scans: tuple[Generator[object, None, None], ...] = (pids(proc.fd), glances(proc.fd))
    for scan in scans:
        next(scan)
        scan.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_ancestors_end_at_init_and_at_a_loop(proc: FakeProc) -> None:
    proc.add(1, ppid=0)
    proc.add(5, ppid=1)
    proc.add(9, ppid=5)
    proc.add(20, ppid=21)
    proc.add(21, ppid=20)
    assert own_ancestors(proc.fd, 9) == {1, 5, 9}
    assert own_ancestors(proc.fd, 20) == {20, 21}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"0::/user.slice/x\n", "/user.slice/x"),
        (b"9:name=systemd:/a\n4:memory:/b\n0::/c\n", "/b"),
        (b"4:cpu,memory:/b:c\n0::/\n", "/b:c"),
        (b"9:name=systemd:/a\n0::/c\n", "/a"),
        (b"3:cpuset:/x\n", ""),
        (b"0::/\xff\n", "/\ufffd"),
        (b"garbage", ""),
        (b"", ""),
    ],
)
def test_which_cgroup_counts(data: bytes, path: str) -> None:
    assert parse_cgroup(data) == path


def test_loadavg_and_pid_max(proc: FakeProc) -> None:
    proc.add(4711)
    assert read_last_pid(proc.fd) == 4711
    assert read_pid_max(proc.fd) == 32768
    proc.write("sys/kernel/pid_max", b"many")
    with pytest.raises(SensorError, match="pid_max"):
        read_pid_max(proc.fd)
    with pytest.raises(SensorError, match="loadavg"):
        parse_last_pid(b"")


def test_kernels_before_rss_by_kind_and_with_two_page_table_lines() -> None:
    status = parse_status(
        b"Name:\tx\nTgid:\t7\nUid:\t5\t5\t5\t5\nVmRSS:\t 100 kB\nVmPTE:\t 8 kB\nVmPMD:\t 4 kB\n"
    )
    assert status is not None
    assert (status.rss_anon_bytes, status.rss_file_bytes) == (102400, 0)
    assert status.pagetables_bytes == 12 << 10


def test_a_long_list_of_groups_does_not_hide_the_sizes(proc: FakeProc) -> None:
    proc.add(42, rss=MIB)
    whole = Path(proc.proc_root, "42", "status").read_bytes()
    proc.write("42/status", whole.replace(b"Groups:\t ", b"Groups:\t" + b"4294967294 " * 60000))
    assert seen(proc, 42).rss_anon_bytes == MIB


def test_a_cut_stat_is_none() -> None:
    whole = b"42 (x) S 1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 100 1 1"
    assert parse_stat(whole) is not None
    assert parse_stat(whole[:40]) is None


def test_ourselves_on_the_live_kernel(live: int) -> None:
    me = inspect(live, os.getpid(), boottime_s())
    assert me is not None
    assert (me.pid, me.ppid, me.uid) == (os.getpid(), os.getppid(), os.getuid())
    assert me.rss_anon_bytes > MIB
    assert 0 <= me.age_s < 3600
    assert not me.dying
    assert not me.kernel_thread
    assert me.start_ticks == start_ticks(live, os.getpid())


def test_the_whole_live_machine(live: int) -> None:
    scanned = {glance.pid: glance.score for glance in glances(live)}
    assert os.getpid() in scanned
    assert scanned[1] == 0
    everybody = [inspect(live, pid, boottime_s()) for pid in pids(live)]
    assert any(found is not None and not found.kernel_thread for found in everybody)
    assert {os.getpid(), os.getppid()} <= own_ancestors(live)
    assert 0 < read_last_pid(live) < read_pid_max(live)


def test_kthreadd_on_the_live_kernel(live: int) -> None:
    found = inspect(live, 2, boottime_s())
    if found is None or found.comm != "kthreadd":
        pytest.skip("in a pid namespace of its own")
    assert found.kernel_thread
    assert not found.dying


_HOG_WITHOUT_LEADER = """
import ctypes, sys, threading, time
block = bytearray(64 << 20)
def hold():
    print("ready", flush=True)
    time.sleep(60)
threading.Thread(target=hold).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_zombie_leader_on_the_live_kernel(live: int) -> None:
    hog = subprocess.Popen([sys.executable, "-c", _HOG_WITHOUT_LEADER], stdout=subprocess.PIPE)
    try:
        assert hog.stdout is not None
        hog.stdout.readline()
        found = inspect(live, hog.pid, boottime_s())
        give_up_s = time.monotonic() + 10
        while (found is None or found.state != "Z") and time.monotonic() < give_up_s:
            time.sleep(0.01)
            found = inspect(live, hog.pid, boottime_s())
        assert found is not None
        assert found.state == "Z"
        assert found.rss_anon_bytes > 60 * MIB
        assert not found.dying
    finally:
        hog.send_signal(signal.SIGKILL)
        hog.communicate()


def test_a_live_process_with_a_hostile_name(live: int) -> None:
    name = b"a) Z \n1 (\xff"
    code = f"import ctypes,time; ctypes.CDLL(None).prctl(15, {name!r}); print(1, flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        found = inspect(live, child.pid, boottime_s())
        assert found is not None
        assert found.comm == name.decode(errors="replace")
        assert (found.ppid, found.uid) == (os.getpid(), os.getuid())
        assert found.state in "SRD"
    finally:
        child.kill()
        child.communicate()


def test_a_dead_child_that_nobody_reaped_is_nobody(live: int) -> None:
    child = subprocess.Popen(["/bin/true"])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert inspect(live, child.pid, boottime_s()) is None
        assert start_ticks(live, child.pid) is not None
    finally:
        child.wait()
    assert start_ticks(live, child.pid) is None


def fill_up(taken: list[int], fd: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.dup(fd))


def test_running_out_of_our_own_descriptors_hides_nobody(proc: FakeProc) -> None:
    proc.add(42, rss=MIB)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        fill_up(taken, proc.fd)
        for look in (glance, inspect_now, start_ticks):
            with pytest.raises(OSError, match="Too many open files"):
                look(proc.fd, 42)
        for fd in taken[-2:]:  # the scan itself needs two
            os.close(fd)
        del taken[-2:]
        with pytest.raises(OSError, match="Too many open files"):
            list(glances(proc.fd))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in taken:
            os.close(fd)
    assert seen(proc, 42).rss_anon_bytes == MIB
