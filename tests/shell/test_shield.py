"""[[protect]] at run time, on a fake /proc and on processes of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.census.dossier import Dossier
from oomguardd.guard.shield import AGAIN_S, SWEEP_S, Shield
from oomguardd.kernel.files import open_dir
from oomguardd.rules import Clause, Protect
from tests.fakes import MIB, FakeProc
from tests.shell.rig import Recorder

DATABASE = Protect("database", (Clause("name", texts=("postgres",), written="postgres"),), -500)


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[FakeProc]:
    with FakeProc(tmp_path) as fake:
        yield fake


def adj(proc: FakeProc, pid: int) -> int:
    return int((Path(proc.proc_root) / f"{pid}/oom_score_adj").read_text())


def shield(proc: FakeProc, tmp_path: Path, outbox: Recorder, *protects: Protect, dry: bool = False) -> Shield:
    made = Shield(proc.fd, Dossier(proc.fd, None, None), outbox, str(tmp_path / "ledger"), dry)
    made.retune(protects)
    return made


def test_only_those_that_match_are_lowered_and_told(proc: FakeProc, tmp_path: Path) -> None:
    outbox = Recorder()
    proc.add(50, comm="postgres", rss=MIB, adj=100)
    proc.add(51, comm="postgres", rss=MIB, adj=-900)
    proc.add(52, comm="other", rss=MIB, adj=100)
    one = shield(proc, tmp_path, outbox, DATABASE)
    one.step(0.0)
    assert (adj(proc, 50), adj(proc, 51), adj(proc, 52)) == (-500, -900, 100)
    (told,) = outbox.of("adjusted")
    assert (told["what"], told["protect"], told["processes"]) == (
        "protected",
        "database",
        [[50, "postgres", 100, -500]],
    )
    one.step(SWEEP_S + 1)
    assert len(outbox.of("adjusted")) == 1, "told once"


def test_it_is_given_back_when_the_rule_goes(proc: FakeProc, tmp_path: Path) -> None:
    outbox = Recorder()
    proc.add(50, comm="postgres", adj=7)
    one = shield(proc, tmp_path, outbox, DATABASE)
    one.step(0.0)
    one.retune(())
    assert not one.idle, "there is something to give back"
    one.step(1.0)
    assert adj(proc, 50) == 7
    assert one.idle
    assert [record["what"] for record in outbox.of("adjusted")] == ["protected", "restored"]


def test_it_is_given_back_at_the_end_and_after_a_crash(proc: FakeProc, tmp_path: Path) -> None:
    proc.add(50, comm="postgres", adj=7)
    first = shield(proc, tmp_path, Recorder(), DATABASE)
    first.step(0.0)
    successor = shield(proc, tmp_path, Recorder())  # the first has crashed: nothing was given back
    successor.step(0.0)
    assert adj(proc, 50) == 7
    third = shield(proc, tmp_path, Recorder(), DATABASE)
    third.step(0.0)
    assert adj(proc, 50) == -500
    third.close()
    assert adj(proc, 50) == 7
    assert not (tmp_path / "ledger").exists()


def test_what_somebody_else_has_changed_is_theirs(proc: FakeProc, tmp_path: Path) -> None:
    proc.add(50, comm="postgres", adj=0)
    one = shield(proc, tmp_path, Recorder(), DATABASE)
    one.step(0.0)
    proc.write("50/oom_score_adj", b"300\n")
    one.step(SWEEP_S + 1)
    assert adj(proc, 50) == 300
    one.close()
    assert adj(proc, 50) == 300


def test_newborns_are_seen_at_once_and_once_more_after_exec(proc: FakeProc, tmp_path: Path) -> None:
    proc.add(50, comm="postgres")
    one = shield(proc, tmp_path, Recorder(), DATABASE)
    one.step(0.0)
    proc.add(60, comm="postgres")
    proc.add(61, comm="sh")
    one.step(0.5)
    assert (adj(proc, 60), adj(proc, 61)) == (-500, 0)
    proc.add(61, comm="postgres")  # it has executed it
    one.step(0.5 + AGAIN_S)
    assert adj(proc, 61) == -500


def test_children_do_not_inherit_more_than_the_file_says(proc: FakeProc, tmp_path: Path) -> None:
    proc.add(50, comm="postgres", adj=20)
    one = shield(proc, tmp_path, Recorder(), DATABASE)
    one.step(0.0)
    proc.add(60, comm="sh", ppid=50, adj=-500)
    proc.add(61, comm="backup", ppid=60, adj=-500)
    one.step(0.5)
    assert (adj(proc, 60), adj(proc, 61)) == (20, 20)


def test_a_dry_run_changes_nothing(proc: FakeProc, tmp_path: Path) -> None:
    outbox = Recorder()
    proc.add(50, comm="postgres", adj=7)
    shield(proc, tmp_path, outbox, DATABASE, dry=True).step(0.0)
    assert adj(proc, 50) == 7
    assert outbox.of("adjusted")[0]["dry_run"] is True


@pytest.mark.parametrize("garbage", [b"", b"{}", b"[[1]]", b"nonsense", b'[["a", 1, 2, 3, 4, 5]]'])
def test_a_ledger_of_garbage_is_no_ledger(proc: FakeProc, tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "ledger").write_bytes(garbage)
    assert shield(proc, tmp_path, Recorder()).idle


def test_a_real_process_is_lowered_or_it_is_said_that_it_cannot_be(tmp_path: Path) -> None:
    outbox = Recorder()
    program = shutil.copy("/bin/sleep", tmp_path / "database")
    proc_fd = open_dir("/proc")
    with subprocess.Popen([program, "1000"]) as child:
        path = Path(f"/proc/{child.pid}/oom_score_adj")
        path.write_text("500")
        match = (Clause("exe", texts=(str(program),), written=str(program)),)
        one = Shield(proc_fd, Dossier(proc_fd, None, None), outbox, str(tmp_path / "ledger"))
        one.retune((Protect("databases", match, 400),))
        changed = refused = False
        for now_s in range(1000):  # a slice each: there may be many other processes
            one.step(float(now_s) / 100)
            changed, refused = int(path.read_text()) == 400, bool(outbox.of("missing"))
            if changed or refused:
                break
        assert changed or outbox.of("missing")[0]["remedy"] == "CAP_SYS_RESOURCE"
        one.close()
        assert int(path.read_text()) == 500
        child.kill()
    os.close(proc_fd)
