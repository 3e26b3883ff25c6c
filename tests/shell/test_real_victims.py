"""Real children behind a fake /proc: who is signalled, how, and who must not be."""

from __future__ import annotations

import signal
import subprocess
import time

from oomguardd.sections import GuardSettings, KillSettings
from tests.fakes import MIB, FakeProc
from tests.shell.rig import KILL_MIB, TERM_MIB, Rig, event_loop, open_fds, sleeper

SHORT = KillSettings(grace_s=0.2, stuck_after_s=1000, settle_s=0.0)
PATIENT = KillSettings(grace_s=1000, stuck_after_s=1000, settle_s=1000)


def ended(rig: Rig, ticks: bool = True) -> bool:
    """Whether an end was recorded, ticking meanwhile."""
    return rig.until(lambda: bool(rig.outbox.of("outcome")), rig.tick if ticks else lambda: None)


def alive(child: subprocess.Popen[bytes]) -> bool:
    return child.poll() is None


def test_sigterm_is_enough(proc: FakeProc) -> None:
    with event_loop() as loop, sleeper() as child, Rig(proc, loop, kill=PATIENT) as rig:
        proc.add(child.pid, rss=300 * MIB)
        rig.available(TERM_MIB)
        rig.tick()
        assert ended(rig)
        assert child.wait(20) == -signal.SIGTERM
        (outcome,) = rig.outbox.of("outcome")
        assert outcome["outcome"] == "died"
        assert not rig.striker.busy


def test_one_that_ignores_sigterm_gets_sigkill_after_the_grace_time(proc: FakeProc) -> None:
    with event_loop() as loop, sleeper(stubborn=True) as child, Rig(proc, loop, kill=SHORT) as rig:
        proc.add(child.pid, rss=300 * MIB)
        rig.available(TERM_MIB)
        rig.tick()
        assert ended(rig)
        assert child.wait(20) == -signal.SIGKILL
        assert [r["signal"] for r in rig.outbox.of("kill")] == ["SIGTERM"]
        assert len(rig.outbox.of("escalated")) == 1
        assert rig.outbox.of("outcome")[0]["after_s"] >= 0.2


def test_a_stopped_one_dies_too(proc: FakeProc) -> None:
    with event_loop() as loop, sleeper() as child, Rig(proc, loop, kill=PATIENT) as rig:
        child.send_signal(signal.SIGSTOP)
        proc.add(child.pid, rss=300 * MIB, state="T")
        rig.available(KILL_MIB)
        rig.tick()
        assert ended(rig)
        assert child.wait(20) == -signal.SIGKILL


def test_a_pid_given_to_another_between_choice_and_signal(proc: FakeProc) -> None:
    """The process that has it now was started at another time: it must live."""
    with event_loop() as loop, sleeper() as child, Rig(proc, loop, kill=PATIENT) as rig:
        proc.add(child.pid, "hog", rss=300 * MIB, start_ticks=100)
        rig.before_signal = lambda: proc.add(child.pid, "other", rss=0, start_ticks=101)
        rig.tick()
        rig.available(KILL_MIB)
        fds = open_fds()
        rig.tick(5)
        assert rig.outbox.of("kill") == []
        assert [r["outcome"] for r in rig.outbox.of("outcome")] == ["vanished"]
        deadline_s = time.monotonic() + 0.2
        rig.until(lambda: not alive(child) or time.monotonic() > deadline_s, rig.tick)
        assert alive(child)
        assert open_fds() == fds


def test_one_that_is_gone_before_the_signal(proc: FakeProc) -> None:
    with event_loop() as loop, Rig(proc, loop, kill=PATIENT) as rig:
        with sleeper() as child:
            proc.add(child.pid, rss=300 * MIB)
        rig.tick()
        fds = open_fds()
        rig.available(KILL_MIB)
        rig.tick()
        assert [r["outcome"] for r in rig.outbox.of("outcome")] == ["vanished"]
        assert open_fds() == fds


def test_one_that_dies_by_itself_while_it_is_waited_for(proc: FakeProc) -> None:
    with event_loop() as loop, sleeper(stubborn=True) as child, Rig(proc, loop, kill=PATIENT) as rig:
        proc.add(child.pid, rss=300 * MIB)
        rig.available(TERM_MIB)
        rig.tick()
        child.kill()
        assert ended(rig, ticks=False)
        assert rig.outbox.of("outcome")[0]["outcome"] == "died"


def test_somebody_elses_victim_is_not_signalled(proc: FakeProc) -> None:
    with event_loop() as loop, sleeper() as child, Rig(proc, loop, kill=PATIENT) as rig:
        proc.add(child.pid, rss=300 * MIB, kill_pending=True)
        rig.available(KILL_MIB)
        rig.tick(3)
        assert alive(child)
        assert len(rig.outbox.of("foreign")) == 1
        child.kill()
        assert ended(rig, ticks=False)
        assert rig.outbox.of("outcome")[0]["foreign"] is True


def test_dry_run_leaves_everybody_alive(proc: FakeProc) -> None:
    with (
        event_loop() as loop,
        sleeper() as child,
        Rig(proc, loop, kill=SHORT, guard=GuardSettings(dry_run=True)) as rig,
    ):
        proc.add(child.pid, rss=300 * MIB)
        rig.available(KILL_MIB)
        rig.tick(5)
        assert len(rig.outbox.of("kill")) == 1
        assert alive(child)


def test_no_descriptor_is_left(proc: FakeProc) -> None:
    fds = open_fds()
    with event_loop() as loop, Rig(proc, loop, kill=SHORT) as rig:
        for _ in range(5):
            with sleeper() as child:
                proc.add(child.pid, rss=300 * MIB)
                rig.outbox.records.clear()
                rig.available(KILL_MIB)
                rig.tick()
                assert ended(rig)
                proc.remove(child.pid)
    assert open_fds() == fds


def test_its_memory_is_taken_from_it(proc: FakeProc) -> None:
    """process_mrelease of a real hog of 64 MiB, by a thread of our own, beside its death."""
    hold = "import sys; m = bytearray(b'x' * (64 << 20)); print('ready', flush=True); sys.stdin.read()"
    command = ["python3", "-c", hold]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child,
        event_loop() as loop,
        Rig(proc, loop, kill=PATIENT) as rig,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        proc.add(child.pid, rss=64 * MIB)
        rig.available(KILL_MIB)
        rig.tick()
        assert ended(rig)
        assert child.wait(20) == -signal.SIGKILL
        assert rig.outbox.of("outcome")[0]["outcome"] == "died"
