"""Real trees, swarms and cgroups: all of them die, and nobody else does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oomguardd.census.muster import Muster
from oomguardd.engine.select import Limits
from oomguardd.guard.actuator import Actuator
from oomguardd.guard.options import orders_of
from oomguardd.guard.scout import Found, Scout
from oomguardd.guard.strike import Striker
from oomguardd.kernel.cgroupfs import Cgroups, find_cgroups
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.process import inspect, parent, pids
from oomguardd.model import Level, Owner, Totals, Verdict, Weighed
from oomguardd.policies.set import PolicySet
from oomguardd.rules import Clause, Rule
from oomguardd.sections import Config, GuardSettings, KillSettings
from tests.fakes import FakeProc
from tests.shell.rig import DEADLINE_S, KILL_MIB, TERM_MIB, Recorder, Rig, event_loop, open_fds, sleeper

PATIENT = KillSettings(grace_s=1000, stuck_after_s=1000, settle_s=0)
TOTALS = Totals(1 << 30, 0)
BOMB = """
import mmap, os, sys, time
name, first, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open("/proc/self/comm", "w") as file:
    file.write(name)
count = mmap.mmap(-1, 4096)
def number():
    return int.from_bytes(count[:4], "little")
def multiply(limit):
    while number() < limit:
        count[:4] = (number() + 1).to_bytes(4, "little")
        if os.fork() == 0:
            return multiply(limit)
        time.sleep(0.003)
if os.fork() == 0:
    multiply(first)
    count[8] = 1
    while count[16] == 0:
        time.sleep(0.001)
    multiply(most)
    time.sleep(1000)
while count[8] == 0:
    time.sleep(0.001)
time.sleep(0.05)
print("ready", flush=True)
sys.stdin.readline()
count[16] = 1
sys.stdin.read()
"""
"""The starter leads a session, waits, and lets the bomb go off when it reads a line. There are `first` until
then, and never more than about `most`: two may count at once.
"""
TREE = "echo ready; sleep 1000 & (sleep 1000 & sleep 1000; true) & exec sleep 1000"
SPAWN = """
import os, sys
wait = (os.POSIX_SPAWN_OPEN, 0, sys.argv[1] + "/fifo", 0, 0)
os.posix_spawn("/bin/true", ["true"], {}, file_actions=[wait])
"""


class Chosen(Scout):
    """Finds whom it was told to: nobody else on this machine is in danger."""

    def __init__(self, proc_fd: int, victim: Weighed) -> None:
        super().__init__(proc_fd, 1, 0, only=(victim.candidate.pid,))
        self._verdict = Verdict(victim, (), (), None, TOTALS)

    def choose(self, unused_bytes: float, totals: Totals, limits: Limits) -> Found:
        return Found(self._verdict, 1, False, 0.0, 0.0)


class Stage:
    """A striker on the real /proc whose readings are made up."""

    def __init__(self, rig: Rig, proc_fd: int) -> None:
        self.rig = rig
        self.proc_fd = proc_fd
        self.cgroups: Cgroups | None = None
        self.limits = Limits(1000, 0, (os.getpid(),), ())
        self.orders = orders_of(Config(kill=PATIENT))
        self.hands: list[Actuator] = []

    def strike(self, pid: int, kill: str, mib: int = KILL_MIB, place: str = "") -> Recorder:
        """Kills it with all who die with it; its records, when they are dead."""
        records = self.signal(pid, kill, mib, place)
        assert self.rig.until(lambda: bool(records.of("outcome")))
        return records

    def signal(self, pid: int, kill: str, mib: int = KILL_MIB, place: str = "") -> Recorder:
        """The same without waiting."""
        c = inspect(self.proc_fd, pid, 0.0)
        assert c is not None
        owner = Owner(places=((kill, place),) if place else ())
        w = Weighed(replace(c, owner=owner), 1, (), 1, kill=kill, kill_why="rule test")
        records = Recorder()
        self.striker = Striker(
            "machine",
            self.proc_fd,
            Chosen(self.proc_fd, w),
            records,
            self.rig.watch.look,
            lambda: None,
            self.orders,
            muster=Muster(self.proc_fd, self.cgroups),
        )
        assert self.rig.loop is not None
        self.hands.append(Actuator(self.proc_fd, self.rig.loop, self.striker.died))
        self.striker.bind(self.hands[-1])
        self.rig.available(mib)
        assert self.striker.strike(self.rig.watch.look(), TOTALS, self.limits, monotonic_s())
        return records

    def close(self) -> None:
        for hand in self.hands:
            hand.close()


@pytest.fixture
def stage(proc: FakeProc) -> Iterator[Stage]:
    with event_loop() as loop, Rig(proc, loop) as rig:
        proc_fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        made = Stage(rig, proc_fd)
        try:
            yield made
        finally:
            made.close()
            os.close(proc_fd)


def named(comm: str) -> list[int]:
    """Who is called so, zombies left out."""
    proc_fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
    try:
        found = [pid for pid in pids(proc_fd) if (parent(proc_fd, pid) or (0, ""))[1] == comm]
        return [pid for pid in found if inspect(proc_fd, pid, 0.0) is not None]
    finally:
        os.close(proc_fd)


def kill_each(found: list[int]) -> None:
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def eventually(done: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + DEADLINE_S
    while not done() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return done()


@contextlib.contextmanager
def bomb(first: int = 40, most: int = 40) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Its starter, and the name of all of them. Nobody is left at the end."""
    name = f"bomb{os.getpid()}"
    command = [sys.executable, "-S", "-E", "-c", BOMB, name, str(first), str(most)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as starter:
        try:
            assert starter.stdout is not None
            assert starter.stdout.readline() == b"ready\n"
            yield starter, name
        finally:
            while left := named(name):
                kill_each(left)


def go_off(starter: subprocess.Popen[bytes]) -> None:
    assert starter.stdin is not None
    starter.stdin.write(b"now\n")
    starter.stdin.flush()


@contextlib.contextmanager
def real_cgroup() -> Iterator[tuple[str, Cgroups, Callable[[int], None]]]:
    """A cgroup of our own in every hierarchy that matters, what looks into it, and how to move there."""
    root = Path("/sys/fs/cgroup")
    name = f"oomguard-test-{os.getpid()}"
    cgroups = find_cgroups(str(root))
    v2 = (root / "cgroup.controllers").exists()
    homes = [root] if v2 else [root / part for part in ("memory", "unified", "freezer")]
    made = [home / name for home in homes if os.access(home / "cgroup.procs", os.W_OK)]
    if cgroups is None or not made:
        pytest.skip("needs a cgroup tree that we may write to")
    for path in made:
        path.mkdir()

    def move(pid: int) -> None:
        for path in made:
            (path / "cgroup.procs").write_text(str(pid))

    try:
        yield f"/{name}", cgroups, move
    finally:
        kill_each([pid for path in made for pid in map(int, (path / "cgroup.procs").read_text().split())])
        assert eventually(lambda: not any((path / "cgroup.procs").read_text() for path in made))
        for path in made:
            path.rmdir()
        cgroups.close()


@contextlib.contextmanager
def tree(command: str = TREE) -> Iterator[subprocess.Popen[bytes]]:
    """A shell that has become a sleeper, with a child and a grandchild's family."""
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, start_new_session=True) as top:
        try:
            assert top.stdout is not None
            assert top.stdout.readline() == b"ready\n"
            assert eventually(lambda: len(session(top.pid)) == 5)
            yield top
        finally:
            kill_each(session(top.pid))


def session(sid: int) -> list[int]:
    """Who is in it, zombies left out."""
    proc_fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
    try:
        found = (inspect(proc_fd, pid, 0.0) for pid in pids(proc_fd))
        return [c.pid for c in found if c is not None and c.sid == sid]
    finally:
        os.close(proc_fd)


def test_a_tree_dies_and_nobody_else(stage: Stage) -> None:
    with tree() as top, sleeper() as bystander:
        records = stage.strike(top.pid, "tree")
        assert session(top.pid) == []
        assert bystander.poll() is None
        (kill,) = records.of("kill")
        assert (kill["party"]["unit"], kill["party"]["count"]) == ("tree", 5)
        assert kill["party"]["members"][0][0] == top.pid
        (outcome,) = records.of("outcome")
        assert (outcome["outcome"], outcome["count"], outcome["living"]) == ("died", 5, [])


def test_a_tree_gets_sigterm_and_then_sigkill(stage: Stage) -> None:
    stage.orders = replace(stage.orders, patience=replace(stage.orders.patience, grace_s=0.3))
    stubborn = f"trap '' TERM; {TREE}"
    with tree(stubborn) as top:
        records = stage.signal(top.pid, "tree", TERM_MIB)
        look = stage.rig.watch.look
        assert stage.rig.until(
            lambda: bool(records.of("outcome")), lambda: stage.striker.advance(look(), monotonic_s())
        )
        assert session(top.pid) == []
        assert [r["signal"] for r in records.of("kill")] == ["SIGTERM"]
        assert [r["count"] for r in records.of("escalated")] == [5]


def test_one_that_must_live_is_left_with_its_own(stage: Stage) -> None:
    """The subshell is spared by a rule on its name."""
    never = Rule("shells", (Clause("name", texts=("sh", "dash", "bash"), written="sh"),), "never")
    stage.limits = stage.limits._replace(policies=PolicySet(rules=(never,)))
    with tree() as top:
        stage.strike(top.pid, "tree")
        assert len(session(top.pid)) == 3


def test_a_dry_run_finds_them_and_kills_nobody(stage: Stage) -> None:
    stage.orders = orders_of(Config(kill=PATIENT, guard=GuardSettings(dry_run=True)))
    with tree() as top:
        records = stage.signal(top.pid, "tree")
        assert records.of("kill")[0]["party"]["count"] == 5
        time.sleep(0.05)
        assert len(session(top.pid)) == 5


@pytest.mark.parametrize("most", [40, 250], ids=["at rest", "while it goes off"])
def test_a_fork_bomb_is_gone_in_one_decision_and_its_starter_lives(stage: Stage, most: int) -> None:
    with bomb(40, most) as (starter, name):
        stage.cgroups = find_cgroups()
        member = max(pid for pid in named(name) if pid != starter.pid)
        if most > 40:
            go_off(starter)
            time.sleep(0.01)
        stage.rig.watch.look()
        fds = open_fds()
        records = stage.strike(member, "swarm", TERM_MIB)
        assert named(name) == [starter.pid]
        (kill,) = records.of("kill")
        assert kill["signal"] == "SIGKILL"  # time to clean up would be time to multiply
        assert kill["party"]["count"] >= 40
        (outcome,) = records.of("outcome")
        assert outcome["count"] >= kill["party"]["count"]
        assert outcome["held_bytes"] >= kill["party"]["held_bytes"]
        assert eventually(lambda: open_fds() == fds)
        if stage.cgroups is not None:
            stage.cgroups.close()


def test_a_fork_bomb_in_a_cgroup_of_its_own(stage: Stage) -> None:
    with real_cgroup() as (path, cgroups, move), bomb(40, 250) as (starter, name):
        for pid in named(name):
            move(pid)
        go_off(starter)
        time.sleep(0.01)
        stage.cgroups = cgroups
        member = max(pid for pid in named(name) if pid != starter.pid)
        records = stage.strike(member, "swarm")
        assert named(name) == [starter.pid]
        assert records.of("kill")[0]["party"]["cgroup"] == path
        assert cgroups.frozen(path) in (False, None)
        assert starter.poll() is None


def test_a_cgroup_dies_whole(stage: Stage) -> None:
    with real_cgroup() as (path, cgroups, move), tree() as top, sleeper() as bystander:
        for pid in session(top.pid):
            move(pid)
        stage.cgroups = cgroups
        leaf = min(session(top.pid)[1:])
        records = stage.strike(leaf, "unit", place=path)
        assert eventually(lambda: not cgroups.populated(path))
        assert bystander.poll() is None
        party = records.of("kill")[0]["party"]
        assert (party["unit"], party["count"], party["cgroup"]) == ("unit", 5, path)
        assert party["reduced"] == ""


def test_a_cgroup_that_holds_us_is_not_killed_whole(stage: Stage) -> None:
    with real_cgroup() as (path, cgroups, move), tree() as top, sleeper() as ours:
        for pid in (*session(top.pid), ours.pid):
            move(pid)
        stage.cgroups = cgroups
        stage.limits = stage.limits._replace(untouchable=(ours.pid,))
        records = stage.strike(top.pid, "unit", place=path)
        assert ours.poll() is None
        assert session(top.pid) == []
        party = records.of("kill")[0]["party"]
        assert party["unit"] == "tree"
        assert "the guard itself" in party["reduced"]


def test_what_shares_its_memory_dies_too(stage: Stage, tmp_path: Path) -> None:
    """A child between vfork and exec, which is kept there by a FIFO that nobody writes to."""
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen([sys.executable, "-c", SPAWN, str(tmp_path)]) as spawner:
        children: list[int] = []

        def waits() -> bool:
            text = Path(f"/proc/{spawner.pid}/task/{spawner.pid}/children").read_text()
            children[:] = map(int, text.split())
            return bool(children)

        try:
            assert eventually(waits)
            party = stage.strike(spawner.pid, "process").of("kill")[0]["party"]
            if party["count"] == 1:
                pytest.skip("needs kcmp(2)")
            assert [member[0] for member in party["members"]] == [spawner.pid, *children]
            assert party["members"][1][2] == 0  # counted once
            assert spawner.wait(20) == -signal.SIGKILL
            assert eventually(lambda: not alive(children[0]))
        finally:
            spawner.kill()


def alive(pid: int) -> bool:
    proc_fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
    try:
        return inspect(proc_fd, pid, 0.0) is not None
    finally:
        os.close(proc_fd)


def test_many_are_one_decision(stage: Stage) -> None:
    """The limit on kills a minute counts it once, and the next one waits until all of them are dead."""
    stage.orders = replace(stage.orders, max_per_minute=1)
    with tree() as top:
        records = stage.signal(top.pid, "tree")
        assert stage.striker.kills == 1
        assert stage.striker.busy
        assert stage.rig.until(lambda: bool(records.of("outcome")))
        assert not stage.striker.busy
        assert not stage.striker.strike(stage.rig.watch.look(), TOTALS, stage.limits, monotonic_s())
        assert records.of("limit")[0]["level"] == "kill"
        assert stage.rig.watch.look().assessment.level is Level.KILL


def test_of_a_party_that_is_stuck_the_living_are_named(proc: FakeProc) -> None:
    everything: dict[str, Any] = {"rss": 300 << 20, "children": (51,)}
    proc.add(50, "top", **everything)
    proc.add(51, "stuck", ppid=50, rss=1 << 20, state="D", children=())
    rule = Rule("trees", (Clause("name", texts=("top",), written="top"),), kill="tree")
    with Rig(proc, kill=PATIENT, rules=(rule,)) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        (kill,) = rig.outbox.of("kill")
        assert [member[0] for member in kill["party"]["members"]] == [50, 51]
        assert kill["party"]["why"] == "rule trees"
        proc.remove(50)
        rig.hand.held[1] = rig.hand.held[1][1:]
        rig.striker.advance(rig.watch.look(), monotonic_s() + 5000)
        (outcome,) = rig.outbox.of("outcome")
        assert (outcome["outcome"], outcome["state"], outcome["living"][0][0]) == ("stuck", "D", 51)
        assert {(50, 100), (51, 100)} <= rig.striker.passed_over
