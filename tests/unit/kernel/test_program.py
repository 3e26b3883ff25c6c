"""What a process is running, and whether that is true: on real processes, because no fake has such links."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from oomguardd.kernel.files import open_dir
from oomguardd.kernel.lookup import file_at, file_of_link
from oomguardd.kernel.process import children, inspect, parent
from oomguardd.kernel.program import (
    CMDLINE_MAX_BYTES,
    read_claim,
    read_cmdline,
    read_exe,
    read_genuine_exe,
)
from oomguardd.kernel.syscalls import same_memory
from tests.fakes import FakeProc

SLEEP = os.path.realpath(shutil.which("sleep") or "/bin/sleep")
FORGE = 'mount -t tmpfs none /mnt && mkdir /mnt/bin && cp "$0" /mnt/bin/database && exec /mnt/bin/database 60'
"""A program of one's own at a path that only root may write to."""
THREADED = """
import ctypes, sys, threading, time
thread = threading.Thread(target=time.sleep, args=(60,))
thread.start()
print("ready", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.fixture
def live() -> Iterator[int]:
    fd = open_dir("/proc")
    yield fd
    os.close(fd)


@contextmanager
def running(*command: str) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            yield child.pid
        finally:
            child.kill()


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def test_an_ordinary_program(live: int) -> None:
    with running(SLEEP, "60", "1") as pid:
        assert wait_for(lambda: read_exe(live, pid) == SLEEP)
        claim = read_claim(live, pid)
        assert claim is not None
        assert (claim.path, claim.file) == (SLEEP, file_of_link(live, f"{pid}/exe"))
        assert read_genuine_exe(live, pid) == SLEEP
        assert wait_for(lambda: read_cmdline(live, pid) == f"{SLEEP} 60 1")


def test_what_runs_is_found_without_waiting_where_the_kernel_can() -> None:
    if file_at(b"/") is None:
        pytest.skip("no RESOLVE_CACHED before Linux 5.12")
    where = os.stat(sys.executable)
    found = file_at(os.path.realpath(sys.executable).encode())
    assert found == (os.major(where.st_dev), os.minor(where.st_dev), where.st_ino)
    assert file_at(b"/nowhere/at/all") is None


def test_a_program_that_was_deleted_is_proved_by_its_owner(live: int, tmp_path: Path) -> None:
    program = tmp_path / "database"
    shutil.copy(SLEEP, program)
    with running(str(program), "60") as pid:
        assert wait_for(lambda: read_exe(live, pid) == str(program))
        program.unlink()
        shutil.copy(SLEEP, program)  # as an update does
        claim = read_claim(live, pid)
        assert claim is not None
        assert (claim.path, claim.proved) == (str(program), False)
        assert read_genuine_exe(live, pid) == str(program)


def test_a_path_that_is_only_mounted_over_is_not_believed(live: int) -> None:
    """From inside the namespace, and from outside through it."""
    with running("unshare", "-Urm", "sh", "-c", FORGE, SLEEP) as pid:
        if not wait_for(lambda: read_exe(live, pid) == "/mnt/bin/database" or not is_alive(live, pid)):
            pytest.fail("neither started nor refused")
        if not is_alive(live, pid):
            pytest.skip("user namespaces are not allowed here")
        assert not os.path.exists("/mnt/bin/database")
        with running(f"/proc/{pid}/root/mnt/bin/database", "60") as outside:
            assert wait_for(lambda: read_exe(live, outside) == "/mnt/bin/database")
            for one in (pid, outside):
                claim = read_claim(live, one)
                assert claim is not None
                assert not claim.proved
                assert read_genuine_exe(live, one) is None


def is_alive(proc_fd: int, pid: int) -> bool:
    c = inspect(proc_fd, pid, 0.0)
    return c is not None and not c.dying


def test_a_main_thread_that_has_ended_hides_nothing(live: int) -> None:
    with subprocess.Popen([sys.executable, "-c", THREADED], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            pid = child.pid
            assert wait_for(lambda: b"State:\tZ" in Path(f"/proc/{pid}/status").read_bytes())
            assert read_exe(live, pid) == read_genuine_exe(live, pid) == os.path.realpath(sys.executable)
            assert "pthread_exit" in (read_cmdline(live, pid) or "")
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"a\0", "a"),
        (b"a\0-b c\0\0\0", "a -b c"),
        (b"\xffz\0\n", "\\xffz \n"),
        (b"x" * 10000, "x" * CMDLINE_MAX_BYTES),
    ],
)
def test_command_lines(proc: FakeProc, data: bytes, text: str) -> None:
    proc.add(42, cmdline=data)
    assert read_cmdline(proc.fd, 42) == text


def test_what_cannot_be_read_is_none(proc: FakeProc) -> None:
    proc.add(42)
    for pid in (42, 43):
        assert read_cmdline(proc.fd, pid) is None
        assert read_exe(proc.fd, pid) is None
        assert read_claim(proc.fd, pid) is None
        assert read_genuine_exe(proc.fd, pid) is None


def test_the_words_of_a_deleted_program_are_cut_off_once(proc: FakeProc) -> None:
    proc.add(42, exe="/opt/a b (deleted) (deleted)")
    proc.add(43, exe=b"/opt/\xff (deleted)")
    assert read_exe(proc.fd, 42) == "/opt/a b (deleted)"
    assert read_exe(proc.fd, 43) == "/opt/\\xff"
    assert read_genuine_exe(proc.fd, 42) is None


def test_parents_and_children(live: int, proc: FakeProc) -> None:
    with running(SLEEP, "60") as pid:
        own = children(live, os.getpid())
        assert own is None or pid in own
        assert wait_for(lambda: parent(live, pid) == (os.getpid(), "sleep"))
    proc.add(7, children=(8, 9), threads=2)
    proc.add(8, ppid=7, comm="a) b")
    assert children(proc.fd, 7) == [8, 9]
    assert children(proc.fd, 8) is None, "a kernel that does not tell"
    assert children(proc.fd, 99) == []
    assert parent(proc.fd, 8) == (7, "a) b")
    assert parent(proc.fd, 99) is None


def test_who_shares_memory(live: int) -> None:
    mine = same_memory(os.getpid(), os.getpid())
    assert mine is not False
    if mine is None:
        pytest.skip("no kcmp here")
    with running(SLEEP, "60") as pid:
        assert wait_for(lambda: same_memory(os.getpid(), pid) is False)
    assert same_memory(os.getpid(), 1 << 30) is None


def test_the_fields_of_a_session(live: int) -> None:
    with subprocess.Popen([SLEEP, "60"], start_new_session=True) as child:
        try:
            assert wait_for(lambda: os.getsid(child.pid) == child.pid)
            os.sched_setscheduler(child.pid, os.SCHED_BATCH, os.sched_param(0))
            c = inspect(live, child.pid, 0.0)
            assert c is not None
            assert (c.sid, c.gid, c.terminal, c.sched) == (child.pid, os.getgid(), False, "batch")
        finally:
            child.send_signal(signal.SIGKILL)
