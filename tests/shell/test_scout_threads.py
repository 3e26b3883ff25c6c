"""Who is no candidate at all: threads among the newborn, whoever is not of this domain, and a scan of long
ago."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from oomguardd.engine.select import Limits
from oomguardd.guard.scout import AHEAD_USABLE_S, Scout
from oomguardd.kernel.process import held_bytes, inspect, pids
from oomguardd.model import Totals
from tests.fakes import GIB, MIB, FakeProc
from tests.shell.rig import open_fds

TOTALS = Totals(GIB, 0)
HUGE = Totals(1 << 40, 0)
LIMITS = Limits(100, 16 * MIB, {2}, ())
EVERYBODY = Limits(1000, 0, (), ())
UNUSED = 600.0 * MIB

THREADS_LATER = """
import sys, threading
print("ready", flush=True)
sys.stdin.readline()
for _ in range(8):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("threads", flush=True)
sys.stdin.readline()
"""


def add_thread(proc: FakeProc, tid: int, of: int, root: Path, rss: int) -> None:
    """What /proc answers when it is asked for a thread by its number: everything, as of its process."""
    proc.add(tid, rss=rss)
    status = root / "root/proc" / str(tid) / "status"
    proc.write(f"{tid}/status", status.read_bytes().replace(b"Tgid:\t%d" % tid, b"Tgid:\t%d" % of))


def chosen(scout: Scout, limits: Limits = LIMITS, totals: Totals = TOTALS) -> tuple[int, bool]:
    """The victim, and whether it came from the scan made ahead."""
    found = scout.choose(UNUSED, totals, limits)
    assert found.verdict.victim is not None
    return found.verdict.victim.candidate.pid, found.ahead


class Inspected:
    """While it is entered: of which processes more than their score is read."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    def __enter__(self) -> Inspected:
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code in (inspect.__code__, held_bytes.__code__):
            self.pids.append(frame.f_locals["pid"])


def test_nobody_else_exists_for_a_scout_with_a_list(proc: FakeProc) -> None:
    """Neither in a scan nor as one born since: a rehearsal that met a bystander would kill it."""
    proc.add(300, rss=20 * MIB)
    proc.add(301, rss=300 * MIB)
    scout = Scout(proc.fd, 8, 3, only=(300,))
    assert chosen(scout, EVERYBODY) == (300, False)
    scout.look_ahead(UNUSED, TOTALS, EVERYBODY)
    proc.add(302, rss=500 * MIB)
    assert chosen(scout, EVERYBODY) == (300, True)
    proc.remove(300)
    assert scout.choose(UNUSED, TOTALS, EVERYBODY).verdict.victim is None


@pytest.mark.parametrize("room", [2, 64])
def test_newborn_threads_do_not_hide_their_process(proc: FakeProc, tmp_path: Path, room: int) -> None:
    """They have its score, and more of them than the list has room for."""
    proc.add(300, rss=300 * MIB)
    proc.add(301, rss=100 * MIB)
    scout = Scout(proc.fd, room, 3)
    scout.look_ahead(UNUSED, TOTALS, LIMITS)
    for tid in range(310, 320):
        add_thread(proc, tid, 300, tmp_path, 300 * MIB)
    assert chosen(scout) == (300, True)


def test_a_newborn_thread_is_not_taken_for_a_process_alone(proc: FakeProc, tmp_path: Path) -> None:
    """Not even when its process, which was too small for the list, is nowhere else."""
    for pid in range(300, 304):
        proc.add(pid, rss=100 * MIB)
    scout = Scout(proc.fd, 8, 3)
    scout.look_ahead(UNUSED, TOTALS, LIMITS)
    add_thread(proc, 310, 250, tmp_path, 500 * MIB)
    assert chosen(scout)[0] in range(300, 304)
    add_thread(proc, 311, 250, tmp_path, 500 * MIB)
    proc.add(312, rss=400 * MIB)
    assert chosen(scout)[0] == 312


@pytest.fixture
def threaded() -> Iterator[subprocess.Popen[bytes]]:
    """A child that the kernel thinks is worse than anybody, and that starts threads when it is written to."""
    command = [sys.executable, "-c", THREADS_LATER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"ready\n"
            Path(f"/proc/{child.pid}/oom_score_adj").write_text("1000")
            yield child
        finally:
            child.kill()


def test_a_real_process_that_starts_threads_after_the_scan(threaded: subprocess.Popen[bytes]) -> None:
    assert threaded.stdin is not None
    assert threaded.stdout is not None
    fds = open_fds()
    proc_fd = os.open("/proc", os.O_PATH)
    others = frozenset(pids(proc_fd)) - {threaded.pid}
    limits = EVERYBODY._replace(untouchable=others)
    scout = Scout(proc_fd, 4, 3)
    scout.look_ahead(UNUSED, TOTALS, limits)
    threaded.stdin.write(b"now\n")
    threaded.stdin.flush()
    assert threaded.stdout.readline() == b"threads\n"
    assert len(os.listdir(f"/proc/{threaded.pid}/task")) == 9
    assert chosen(scout, limits) == (threaded.pid, True)
    os.close(proc_fd)
    assert open_fds() == fds


def test_a_scan_of_long_ago_is_not_used(proc: FakeProc) -> None:
    proc.add(300, rss=300 * MIB)
    proc.add(301, rss=100 * MIB)
    scout = Scout(proc.fd, 8, 3)
    for age_s, used in ((AHEAD_USABLE_S - 5, True), (AHEAD_USABLE_S + 0.1, False)):
        scout.look_ahead(UNUSED, TOTALS, LIMITS)
        assert scout.ahead is not None
        scout.ahead = scout.ahead._replace(taken_s=scout.ahead.taken_s - age_s)
        assert chosen(scout) == (300, used)


@pytest.mark.parametrize("biggest", [300, 350, 399])
@pytest.mark.parametrize("how", ["anon", "swap", "zombie leader", "page tables"])
def test_a_crowd_is_told_apart_by_all_that_counts(proc: FakeProc, biggest: int, how: str) -> None:
    """They all have one score on a machine of 1 TiB, and the list has room for a few."""
    proc.machine(mem_total=1 << 40)
    for pid in range(300, 400):
        proc.add(pid, rss=(100 + pid % 7) * MIB)
    proc.add(
        biggest,
        state="Z" if how == "zombie leader" else "S",
        threads=2 if how == "zombie leader" else 1,
        rss=(50 if how in ("swap", "page tables") else 400) * MIB,
        swap=(400 if how == "swap" else 0) * MIB,
        pagetables=(400 if how == "page tables" else 0) * MIB,
    )
    scout = Scout(proc.fd, 8, 3)
    assert chosen(scout, LIMITS, HUGE) == (biggest, False)


def test_only_the_list_is_read_in_full(proc: FakeProc) -> None:
    """A desktop on which everything has oom_score_adj 200: a scan must not read a thousand of them."""
    big, small = list(range(300, 304)), list(range(400, 600))
    for pid in big:
        proc.add(pid, rss=(200 if pid == 303 else 90) * MIB, adj=200)
    for pid in small:
        proc.add(pid, rss=17 * MIB, adj=200)
    scout = Scout(proc.fd, len(big), 3, only=(*big, *small))
    with Inspected() as inspected:
        scout.look_ahead(UNUSED, TOTALS, LIMITS)
        assert set(inspected.pids) <= set(big)  # who has grown since is told by these samples
        assert chosen(scout) == (303, True)
    assert set(inspected.pids) == set(big)


@pytest.mark.parametrize("ahead", [False, True])
def test_those_outside_of_our_container_are_spared(proc: FakeProc, ahead: bool) -> None:
    """A container that shares the host's pid namespace sees them all; they take no place on the list."""
    for pid in range(300, 320):
        proc.add(pid, rss=40 * MIB, cgroup="/../other")
    proc.add(320, rss=300 * MIB, cgroup="/..")
    proc.add(400, rss=30 * MIB, cgroup="/")
    proc.add(401, rss=20 * MIB, cgroup="/inner")
    scout = Scout(proc.fd, 4, 3)
    inside = LIMITS._replace(inside=True)
    if ahead:
        scout.look_ahead(UNUSED, TOTALS, inside)
    assert chosen(scout, inside) == (400, ahead)
    assert chosen(Scout(proc.fd, 4, 3)) == (320, False)
