"""Candidates in full, on a fake /proc and on processes of our own."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.census.dossier import WAIT_S, Dossier
from oomguardd.census.programs import UNKNOWN, Programs
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import inspect
from oomguardd.model import Candidate
from tests.fakes import MIB, FakeProc
from tests.shell.rig import candidate, sleeper

ALL = frozenset({"exe", "cmdline", "ancestors", "memcg"})


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[FakeProc]:
    with FakeProc(tmp_path) as fake:
        yield fake


def read(proc_fd: int, pid: int) -> Candidate:
    c = inspect(proc_fd, pid, 0.0)
    assert c is not None
    return c


def test_only_what_is_asked_for_is_read(proc: FakeProc) -> None:
    proc.add(50, exe="/usr/bin/x", cmdline="x -a", cgroup="/system.slice/x.service", uid=0)
    bare = Dossier(proc.fd, None, None).complete(read(proc.fd, 50))
    assert bare.owner.unit == "x.service"
    assert (bare.exe, bare.cmdline, bare.ancestors) == (None, None, ())
    full = Dossier(proc.fd, None, None).complete(read(proc.fd, 50), ALL)
    assert (full.exe, full.cmdline) == ("/usr/bin/x", "x -a")


def test_ancestors_end_even_in_a_circle(proc: FakeProc) -> None:
    proc.add(10, comm="init", ppid=0)
    proc.add(20, comm="sh", ppid=10)
    proc.add(30, comm="make", ppid=20)
    proc.add(40, comm="one", ppid=41)
    proc.add(41, comm="other", ppid=40)
    dossier = Dossier(proc.fd, None, None)
    dossier.begin()
    needs = frozenset({"ancestors"})
    assert dossier.complete(read(proc.fd, 30), needs).ancestors == ("sh", "init")
    assert set(dossier.complete(read(proc.fd, 40), needs).ancestors) == {"one", "other"}


def test_a_real_process() -> None:
    proc_fd = open_dir("/proc")
    with sleeper() as child:
        deadline_s = time.monotonic() + 5
        while "sleep" not in (c := read(proc_fd, child.pid)).comm and time.monotonic() < deadline_s:
            time.sleep(0.01)
        c = Dossier(proc_fd, None, None).complete(c, ALL)
        assert c.cmdline == "sleep 1000"
        assert c.exe == os.path.realpath(f"/proc/{child.pid}/exe")
        assert c.ancestors
    os.close(proc_fd)


def test_a_program_that_was_replaced_keeps_its_path(tmp_path: Path) -> None:
    program = tmp_path / "database"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    proc_fd = open_dir("/proc")
    with subprocess.Popen([program, "1000"]) as child:
        program.unlink()
        c = Dossier(proc_fd, None, None).complete(read(proc_fd, child.pid), ALL)
        assert c.exe == str(program)
        child.kill()
    os.close(proc_fd)


def test_a_process_that_makes_readers_wait_keeps_nobody_waiting(proc: FakeProc) -> None:
    """A pipe stands for a command line whose pages do not come back from swap."""
    proc.add(50, comm="stuck", uid=0, rss=MIB)
    proc.add(51, comm="fine", uid=0, cmdline="fine -x", exe="/usr/bin/fine")
    pipe = Path(proc.proc_root) / "50/cmdline"
    os.mkfifo(pipe)
    programs = Programs(proc.fd)
    programs.start()
    dossier = Dossier(proc.fd, None, programs)
    stuck, fine = read(proc.fd, 50), read(proc.fd, 51)
    dossier.begin()
    began_s = time.monotonic()
    assert dossier.complete(stuck, frozenset({"cmdline"})).cmdline is None
    assert time.monotonic() - began_s < 100 * WAIT_S
    assert programs.get(fine, 5.0).cmdline == "fine -x"
    threading.Thread(target=pipe.write_bytes, args=(b"late\0",), daemon=True).start()
    assert programs.get(stuck, 5.0).cmdline == "late"
    programs.close()


def test_nothing_is_read_before_it_is_started_and_pids_are_not_believed(proc: FakeProc) -> None:
    proc.add(50, comm="x", cmdline="x -a", start_ticks=100)
    programs = Programs(proc.fd)
    known = read(proc.fd, 50)
    assert programs.get(known, 0.05) is UNKNOWN
    programs.start()
    assert programs.get(known, 5.0).cmdline == "x -a"
    assert programs.get(candidate(50, comm="x", start_ticks=99), 0.2) is UNKNOWN, "another had that pid"
    programs.close()
    programs.close()
