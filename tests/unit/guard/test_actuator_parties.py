"""The hand on many at once: real children, one pidfd each, and one death for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

from oomguardd.engine.episode import Event
from oomguardd.guard.actuator import REAP_MAX, SPARE_FDS, Actuator
from oomguardd.kernel.process import start_ticks
from oomguardd.model import Member, Party
from tests.shell.rig import event_loop, open_fds, sleeper

Child = subprocess.Popen[bytes]
KILL, TERM = signal.SIGKILL, signal.SIGTERM


@contextlib.contextmanager
def stage(count: int, stubborn: bool = False) -> Iterator[tuple[asyncio.AbstractEventLoop, int, list[Child]]]:
    """A loop, /proc, and so many children."""
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(event_loop())
        proc_fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        stack.callback(os.close, proc_fd)
        yield loop, proc_fd, [stack.enter_context(sleeper(stubborn)) for _ in range(count)]


def member(proc_fd: int, child: Child) -> Member:
    return Member(child.pid, start_ticks(proc_fd, child.pid) or 0, "sleep", 0)


def party(proc_fd: int, children: list[Child]) -> Party:
    return Party("unit", tuple(member(proc_fd, child) for child in children))


def until(loop: asyncio.AbstractEventLoop, done: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 20
    while not done() and time.monotonic() < deadline_s:
        loop.run_until_complete(asyncio.sleep(0.002))
    return done()


def test_the_death_of_a_party_is_that_of_the_last_one() -> None:
    fds = open_fds()
    dead: list[int] = []
    with stage(5) as (loop, proc_fd, children):
        hand = Actuator(proc_fd, loop, dead.append)
        assert hand.seize(7, party(proc_fd, children)) is None
        for child in children[:4]:
            child.kill()
            child.wait(20)
        assert until(loop, lambda: len(hand.living(7)) == 1)
        assert dead == []
        assert hand.send(7, KILL) is None
        assert until(loop, lambda: dead == [7])
        loop.run_until_complete(asyncio.sleep(0.02))
        assert dead == [7]
        assert hand.living(7) == ()
        hand.close()
    assert open_fds() == fds


def test_all_get_the_signal_and_are_reaped() -> None:
    dead: list[int] = []
    with stage(REAP_MAX + 3) as (loop, proc_fd, children):
        hand = Actuator(proc_fd, loop, dead.append)
        hand.seize(7, party(proc_fd, children))
        assert hand.send(7, KILL) is None
        hand.reap(7)
        assert until(loop, lambda: dead == [7])
        assert [child.wait(20) for child in children] == [-KILL] * len(children)
        assert until(loop, lambda: hand.reaped(7) is not None)
        hand.close()


def test_those_who_have_gone_are_dropped_and_others_with_their_pids_live() -> None:
    with stage(4) as (loop, proc_fd, children):
        hand = Actuator(proc_fd, loop, lambda _: None)
        victim, gone, reused, other = party(proc_fd, children).members
        children[1].kill()
        children[1].wait(20)
        reused = reused._replace(start_ticks=reused.start_ticks + 1)
        assert hand.seize(7, Party("unit", (victim, gone, reused, other))) is None
        assert hand.living(7) == (victim, other)
        assert hand.send(7, KILL) is None
        assert children[3].wait(20) == -KILL
        loop.run_until_complete(asyncio.sleep(0.02))
        assert children[2].poll() is None
        hand.close()


def test_without_its_victim_a_party_is_left_alone() -> None:
    fds = open_fds()
    with stage(3) as (loop, proc_fd, children):
        hand = Actuator(proc_fd, loop, lambda _: None)
        members = party(proc_fd, children)
        children[0].kill()
        children[0].wait(20)
        assert hand.seize(7, members) is Event.VANISHED
        assert hand.living(7) == ()
        assert [child.poll() for child in children[1:]] == [None, None]
        hand.close()
    assert open_fds() == fds


def test_a_victim_that_goes_right_before_the_first_signal_saves_the_others() -> None:
    with stage(3) as (loop, proc_fd, children):
        hand = Actuator(proc_fd, loop, lambda _: None)
        hand.seize(7, party(proc_fd, children))
        children[0].kill()
        children[0].wait(20)
        assert hand.send(7, KILL) is Event.VANISHED
        loop.run_until_complete(asyncio.sleep(0.02))
        assert [child.poll() for child in children[1:]] == [None, None]
        hand.close()


def test_who_died_of_the_first_signal_does_not_keep_the_second_from_the_others() -> None:
    dead: list[int] = []
    with stage(2, stubborn=True) as (loop, proc_fd, stubborn), sleeper() as soft:
        hand = Actuator(proc_fd, loop, dead.append)
        hand.seize(7, party(proc_fd, [soft, *stubborn]))
        assert hand.send(7, TERM) is None
        assert soft.wait(20) == -TERM
        assert until(loop, lambda: len(hand.living(7)) == 2)
        assert hand.send(7, KILL) is None
        assert until(loop, lambda: dead == [7])
        hand.close()


def test_more_may_join_even_when_all_are_dead() -> None:
    fds = open_fds()
    dead: list[int] = []
    with stage(4) as (loop, proc_fd, children):
        hand = Actuator(proc_fd, loop, dead.append)
        hand.seize(7, party(proc_fd, children[:1]))
        hand.join(7, [member(proc_fd, children[1])])
        hand.send(7, KILL)
        assert until(loop, lambda: dead == [7])
        hand.join(7, [member(proc_fd, child) for child in children[2:]])
        assert hand.send(7, KILL) is None
        assert until(loop, lambda: dead == [7, 7])
        assert [child.wait(20) for child in children] == [-KILL] * 4
        hand.join(8, [])
        hand.close()
    assert open_fds() == fds


def test_with_few_descriptors_they_die_in_batches() -> None:
    """And reading /proc stays possible meanwhile."""
    dead: list[int] = []
    count = 3 * SPARE_FDS
    with stage(count) as (loop, proc_fd, children):
        hand = Actuator(proc_fd, loop, dead.append)
        members = party(proc_fd, children)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2 * SPARE_FDS, hard))
        try:
            assert hand.seize(7, members) is None
            assert sorted(hand.living(7)) == sorted(members.members)
            assert start_ticks(proc_fd, os.getpid())
            assert hand.send(7, KILL) is None
            assert until(loop, lambda: dead == [7])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert [child.wait(20) for child in children] == [-KILL] * count
        hand.close()


def test_with_no_descriptor_but_the_victims_the_victim_dies() -> None:
    dead: list[int] = []
    with stage(3) as (loop, proc_fd, children):
        hand = Actuator(proc_fd, loop, dead.append)
        members = party(proc_fd, children)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        filling = [os.dup(proc_fd) for _ in range(100)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(filling) + 1, hard))
        for fd in filling[:2]:  # for the victim's, and for looking at it
            os.close(fd)
        try:
            assert hand.seize(7, members) is None
            assert hand.send(7, KILL) is None
            for fd in filling[2:]:
                os.close(fd)
            assert until(loop, lambda: dead == [7])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert [child.wait(20) for child in children] == [-KILL] * 3
        hand.close()
