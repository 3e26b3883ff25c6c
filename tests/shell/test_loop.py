"""The loop around the ticks: gaps in time, faults, reloads, what is told and when the watchdog starves."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from oomguardd.guard.loop import FAILED_TICKS, SCAN_S
from oomguardd.guard.strike import Look
from oomguardd.guard.warden import Warden
from oomguardd.model import Level, Sample
from oomguardd.sections import GuardSettings, KillSettings, LogSettings
from tests.fakes import MIB, FakeProc
from tests.shell.rig import CALM_MIB, KILL_MIB, TERM_MIB, WARN_MIB, Rig, event_loop, low

PATIENT = KillSettings(grace_s=1000, stuck_after_s=1000, settle_s=1000)


class Fed(Warden):
    """Counts instead of watching."""

    def __init__(self) -> None:
        super().__init__("/nonexistent", 60.0)
        self.fed: list[float] = []

    def expect(self, within_s: float) -> None:
        if within_s != SCAN_S:  # in the middle of a tick
            self.fed.append(within_s)


class BrokenError(Exception):
    """Nobody foresaw this one."""


def broken(*_: Any) -> Any:
    raise BrokenError("no sense")


def test_a_tick_that_fails_is_told_and_the_next_one_acts(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    with Rig(proc, kill=PATIENT) as rig:
        good = rig.watch.look
        rig.watch.look = broken  # type: ignore[method-assign]
        rig.tick(3)
        rig.watch.look = good  # type: ignore[method-assign]
        rig.available(KILL_MIB)
        rig.tick()
        assert rig.hand.pids == [50]
        (fault,) = rig.outbox.of("fault")
        assert fault["where"] == "tick"
        assert "BrokenError: no sense" in fault["error"]


def test_the_watchdog_starves_when_ticks_go_on_failing(proc: FakeProc) -> None:
    warden = Fed()
    with Rig(proc, warden=warden) as rig:
        good = rig.watch.look
        rig.watch.look = broken  # type: ignore[method-assign]
        rig.tick(FAILED_TICKS)
        assert len(warden.fed) == FAILED_TICKS
        rig.tick(5)
        assert len(warden.fed) == FAILED_TICKS
        rig.watch.look = good  # type: ignore[method-assign]
        rig.tick()
        assert len(warden.fed) == FAILED_TICKS + 1


def test_the_watchdog_starves_when_memory_cannot_be_read_any_more(proc: FakeProc) -> None:
    warden = Fed()
    with Rig(proc, warden=warden) as rig:
        proc.write("meminfo", b"garbage")
        rig.tick(FAILED_TICKS + 5)
        assert len(warden.fed) == FAILED_TICKS
        assert rig.outbox.of("fault")[0]["where"] == "MemorySensor"
        proc.machine(mem_available=CALM_MIB * MIB)
        rig.tick()
        assert len(warden.fed) == FAILED_TICKS + 1


def test_a_fault_is_told_at_every_tenfold_only(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        for _ in range(1500):
            rig.guard.fault("scan", OSError("gone"))
        rig.guard.fault("scan", OSError("another"))
        told = [(r["error"], r["count"]) for r in rig.outbox.of("fault")]
        assert told == [("scan: OSError: gone", n) for n in (1, 10, 100, 1000)] + [
            ("scan: OSError: another", 1)
        ]


def test_causes_without_end_are_told_with_an_end(proc: FakeProc) -> None:
    """Each with a pid of its own in the text, say."""
    with Rig(proc) as rig:
        for number in range(5000):
            rig.guard.fault("scan", OSError(f"process {number}"))
        assert len(rig.outbox.of("fault")) < 110


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\n", b"MemTotal: x kB\n", b"\xff" * 9000, b"MemTotal:       1048576 kB\nMemFree:", b"9" * 5000],
)
@pytest.mark.parametrize("name", ["meminfo", "vmstat", "pressure/memory", "zoneinfo"])
def test_garbage_in_the_machines_files_kills_nobody(proc: FakeProc, name: str, garbage: bytes) -> None:
    proc.add(50, rss=300 * MIB)
    with Rig(proc) as rig:
        proc.write(name, garbage)
        rig.tick(3)
        assert rig.hand.sent == []
        assert len(rig.outbox.of("fault")) == (0 if name == "zoneinfo" else 1)
        assert rig.guard.level is Level.CALM
        rig.available(KILL_MIB)
        proc.write(name, garbage)
        rig.tick()
        assert rig.hand.pids == ([] if name == "meminfo" else [50])


def test_one_bad_reading_of_memory_is_followed_by_another_soon(proc: FakeProc) -> None:
    """Not after the long sleep of a calm machine: it may have been the last one before the threshold."""
    warden = Fed()
    with Rig(proc, warden=warden) as rig:
        proc.write("meminfo", b"")
        rig.tick()
        assert warden.fed[-1] <= 0.1


def test_proc_that_cannot_be_listed(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        rig.available(KILL_MIB)
        proc.close()
        rig.tick(3)
        assert len(rig.outbox.of("fault")) == 1
        assert rig.hand.sent == []


def test_the_pace_follows_the_distance(proc: FakeProc) -> None:
    warden = Fed()
    with Rig(proc, warden=warden) as rig:
        for mib, least, most in ((CALM_MIB, 0.2, 5.0), (WARN_MIB, 0.05, 0.1), (TERM_MIB, 0.05, 0.05)):
            rig.available(mib)
            rig.tick()
            assert least <= warden.fed[-1] <= most


def test_a_suspend_is_no_time_that_was_observed(proc: FakeProc) -> None:
    """`for = 0.3 s`: what held before the suspend and after it has not held meanwhile."""
    lasting = (low("lasting", Level.TERM, 10, for_s=0.3),)
    proc.add(50, rss=300 * MIB)
    with Rig(proc, triggers=lasting, guard=GuardSettings(resume_grace_s=0.0)) as rig:
        rig.available(TERM_MIB)
        rig.tick()
        time.sleep(0.35)
        rig.guard._suspended_s -= 3600  # the machine's clock cannot be stopped by a test
        rig.tick()
        assert rig.hand.sent == []
        assert [(r["why"], round(r["lost_s"])) for r in rig.outbox.of("gap")] == [("suspend", 3600)]
        time.sleep(0.35)
        rig.tick()
        assert rig.hand.pids == [50]


def test_right_after_a_resume_only_an_emergency_counts(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    with Rig(proc, kill=PATIENT) as rig:
        rig.guard._suspended_s -= 3600
        rig.available(TERM_MIB)
        rig.tick(3)
        assert rig.hand.sent == []
        rig.available(KILL_MIB)
        rig.tick()
        assert rig.hand.pids == [50]


def test_a_pause_is_noticed_even_if_something_else_wakes_us_first(proc: FakeProc) -> None:
    """Stopped by a debugger or a hypervisor, and a stall is reported as we go on: the tick is still late."""
    with event_loop() as loop, Rig(proc, loop) as rig:
        rig.guard.start(loop)
        rig.guard._due_s -= 10
        rig.guard.wake()
        assert rig.until(lambda: bool(rig.outbox.of("gap")))
        (gap,) = rig.outbox.of("gap")
        assert gap["why"] == "pause"
        assert gap["lost_s"] >= 9


def test_wake_is_a_tick_at_once_and_not_one_more_chain(proc: FakeProc) -> None:
    with event_loop() as loop, Rig(proc, loop) as rig:
        rig.guard.start(loop)
        for turn in range(2, 6):
            for _ in range(10):
                rig.guard.wake()
            assert rig.until(lambda turn=turn: rig.guard.ticks >= turn)  # type: ignore[misc]
        loop.run_until_complete(asyncio.sleep(0.05))
        assert rig.guard.ticks == 5
        assert rig.outbox.of("gap") == []


def test_asked_for_a_tick_during_a_tick(proc: FakeProc) -> None:
    """One chain of ticks, not two."""
    with event_loop() as loop, Rig(proc, loop) as rig:
        rig.guard.on_calm = rig.guard.wake
        rig.guard.start(loop)
        loop.run_until_complete(asyncio.sleep(0.1))
        assert rig.guard.ticks <= 2


def test_stopped_is_stopped(proc: FakeProc) -> None:
    with event_loop() as loop, Rig(proc, loop) as rig:
        rig.available(TERM_MIB)
        rig.guard.start(loop)
        rig.guard.stop()
        rig.guard.wake()
        before = rig.guard.ticks
        loop.run_until_complete(asyncio.sleep(0.15))
        assert rig.guard.ticks == before


def test_a_reload_waits_until_all_is_calm(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    asked: list[Level] = []
    with Rig(proc, kill=PATIENT) as rig:
        rig.guard.reload = lambda: asked.append(rig.guard.level)
        rig.available(TERM_MIB)
        rig.tick(3)
        rig.available(CALM_MIB)
        rig.tick(2)
        assert asked == []  # the victim still dies
        rig.dies(50)
        rig.tick(3)
        assert asked == [Level.CALM]


def test_a_reload_that_raises_is_a_fault_and_no_more(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        rig.guard.reload = broken
        rig.tick(3)
        assert len(rig.outbox.of("fault")) == 1
        assert rig.guard.ticks == 3


def test_a_level_is_told_when_it_rises_and_when_it_has_fallen_for_a_while(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        for _ in range(5):  # a reading on the edge
            rig.available(WARN_MIB)
            rig.tick()
            rig.available(CALM_MIB)
            rig.tick()
        assert [r["level"] for r in rig.outbox.of("level")] == ["warn"]
        assert rig.guard._voice._lower_since_s is not None
        rig.guard._voice._lower_since_s -= 11
        rig.tick()
        assert [(r["was"], r["level"]) for r in rig.outbox.of("level")] == [
            ("calm", "warn"),
            ("warn", "calm"),
        ]


def test_state_is_told_now_and_then_and_not_kept(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        rig.guard.config = rig.config.__class__(
            log=LogSettings(state_interval_s=0.0), triggers=rig.config.triggers
        )
        rig.tick(2)
        states = rig.outbox.of("state")
        assert len(states) == 2
        assert {r["seq"] for r in states} == {0}
        assert states[1]["ticks"] == 2


def test_looks_are_told_to_a_reporter_that_is_there_and_not_too_often(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        rig.tick()
        assert rig.outbox.of("tick") == []  # nobody listens
        rig.outbox.connected = 1
        rig.tick(5)
        (told,) = rig.outbox.of("tick")
        assert (told["seq"], told["level"], told["ticks"], told["triggers"]) == (0, "calm", 2, [])
        assert told["readings"]["mem_total"] > 0
        assert told["cpu_s"] > 0
        rig.guard._voice._tick_s -= 1
        rig.tick()
        assert len(rig.outbox.of("tick")) == 2


def test_memory_in_per_cpu_lists_is_counted_before_anybody_dies(proc: FakeProc) -> None:
    """A victim's pages may hide there for seconds: MemAvailable alone would have the next one killed."""
    proc.add(50, rss=300 * MIB)
    with Rig(proc) as rig:
        proc.machine(pcp_pages=100 * MIB // 4096)
        rig.available(TERM_MIB)
        rig.tick(3)
        assert rig.hand.sent == []
        proc.machine(pcp_pages=0)
        rig.tick()
        assert rig.hand.pids == [50]


def test_near_a_threshold_the_scan_is_made_ahead(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    with Rig(proc, kill=PATIENT) as rig:
        rig.tick()
        rig.available(WARN_MIB)
        time.sleep(0.05)  # scans ahead take a part of the time only, and the first tick may have made one
        rig.tick()
        ahead = rig.scout.ahead
        assert ahead is not None
        assert ahead.unused_bytes == WARN_MIB * MIB
        rig.tick(3)
        assert rig.scout.ahead is ahead  # nothing has moved
        rig.available(TERM_MIB + 30)
        time.sleep(ahead.cost_s * 5 + 0.05)
        rig.tick()
        assert rig.scout.ahead is not ahead
        rig.available(TERM_MIB + 20)
        rig.available(TERM_MIB)
        rig.tick()
        assert rig.hand.pids == [50]


def test_a_sensor_that_fails_leaves_the_others(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        proc.write("pressure/memory", b"nonsense")
        look: Look = rig.watch.look()
        sample: Sample = look.sample
        assert "psi_some_avg10" not in sample
        assert sample["mem_available"] == CALM_MIB * MIB
        assert len(rig.outbox.of("fault")) == 1


def test_totals_that_cannot_be_read_are_those_of_before(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        before = rig.watch.totals()
        proc.write("meminfo", b"")
        assert rig.watch.totals() == before
        assert [r["where"] for r in rig.outbox.of("fault")] == ["totals"]
