"""The hand: a real child, a pidfd, and everything that can have happened to it meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

from oomguardd.engine.episode import Event
from oomguardd.engine.together import alone
from oomguardd.guard.actuator import Actuator
from oomguardd.kernel.process import inspect
from oomguardd.model import Party
from tests.fakes import FakeProc
from tests.shell.rig import candidate, event_loop, open_fds, sleeper


def real(proc_fd: int, pid: int) -> Party:
    found = inspect(proc_fd, pid, 0.0)
    assert found is not None
    return alone(found)


def until(loop: asyncio.AbstractEventLoop, done: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 20
    while not done() and time.monotonic() < deadline_s:
        loop.run_until_complete(asyncio.sleep(0.002))
    return done()


def test_from_the_pidfd_to_the_death() -> None:
    fds = open_fds()
    proc_fd = os.open("/proc", os.O_PATH)
    dead: list[int] = []
    with event_loop() as loop, sleeper() as child:
        hand = Actuator(proc_fd, loop, dead.append)
        assert hand.seize(7, real(proc_fd, child.pid)) is None
        assert hand.send(7, signal.SIGKILL) is None
        hand.reap(7)
        assert until(loop, lambda: dead == [7])
        assert until(loop, lambda: hand.reaped(7) is not None)
        assert child.wait(20) == -signal.SIGKILL
        hand.release(7)
        hand.release(7)
        hand.close()
    os.close(proc_fd)
    assert open_fds() == fds


def test_death_is_told_once() -> None:
    """A pidfd of a dead process is readable for ever: the loop must not spin on it."""
    proc_fd = os.open("/proc", os.O_PATH)
    dead: list[int] = []
    with event_loop() as loop, sleeper() as child:
        hand = Actuator(proc_fd, loop, dead.append)
        hand.seize(7, real(proc_fd, child.pid))
        child.kill()
        assert until(loop, lambda: bool(dead))
        loop.run_until_complete(asyncio.sleep(0.02))
        assert dead == [7]
        hand.close()
    os.close(proc_fd)


def test_another_process_with_that_pid(proc: FakeProc) -> None:
    with event_loop() as loop, sleeper() as child:
        proc.add(child.pid, start_ticks=200)
        hand = Actuator(proc.fd, loop, lambda _: None)
        fds = open_fds()
        assert hand.seize(7, alone(candidate(child.pid, start_ticks=100))) is Event.VANISHED
        assert hand.send(7, signal.SIGKILL) is Event.VANISHED
        assert child.poll() is None
        assert open_fds() == fds
        hand.close()


def test_unreadable_identity_is_not_trusted(proc: FakeProc) -> None:
    with event_loop() as loop, sleeper() as child:
        hand = Actuator(proc.fd, loop, lambda _: None)
        assert hand.seize(7, alone(candidate(child.pid))) is Event.VANISHED
        proc.add(child.pid)
        proc.write(f"{child.pid}/stat", b"garbage")
        assert hand.seize(8, alone(candidate(child.pid))) is Event.VANISHED
        hand.close()
        assert child.poll() is None


def test_gone_before_the_pidfd_was_open(proc: FakeProc) -> None:
    with event_loop() as loop:
        with sleeper() as child:
            pass
        hand = Actuator(proc.fd, loop, lambda _: None)
        assert hand.seize(7, alone(candidate(child.pid))) is Event.VANISHED
        assert hand.seize(8, alone(candidate(0))) is Event.VANISHED
        hand.close()


def test_gone_between_the_pidfd_and_the_signal() -> None:
    proc_fd = os.open("/proc", os.O_PATH)
    with event_loop() as loop, sleeper() as child:
        hand = Actuator(proc_fd, loop, lambda _: None)
        assert hand.seize(7, real(proc_fd, child.pid)) is None
        child.kill()
        child.wait(20)
        assert hand.send(7, signal.SIGTERM) is Event.VANISHED
        hand.close()
    os.close(proc_fd)


def test_a_thread_is_no_process(proc: FakeProc) -> None:
    """A pid can be given to a thread of somebody else."""
    with event_loop() as loop:
        hand = Actuator(proc.fd, loop, lambda _: None)
        threads = [int(name) for name in os.listdir("/proc/self/task") if int(name) != os.getpid()]
        assert threads  # the reaper's
        proc.add(threads[0])
        assert hand.seize(7, alone(candidate(threads[0]))) is Event.VANISHED
        hand.close()


def test_nothing_is_asked_of_what_is_not_held(proc: FakeProc) -> None:
    with event_loop() as loop:
        hand = Actuator(proc.fd, loop, lambda _: None)
        hand.reap(99)
        hand.release(99)
        assert hand.reaped(99) is None
        assert hand.send(99, signal.SIGKILL) is Event.VANISHED
        hand.close()


def test_released_while_it_is_reaped() -> None:
    """The thread works on a descriptor of its own."""
    proc_fd = os.open("/proc", os.O_PATH)
    with event_loop() as loop:
        hand = Actuator(proc_fd, loop, lambda _: None)
        for kill_id in range(10):
            with sleeper() as child:
                hand.seize(kill_id, real(proc_fd, child.pid))
                hand.send(kill_id, signal.SIGKILL)
                hand.reap(kill_id)
                hand.release(kill_id)
                assert child.wait(20) == -signal.SIGKILL
        hand.close()
    os.close(proc_fd)
