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
from oomguardd.census.programs import Programs
from oomguardd.kernel.cgroupfs import find_cgroups
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import inspect
from oomguardd.kernel.program import read_claim
from oomguardd.model import Candidate
from tests.fakes import MIB, FakeCgroups, FakeProc
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
    assert programs.cmdline(fine, 5.0) == "fine -x"
    threading.Thread(target=pipe.write_bytes, args=(b"late\0",), daemon=True).start()
    assert programs.cmdline(stuck, 5.0) == "late"
    programs.close()


def test_who_holds_up_command_lines_holds_up_no_proof_of_a_program(proc: FakeProc) -> None:
    for pid in (50, 51):
        proc.add(pid, comm="stuck", rss=MIB)
        os.mkfifo(Path(proc.proc_root) / f"{pid}/cmdline")
    proc.add(52, comm="sleep", exe=os.path.realpath("/bin/sleep"))
    programs = Programs(proc.fd, threads=2)
    programs.start()
    for pid in (50, 51):
        assert programs.cmdline(read(proc.fd, pid)) is None
    deadline_s = time.monotonic() + 10
    while programs.stuck < 2 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert programs.stuck == 2
    began_s = time.monotonic()
    assert programs.cmdline(read(proc.fd, 52), 5.0) is None
    assert time.monotonic() - began_s < 2, "nobody waits for threads that are stuck"
    claim = read_claim(proc.fd, 52)
    assert claim is not None
    assert programs.exe(read(proc.fd, 52), claim, 5.0) == claim.path
    for pid in (50, 51):
        (Path(proc.proc_root) / f"{pid}/cmdline").write_bytes(b"late\0")
    programs.close()


def test_another_program_of_the_same_name_is_not_taken_for_the_first(proc: FakeProc, tmp_path: Path) -> None:
    """It keeps pid, start and name through exec."""
    genuine, own = tmp_path / "a/database", tmp_path / "b/database"
    for path in (genuine, own):
        path.parent.mkdir()
        path.write_bytes(b"")
    proc.add(50, comm="database", exe=str(genuine))
    programs = Programs(proc.fd)
    programs.start()
    c, claim = read(proc.fd, 50), read_claim(proc.fd, 50)
    assert claim is not None
    assert programs.exe(c, claim, 5.0) == str(genuine)
    link = Path(proc.proc_root) / "50/exe"
    link.unlink()
    link.symlink_to(own)
    second = read_claim(proc.fd, 50)
    assert second is not None
    assert programs.exe(c, second._replace(path=str(genuine)), 0.2) is None
    assert Dossier(proc.fd, None, programs).complete(c, ALL).exe == str(own)
    programs.close()


def test_the_path_of_a_users_program_is_proved(proc: FakeProc, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"")
    proc.add(50, uid=1000, exe=str(program))
    proc.add(51, uid=1000, exe="/usr/bin/made-up")
    dossier = Dossier(proc.fd, None, None)
    assert dossier.complete(read(proc.fd, 50), ALL).exe == str(program)
    assert dossier.complete(read(proc.fd, 51), ALL).exe is None


def test_a_cgroup_is_read_once_in_a_choice(proc: FakeProc, tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path / "cgroup")
    tree.add("/a/b", memory_current=MIB, memory_low=MIB)
    cgroups = find_cgroups(str(tmp_path / "cgroup"))
    assert cgroups is not None
    proc.add(50, cgroup="/a/b")
    dossier = Dossier(proc.fd, cgroups, None)
    needs = frozenset({"memcg"})
    for low, share in ((MIB, 1.0), (0, 1.0)):
        tree.add("/a", memory_current=MIB, memory_low=low)
        memcg = dossier.complete(read(proc.fd, 50), needs).memcg
        assert memcg is not None
        assert memcg.protected_share == share
    dossier.begin()
    memcg = dossier.complete(read(proc.fd, 50), needs).memcg
    assert memcg is not None
    assert memcg.protected_share == 0.0
    cgroups.close()


def test_nothing_is_read_before_it_is_started_and_pids_are_not_believed(proc: FakeProc) -> None:
    proc.add(50, comm="x", cmdline="x -a", start_ticks=100)
    programs = Programs(proc.fd)
    known = read(proc.fd, 50)
    assert programs.cmdline(known, 0.05) is None
    programs.start()
    assert programs.cmdline(known, 5.0) == "x -a"
    assert programs.cmdline(candidate(50, comm="x", start_ticks=99), 0.2) is None, "another had that pid"
    programs.close()
    programs.close()
