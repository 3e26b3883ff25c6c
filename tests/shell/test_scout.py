"""From a whole /proc to a verdict: the same victim by every way, whatever /proc is like."""

from __future__ import annotations

import random
import threading
import tracemalloc
from pathlib import Path

import pytest

from oomguardd.engine.select import Limits, judge
from oomguardd.guard.scout import NEWBORN_MAX, Scout
from oomguardd.kernel.process import glance, inspect, pids
from oomguardd.model import PAGE_BYTES, Candidate, Totals
from tests.fakes import GIB, MIB, FakeProc

TOTALS = Totals(GIB, 0)
LIMITS = Limits(100, 16 * MIB, {2}, ())
EVERYBODY = Limits(1000, 0, (), ())


def reading(available: int) -> float:
    return float(available)


def victim_pid(scout: Scout, unused_bytes: float, limits: Limits = LIMITS) -> int | None:
    found = scout.choose(unused_bytes, TOTALS, limits)
    return found.verdict.victim.candidate.pid if found.verdict.victim else None


def whole_truth(proc: FakeProc, limits: Limits = LIMITS) -> int | None:
    """The verdict on everybody, read in full."""
    everybody = [c for pid in pids(proc.fd) if (c := inspect(proc.fd, pid, 0.0)) is not None]
    victim = judge(everybody, TOTALS, limits, 0).victim
    return victim.candidate.pid if victim else None


class Population:
    """Random processes of a machine of 1 GiB that come, grow, shrink and go."""

    def __init__(self, proc: FakeProc, seed: int) -> None:
        self.proc = proc
        self.chance = random.Random(seed)
        self.sizes: dict[int, int] = {}
        self.adjs: dict[int, int] = {}
        self.last = 30_000 if seed % 3 == 0 else 300
        proc.write("sys/kernel/pid_max", b"32768\n")

    def born(self) -> None:
        self.last = 300 if self.last + 1 >= 32_768 else self.last + self.chance.choice([1, 1, 1, 400])
        if self.last >= 32_768:
            self.last = 300
        while self.last in self.sizes:
            self.last += 1
        self.sizes[self.last] = self.chance.choice([1, 10, 20, 40, 60]) * MIB
        self.adjs[self.last] = self.chance.choice([0, 0, 0, 0, 100, 200, 300, 1000, -500, -1000])
        self.show(self.last)

    def show(self, pid: int) -> None:
        size = self.sizes[pid] + self.chance.randrange(256) * PAGE_BYTES
        self.proc.add(pid, rss=size, adj=self.adjs[pid], start_ticks=pid)
        self.proc.machine(last_pid=self.last)

    def live(self) -> None:
        """Something happens to somebody."""
        what = self.chance.choice(["born", "grow", "grow", "shrink", "die"])
        if what == "born" or not self.sizes:
            self.born()
            return
        pid = self.chance.choice(list(self.sizes))
        if what == "die":
            del self.sizes[pid]
            self.proc.remove(pid)
            return
        self.sizes[pid] = max(
            0, self.sizes[pid] + (1 if what == "grow" else -1) * self.chance.randrange(80) * MIB
        )
        self.show(pid)

    def reading(self) -> float:
        return reading(max(0, GIB - sum(self.sizes.values())))


@pytest.mark.parametrize("seed", range(25))
def test_ahead_or_not_the_victim_is_the_same(proc: FakeProc, seed: int) -> None:
    people = Population(proc, seed)
    scout, cold = Scout(proc.fd, 6, 3), Scout(proc.fd, 6, 3)
    for _ in range(14):
        people.born()
    for _ in range(8):
        scout.look_ahead(people.reading(), TOTALS, LIMITS)
        for _ in range(people.chance.randrange(5)):
            people.live()
        expected = whole_truth(proc)
        assert victim_pid(cold, people.reading()) == expected
        assert victim_pid(scout, people.reading()) == expected


def test_ahead_reads_only_the_few(proc: FakeProc) -> None:
    proc.add(10, rss=400 * MIB)
    for pid in range(300, 400):
        proc.add(pid, rss=MIB)
    scout = Scout(proc.fd, 8, 3)
    scout.look_ahead(reading(300 * MIB), TOTALS, LIMITS)
    found = scout.choose(reading(295 * MIB), TOTALS, LIMITS)
    assert found.ahead
    assert found.scanned <= 8
    assert found.verdict.victim is not None
    assert found.verdict.victim.candidate.pid == 10


def test_newborn_hog_is_seen(proc: FakeProc) -> None:
    proc.machine(last_pid=400)
    proc.add(300, rss=300 * MIB)
    scout = Scout(proc.fd, 8, 3)
    scout.look_ahead(reading(600 * MIB), TOTALS, LIMITS)
    proc.add(401, rss=500 * MIB)
    assert scout.choose(reading(590 * MIB), TOTALS, LIMITS).ahead
    assert victim_pid(scout, reading(590 * MIB)) == 401
    assert victim_pid(scout, reading(100 * MIB)) == 401


def test_newborn_hog_is_seen_when_pids_began_again(proc: FakeProc) -> None:
    proc.write("sys/kernel/pid_max", b"32768\n")
    proc.add(32_760, rss=200 * MIB)
    scout = Scout(proc.fd, 8, 3)
    scout.look_ahead(reading(700 * MIB), TOTALS, LIMITS)
    proc.add(32_765, rss=300 * MIB)
    proc.add(320, rss=500 * MIB)
    proc.machine(last_pid=320)
    assert victim_pid(scout, reading(100 * MIB)) == 320


@pytest.mark.parametrize("garbage", [b"", b"nonsense\n", b"0.1 0.2 0.3 1/2 x\n", b"\xff\xfe"])
def test_unknown_last_pid_is_a_full_scan(proc: FakeProc, garbage: bytes) -> None:
    proc.add(300, rss=300 * MIB)
    scout = Scout(proc.fd, 8, 3)
    scout.look_ahead(reading(600 * MIB), TOTALS, LIMITS)
    proc.write("loadavg", garbage)
    found = scout.choose(reading(600 * MIB), TOTALS, LIMITS)
    assert not found.ahead
    assert found.verdict.victim is not None


@pytest.mark.parametrize("pid_max", [b"32768\n", b"garbage", b""])
def test_too_many_newborns_are_a_full_scan(proc: FakeProc, pid_max: bytes) -> None:
    proc.write("sys/kernel/pid_max", pid_max)
    proc.add(30_000, rss=300 * MIB)
    scout = Scout(proc.fd, 8, 3)
    scout.look_ahead(reading(600 * MIB), TOTALS, LIMITS)
    for last in (30_001 + NEWBORN_MAX, 500):
        proc.machine(last_pid=last)
        assert not scout.choose(reading(600 * MIB), TOTALS, LIMITS).ahead


def test_one_too_small_for_the_list_grows_into_the_victim(proc: FakeProc) -> None:
    """It held too little to be listed (and its oom_score_adj is positive), the list was not even full: at the
    crossing it is the hog."""
    proc.add(300, rss=130 * MIB)
    proc.add(301, rss=2 * MIB, adj=200)
    scout = Scout(proc.fd, 64, 3)
    scout.look_ahead(reading(800 * MIB), TOTALS, LIMITS)
    proc.add(301, rss=600 * MIB, adj=200)
    assert victim_pid(scout, reading(200 * MIB)) == 301


def test_one_without_a_score_for_a_moment_grows_into_the_victim(proc: FakeProc) -> None:
    """A child between vfork and exec shows 0."""
    proc.add(300, rss=130 * MIB)
    proc.add(301, rss=0, oom_score=0)
    scout = Scout(proc.fd, 64, 3)
    scout.look_ahead(reading(800 * MIB), TOTALS, LIMITS)
    proc.add(301, rss=600 * MIB)
    assert victim_pid(scout, reading(200 * MIB)) == 301


@pytest.mark.parametrize("left", [None, 1])
def test_one_takes_what_another_gave_back(proc: FakeProc, left: int | None) -> None:
    """In sum little was used up: still, somebody who was not on the list is the biggest now."""
    for pid, mib in ((300, 350), (301, 200), (302, 150), (303, 120), (350, 100)):
        proc.add(pid, rss=mib * MIB)
    scout = Scout(proc.fd, 4, 3)
    scout.look_ahead(reading(104 * MIB), TOTALS, LIMITS)
    proc.remove(301)
    if left is not None:
        proc.add(301, rss=left * MIB)
    proc.add(350, rss=400 * MIB)
    assert victim_pid(scout, reading(4 * MIB)) == 350


def test_newborns_that_crowd_the_list_are_told_apart_by_size(proc: FakeProc) -> None:
    proc.machine(mem_total=1 << 40, last_pid=299)
    scout = Scout(proc.fd, 4, 3)
    scout.look_ahead(reading(600 * MIB), TOTALS, EVERYBODY)
    for pid in range(300, 340):
        proc.add(pid, rss=(400 if pid == 305 else 300) * MIB, adj=50)
    assert {glance(proc.fd, pid) for pid in range(300, 340)} == {700}
    found = scout.choose(reading(590 * MIB), Totals(1 << 40, 0), EVERYBODY)
    assert found.verdict.victim is not None
    assert found.verdict.victim.candidate.pid == 305


@pytest.mark.parametrize("biggest", [300, 350, 399])
def test_a_crowd_with_one_score_is_decided_by_pages(proc: FakeProc, biggest: int) -> None:
    """On a machine of 1 TiB one step of oom_score is 700 MiB."""
    proc.machine(mem_total=1 << 40)
    for pid in range(300, 400):
        proc.add(pid, rss=(600 if pid == biggest else 100 + pid % 7) * MIB)
    scout = Scout(proc.fd, 64, 5)
    found = scout.choose(reading(0), Totals(1 << 40, 0), LIMITS)
    assert found.verdict.victim is not None
    assert found.verdict.victim.candidate.pid == biggest
    assert found.verdict.runners_up[0].candidate.rss_anon_bytes == 106 * MIB


def test_a_crowd_of_tiny_ones_does_not_hide_a_protected_hog(proc: FakeProc) -> None:
    """Two hundred shells are worse in points than a database with a subsidy, but only that is worth it."""
    for pid in range(300, 500):
        proc.add(pid, rss=2 * MIB)
    proc.add(600, rss=250 * MIB, adj=-500)
    scout = Scout(proc.fd, 64, 5)
    assert victim_pid(scout, reading(0)) == 600
    scout.look_ahead(reading(0), TOTALS, LIMITS)
    assert victim_pid(scout, reading(0)) == 600


def test_a_crowd_of_those_passed_over_does_not_hide_the_next(proc: FakeProc) -> None:
    """As an ordinary user: a hundred big ones refused the signal."""
    for pid in range(300, 400):
        proc.add(pid, rss=50 * MIB)
    proc.add(500, rss=20 * MIB)
    refused = LIMITS._replace(passed_over={(pid, 100) for pid in range(300, 400)})
    assert victim_pid(Scout(proc.fd, 64, 5), reading(0), refused) == 500


def test_a_leader_that_has_exited_is_a_candidate(proc: FakeProc) -> None:
    proc.add(300, "zombie", state="Z", threads=2, rss=500 * MIB)
    proc.add(400, rss=100 * MIB)
    proc.add(500, "corpse", state="Z")
    assert victim_pid(Scout(proc.fd, 64, 5), reading(0)) == 300


def test_never_ourselves_init_kernel_threads_or_the_immune(proc: FakeProc) -> None:
    proc.add(1, rss=900 * MIB)
    proc.add(2, rss=900 * MIB)
    proc.add(3, rss=900 * MIB, kernel_thread=True)
    proc.add(4, rss=900 * MIB, adj=-1000)
    proc.add(5, rss=900 * MIB, adj=-1000, oom_score=1300)
    scout = Scout(proc.fd, 64, 5)
    assert victim_pid(scout, reading(0)) is None
    proc.add(6, rss=20 * MIB)
    assert victim_pid(scout, reading(0)) == 6


@pytest.mark.parametrize(
    ("comm", "shown"),
    [
        ("foo) Z 1", "foo) Z 1"),
        (") R 1 1 1 (", ") R 1 1 1 ("),
        ("a\nUid:\t0\t0\t0\t0", "a\nUid:\t0\t0\t0\t0"),
        (b"\xff\xfe\x80", "\ufffd\ufffd\ufffd"),
        ("", ""),
        ("VmRSS: 1 kB", "VmRSS: 1 kB"),
    ],
)
def test_hostile_names(proc: FakeProc, comm: str | bytes, shown: str) -> None:
    proc.add(300, comm, rss=300 * MIB, uid=1000, start_ticks=77)
    proc.add(301, rss=200 * MIB)
    found = Scout(proc.fd, 64, 5).choose(reading(0), TOTALS, LIMITS)
    assert found.verdict.victim is not None
    c: Candidate = found.verdict.victim.candidate
    assert (c.pid, c.comm, c.uid, c.start_ticks) == (300, shown, 1000, 77)


FILES = ("oom_score", "oom_score_adj", "stat", "status", "cgroup", "statm")
GARBAGE = (b"", b"\n", b"\x00" * 64, b"\xff" * 5000, b"-", b"9" * 400, b"1 2 3", b"Uid:\n", b"()", b"nan\n")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_of_one_process_concerns_that_one_only(proc: FakeProc, name: str, garbage: bytes) -> None:
    proc.add(300, rss=200 * MIB)
    proc.add(301, rss=100 * MIB)
    proc.write(f"301/{name}", garbage)
    scout = Scout(proc.fd, 64, 5)
    assert victim_pid(scout, reading(0)) in ((300, 301) if name == "oom_score_adj" else (300,))
    scout.look_ahead(reading(0), TOTALS, LIMITS)
    assert victim_pid(scout, reading(0)) is not None


@pytest.mark.parametrize("name", FILES)
def test_missing_files_of_one_process(proc: FakeProc, tmp_path: Path, name: str) -> None:
    proc.add(300, rss=100 * MIB)
    proc.add(301, rss=200 * MIB)
    (tmp_path / "root/proc/301" / name).unlink()
    expected = 301 if name in ("cgroup", "statm") else 300
    assert victim_pid(Scout(proc.fd, 64, 5), reading(0)) == expected


@pytest.mark.parametrize("seed", range(12))
def test_files_cut_anywhere(proc: FakeProc, tmp_path: Path, seed: int) -> None:
    """Half a number would be a wrong one: nobody is made bigger by being cut short."""
    chance = random.Random(seed)
    proc.add(300, rss=100 * MIB)
    proc.add(301, rss=60 * MIB)
    for name in FILES:
        path = tmp_path / "root/proc/301" / name
        data = path.read_bytes()
        path.write_bytes(data[: chance.randrange(len(data))])
    assert victim_pid(Scout(proc.fd, 64, 5), reading(0)) == 300


def test_directories_that_are_no_processes(proc: FakeProc, tmp_path: Path) -> None:
    root = tmp_path / "root/proc"
    for name in ("42x", "٣", "²", "-5", "self2", "0"):
        (root / name).mkdir()
    (root / "77").write_text("a file")
    proc.add(300, rss=100 * MIB)
    assert victim_pid(Scout(proc.fd, 64, 5), reading(0)) == 300


def test_a_fork_storm_during_the_scan(proc: FakeProc) -> None:
    """Processes come and go while they are read: no crash, and the hog that stays is found every time."""
    proc.add(10, rss=600 * MIB)
    stop = threading.Event()

    def storm() -> None:
        pid = 300
        while not stop.is_set():
            proc.add(pid, rss=MIB)
            proc.remove(pid - 20)
            pid += 1

    forker = threading.Thread(target=storm)
    forker.start()
    try:
        scout = Scout(proc.fd, 8, 3)
        for turn in range(60):
            if turn % 3 == 0:
                scout.look_ahead(reading(0), TOTALS, LIMITS)
            assert victim_pid(scout, reading(0)) == 10
    finally:
        stop.set()
        forker.join()


def test_memory_does_not_grow_with_the_number_of_processes(tmp_path: Path) -> None:
    """32,000 of them, of which only the oom_score can be read: links to one, so that it is quick to make."""
    with FakeProc(tmp_path / "root") as proc:
        root = tmp_path / "root/proc"
        (root / "one").mkdir()
        (root / "one/oom_score").write_text("667\n")
        (root / "one/oom_score_adj").write_text("0\n")
        for pid in range(1000, 33_000):
            (root / str(pid)).symlink_to("one")
        proc.add(500, rss=300 * MIB)
        scout = Scout(proc.fd, 64, 5)
        tracemalloc.start()
        try:
            scout.choose(reading(0), TOTALS, LIMITS)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            found = scout.choose(reading(0), TOTALS, LIMITS)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert found.scanned >= 32_000
    assert found.verdict.victim is not None
    assert found.verdict.victim.candidate.pid == 500
    assert peak - before < 256 * 1024
