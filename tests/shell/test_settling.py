"""After a kill, and when time was lost during one: who is waited for, for how long, and how fast we look."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from oomguardd.engine.episode import Event
from oomguardd.guard.loop import SCAN_S
from oomguardd.guard.warden import Warden
from oomguardd.model import Level
from oomguardd.sections import KillSettings
from tests.fakes import GIB, MIB, FakeProc
from tests.shell.rig import CALM_MIB, DEADLINE_S, KILL_MIB, TERM_MIB, TRIGGERS, WARN_MIB, Rig

TERM, KILL = signal.SIGTERM, signal.SIGKILL
PATIENT = KillSettings(grace_s=1000, stuck_after_s=1000, settle_s=1000, stand_down_s=1000)
PAUSED_S = 30.0
LESS_S = 20.0
"""Times that a pause would use up."""
CALM_PACE_S = 0.2
LITTLE_BACK_MIB = 170
"""Calm again, but less than half of a victim's 300 MiB has come back."""


class Paced(Warden):
    """Notes how long the guard is going to sleep."""

    def __init__(self) -> None:
        super().__init__("/nonexistent", 60.0)
        self.pause_s = 0.0

    def expect(self, within_s: float) -> None:
        if within_s != SCAN_S:  # in the middle of a tick
            self.pause_s = within_s


def slow_to_fill(rig: Rig) -> None:
    """A machine on which even a little memory lasts for a while: a fast pace is then one of our own making.
    Never as slow as SCAN_S, though."""
    rig.watch.retune(TRIGGERS, 1e8, 1e8)


def ticked_until(rig: Rig, done: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + DEADLINE_S
    while not done():
        if time.monotonic() > deadline_s:
            return False
        rig.tick()
        time.sleep(0.005)
    return True


def stand_still(rig: Rig, lost_s: float) -> None:
    """The clock went on for that long, and nobody else did: everything that was noted is so much older."""
    rig.guard._due_s -= lost_s
    for kill_id, e in rig.striker._episodes.items():
        rig.striker._episodes[kill_id] = replace(
            e, stage_since_s=e.stage_since_s - lost_s, began_s=e.began_s - lost_s
        )
    settling = rig.striker._settling
    if settling is not None:
        rig.striker._settling = replace(settling, since_s=settling.since_s - lost_s)


def test_after_a_kill_the_pace_is_calm_again(proc: FakeProc) -> None:
    """Even though only time ends the settling, and nobody asks for another victim."""
    proc.add(50, rss=300 * MIB)
    warden = Paced()
    with Rig(proc, kill=PATIENT, warden=warden) as rig:
        slow_to_fill(rig)
        rig.retune(settle_s=0.2)
        rig.available(KILL_MIB)
        rig.tick()
        assert rig.hand.pids == [50]
        assert warden.pause_s == rig.config.pace.fastest_s
        rig.available(LITTLE_BACK_MIB)
        rig.dies(50)
        assert rig.striker.settling
        assert ticked_until(rig, lambda: warden.pause_s > CALM_PACE_S)
        assert rig.guard.level is Level.CALM
        assert not rig.striker.settling


def test_while_it_settles_the_pace_is_fast(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    warden = Paced()
    with Rig(proc, kill=PATIENT, warden=warden) as rig:
        slow_to_fill(rig)
        rig.available(KILL_MIB)
        rig.tick()
        rig.available(LITTLE_BACK_MIB)
        rig.dies(50)
        rig.tick()
        assert rig.guard.level is Level.CALM
        assert warden.pause_s == rig.config.pace.fastest_s
        rig.available(CALM_MIB)
        rig.tick()
        assert warden.pause_s > CALM_PACE_S


def test_after_a_stand_down_the_pace_is_calm_again(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    warden = Paced()
    with Rig(proc, kill=PATIENT, warden=warden) as rig:
        slow_to_fill(rig)
        rig.retune(stand_down_s=0.2)
        rig.available(WARN_MIB)
        rig.tick()
        proc.machine(oom_kill=1)
        rig.available(TERM_MIB)
        rig.tick()
        assert len(rig.outbox.of("stand_down")) == 1
        rig.available(CALM_MIB)
        assert ticked_until(rig, lambda: warden.pause_s > CALM_PACE_S)
        assert not rig.striker.settling
        assert rig.hand.sent == []


@pytest.mark.parametrize(("mib", "sent"), [(TERM_MIB, TERM), (KILL_MIB, KILL)])
def test_a_pause_is_no_time_that_a_victim_had(proc: FakeProc, mib: int, sent: signal.Signals) -> None:
    """It is neither forced, nor stuck, nor followed by a second one."""
    for pid in (50, 51):
        proc.add(pid, rss=300 * MIB)
    with Rig(proc, kill=replace(PATIENT, grace_s=LESS_S, stuck_after_s=LESS_S)) as rig:
        rig.available(mib)
        rig.tick()
        (victim,) = rig.hand.pids
        stand_still(rig, PAUSED_S)
        rig.tick(3)
        assert rig.hand.sent == [(victim, sent)]
        assert rig.striker.busy
        assert rig.striker.passed_over == frozenset()
        assert {r["why"] for r in rig.outbox.of("gap")} == {"pause"}
        assert rig.outbox.of("outcome") == []


def test_a_pause_is_no_time_in_which_memory_comes_back(proc: FakeProc) -> None:
    for pid in (50, 51):
        proc.add(pid, rss=300 * MIB)
    with Rig(proc, kill=replace(PATIENT, settle_s=LESS_S)) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        rig.dies(rig.hand.pids[0])
        stand_still(rig, PAUSED_S)
        rig.tick(3)
        assert rig.striker.settling
        assert len(rig.hand.pids) == 1


def test_time_that_did_pass_counts(proc: FakeProc) -> None:
    """The opposite: as old, but we were there all the time."""
    proc.add(50, rss=300 * MIB)
    with Rig(proc, kill=replace(PATIENT, grace_s=LESS_S)) as rig:
        rig.available(TERM_MIB)
        rig.tick()
        stand_still(rig, PAUSED_S)
        rig.guard._due_s += PAUSED_S
        rig.tick()
        assert rig.hand.sent == [(50, TERM), (50, KILL)]


@pytest.mark.parametrize("event", [Event.VANISHED, Event.REFUSED])
def test_a_scan_that_led_to_nobody_is_not_used_again(proc: FakeProc, event: Event) -> None:
    for pid in (50, 51):
        proc.add(pid, rss=300 * MIB, start_ticks=pid)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(WARN_MIB)
        rig.tick()
        assert rig.scout.ahead is not None
        (rig.hand.vanished if event is Event.VANISHED else rig.hand.refused).add(51)
        rig.available(KILL_MIB)
        rig.tick()
        assert rig.scout.ahead is None
        assert rig.hand.sent == []
        proc.remove(51)
        rig.tick()
        assert [(r["victim"]["pid"], r["ahead"]) for r in rig.outbox.of("kill")] == [(50, False)]


def test_right_after_a_resume_the_second_reading_must_be_an_emergency_too(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    with Rig(proc, kill=PATIENT) as rig:
        rig.guard._suspended_s -= 3600
        rig.available(KILL_MIB)
        rig.before_signal = lambda: rig.available(TERM_MIB)
        rig.tick()
        assert rig.hand.sent == []
        assert rig.outbox.of("kill") == []
        rig.before_signal = lambda: None
        rig.available(KILL_MIB)
        rig.tick()
        assert rig.hand.sent == [(50, KILL)]


@pytest.mark.parametrize("mrelease", [True, False])
def test_somebody_elses_victim_is_reaped_too(proc: FakeProc, mrelease: bool) -> None:
    proc.add(50, rss=300 * MIB)
    proc.add(60, rss=250 * MIB, kill_pending=True)
    with Rig(proc, kill=replace(PATIENT, mrelease=mrelease)) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        assert rig.hand.sent == []
        assert rig.hand.reaps == ([60] if mrelease else [])


def test_the_death_of_one_that_may_not_be_signalled_is_not_our_doing(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    with Rig(proc, kill=PATIENT) as rig:
        rig.hand.unsendable[50] = Event.REFUSED
        rig.available(KILL_MIB)
        rig.tick()
        rig.dies(50)
        assert [r["outcome"] for r in rig.outbox.of("outcome")] == ["refused"]
        assert rig.outbox.of("kill") == []
        assert rig.striker.kills == 0
        assert not rig.striker.settling
        assert rig.striker.passed_over == frozenset()
        assert rig.hand.held == {}


def test_on_a_large_machine_a_loss_is_seen_before_one_percent_of_it(proc: FakeProc) -> None:
    """1% of 256 GiB is more than what is left when it becomes dangerous."""
    proc.machine(mem_total=256 * GIB)
    for pid, gib in ((50, 20), (51, 10)):
        proc.add(pid, rss=gib * GIB)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(1024)
        rig.tick()
        rig.dies(50)
        rig.available(1024 - 200)
        rig.tick(3)
        assert rig.hand.pids == [50]
        rig.available(1024 - 300)
        rig.tick()
        assert rig.hand.pids == [50, 51]
