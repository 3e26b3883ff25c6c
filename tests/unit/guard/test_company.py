"""Killing several as one: in one step of the kernel's, or frozen and looked at again until nobody is new."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from oomguardd.census.muster import Muster
from oomguardd.engine.episode import Event
from oomguardd.engine.together import Keep
from oomguardd.guard.company import NEWBORN_S, SWEEPS, Company
from oomguardd.kernel.cgroupfs import Cgroups, find_cgroups
from oomguardd.kernel.clock import boottime_s
from oomguardd.kernel.process import inspect
from oomguardd.model import Member, Owner, Weighed
from tests.fakes import MIB, FakeCgroups, FakeProc
from tests.shell.rig import Hand

SCOPE = "/user.slice/build.scope"
TERM, KILL = signal.SIGTERM, signal.SIGKILL
KEEP = Keep(max_processes=50)


class Scene:
    """Processes 50 to 52 in a scope, and a company that kills nobody."""

    def __init__(self, proc: FakeProc, fake: FakeCgroups, cgroups: Cgroups) -> None:
        self.proc = proc
        self.fake = fake
        for pid in (50, 51, 52):
            proc.add(pid, "bomb", rss=MIB, cgroup=SCOPE, children=())
        self.there = [50, 51, 52]
        self.frozen = False
        """By somebody else."""
        fake.add(SCOPE, self.there)
        self.hand = Births(self)
        self.company = Company(Muster(proc.fd, cgroups, share=lambda one, other: None))
        self.company.actuator = self.hand

    def born(self, pid: int, comm: str = "bomb") -> None:
        self.proc.add(pid, comm, rss=MIB, cgroup=SCOPE, children=())
        self.there.append(pid)
        self.fake.add(SCOPE, self.there, self.frozen)

    def victim(self, kill: str) -> Weighed:
        c = inspect(self.proc.fd, 50, 0.0)
        assert c is not None
        owner = Owner(places=(("unit", SCOPE),))
        return Weighed(replace(c, owner=owner), 0, (), 0, kill=kill)

    def seized(self, kill: str) -> Company:
        w = self.victim(kill)
        party = self.company.gather(w, KEEP, ())
        assert self.company.seize(7, w.candidate, party, KEEP) is None
        return self.company

    def freeze(self) -> None:
        """As somebody else would."""
        self.frozen = True
        self.fake.write(SCOPE, "cgroup.freeze", "1\n")
        self.fake.add(SCOPE, self.there, True)

    @property
    def stopped(self) -> bool:
        return self.fake.read(SCOPE, "cgroup.freeze").strip() == "1"

    @property
    def pids(self) -> list[int]:
        return sorted(member.pid for member in self.company.party(7).members)


class Births(Hand):
    """With each signal to a party, one more is born there, as long as there are any to come."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.to_come: list[int] = []
        self.stopped: list[bool] = []
        """Whether they were frozen when somebody joined."""

    def send(self, kill_id: int, number: signal.Signals) -> Event | None:
        if self.to_come:
            self.scene.born(self.to_come.pop(0))
        return super().send(kill_id, number)

    def join(self, kill_id: int, members: Iterable[Member]) -> None:
        super().join(kill_id, members)
        self.stopped.append(self.scene.stopped)


@pytest.fixture
def scene(proc: FakeProc, tmp_path: Path) -> Iterator[Scene]:
    fake = FakeCgroups(tmp_path / "cgroup")
    cgroups = find_cgroups(str(fake.root))
    assert cgroups is not None
    yield Scene(proc, fake, cgroups)
    cgroups.close()


def killed_at_once(scene: Scene) -> bool:
    return scene.fake.read(SCOPE, "cgroup.kill") == "1"


def test_a_whole_cgroup_is_killed_in_one_step(scene: Scene) -> None:
    company = scene.seized("unit")
    assert company.send(7, KILL) is None
    assert killed_at_once(scene)
    assert scene.hand.sent == [(50, KILL)]
    assert not scene.stopped


def test_sigterm_goes_to_each_of_them(scene: Scene) -> None:
    assert scene.seized("unit").send(7, TERM) is None
    assert not killed_at_once(scene)
    assert scene.hand.sent == [(50, TERM)]


def test_who_has_come_between_the_signals_is_killed_with_them(scene: Scene) -> None:
    company = scene.seized("unit")
    company.send(7, TERM)
    scene.born(53)
    company.send(7, KILL)
    assert killed_at_once(scene)
    assert scene.pids == [50, 51, 52, 53]


def test_one_who_must_live_has_come_between_the_signals(scene: Scene) -> None:
    """Then each of the others is killed by itself."""
    company = scene.seized("unit")
    company.send(7, TERM)
    scene.born(53, "sshd")
    company.send(7, KILL)
    assert not killed_at_once(scene)
    assert scene.pids == [50, 51, 52]
    assert scene.hand.sent == [(50, TERM), (50, KILL)]


def without_cgroup_kill(scene: Scene) -> None:
    os.unlink(scene.fake.root / SCOPE.strip("/") / "cgroup.kill")


@pytest.mark.parametrize("kill", ["unit", "swarm"])
def test_otherwise_it_is_frozen_until_nobody_is_new(scene: Scene, kill: str) -> None:
    without_cgroup_kill(scene)
    company = scene.seized(kill)
    scene.hand.to_come = [53, 54, 55]
    assert company.send(7, KILL) is None
    assert scene.pids == [50, 51, 52, 53, 54, 55]
    assert scene.hand.stopped == [False, True, True]
    assert not scene.stopped


def test_it_ends_even_if_there_is_always_one_more(scene: Scene) -> None:
    without_cgroup_kill(scene)
    company = scene.seized("swarm")
    scene.hand.to_come = list(range(60, 100))
    assert company.send(7, KILL) is None
    assert len(scene.pids) == 3 + SWEEPS
    assert not scene.stopped


def test_what_holds_us_is_not_frozen(scene: Scene) -> None:
    without_cgroup_kill(scene)
    company = scene.seized("swarm")
    scene.born(os.getpid(), "guard")
    scene.hand.to_come = [53, 54]
    company.send(7, KILL)
    assert scene.pids == [50, 51, 52, 53, 54]
    assert not scene.stopped


def test_what_somebody_else_has_frozen_stays_frozen(scene: Scene) -> None:
    without_cgroup_kill(scene)
    company = scene.seized("swarm")
    scene.freeze()
    scene.hand.to_come = [53, 54]
    company.send(7, KILL)
    assert scene.pids == [50, 51, 52, 53, 54]
    assert scene.stopped


def test_a_whole_one_is_thawed_whoever_has_frozen_it(scene: Scene) -> None:
    """On v1 they could not die."""
    without_cgroup_kill(scene)
    company = scene.seized("unit")
    scene.freeze()
    company.send(7, KILL)
    assert not scene.stopped


def test_more_of_them_after_the_last_death(scene: Scene) -> None:
    company = scene.seized("swarm")
    company.send(7, KILL)
    assert not company.more(7)
    scene.born(53)
    assert company.more(7)
    assert scene.pids == [50, 51, 52, 53]
    assert scene.hand.sent[-1] == (50, KILL)


def test_not_for_ever(scene: Scene) -> None:
    company = scene.seized("swarm")
    company.send(7, KILL)
    again = 0
    for pid in range(60, 60 + 2 * SWEEPS):
        scene.born(pid)
        again += company.more(7)
    assert again == SWEEPS


def test_a_service_that_was_restarted_is_another_matter(scene: Scene) -> None:
    company = scene.seized("unit")
    company.send(7, KILL)
    time.sleep(NEWBORN_S + 0.02)
    ticks = int(boottime_s() * os.sysconf("SC_CLK_TCK"))
    scene.proc.add(60, "bomb", rss=MIB, cgroup=SCOPE, start_ticks=ticks)
    scene.fake.add(SCOPE, (60,))
    assert not company.more(7)


def test_a_process_alone_has_no_company(scene: Scene) -> None:
    company = scene.seized("process")
    company.send(7, KILL)
    scene.born(53)
    assert not company.more(7)
    assert scene.pids == [50]
    assert not killed_at_once(scene)


def test_refused_and_vanished_are_told(scene: Scene) -> None:
    company = scene.seized("swarm")
    scene.hand.unsendable[50] = Event.REFUSED
    scene.hand.to_come = [53, 54]
    assert company.send(7, KILL) is Event.REFUSED
    assert scene.pids == [50, 51, 52]
    company.release(7)
    assert company.send(7, KILL) is Event.VANISHED
    assert scene.hand.held == {}


def test_without_a_muster_everybody_dies_alone(scene: Scene) -> None:
    company = Company(None)
    party = company.gather(scene.victim("unit"), KEEP, ())
    assert [member.pid for member in party.members] == [50]
    assert company.seize(7, scene.victim("unit").candidate, party, KEEP) is Event.REFUSED
