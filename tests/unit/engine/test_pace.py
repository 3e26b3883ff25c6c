"""How long it is safe to sleep."""

from __future__ import annotations

import math

import pytest

from oomguardd.config import load
from oomguardd.engine.pace import Speeds, sleep_s, time_to_act, time_to_hold
from oomguardd.engine.triggers import assess
from oomguardd.model import Condition, Level, Ramp, Sample, Signal, Trigger, Unit
from oomguardd.sections import Config
from oomguardd.sensors import SIGNALS

GIB = 1 << 30
KNOWN = {signal.name: signal for signal in SIGNALS}
TOTALS = {signal.name: signal.total for signal in SIGNALS}
SPEEDS = Speeds(fill=2.0 * GIB, swap=0.5 * GIB)
CALM: Sample = {
    "mem_total": 16.0 * GIB,
    "mem_available": 12.0 * GIB,
    "swap_total": 4.0 * GIB,
    "swap_free": 4.0 * GIB,
    "psi_full_10s": 0.0,
    "reclaim_scan_rate": 0.0,
}


def below(signal: str, bound: float, relative: bool = False) -> Condition:
    return Condition(signal, True, bound, relative, "")


def above(signal: str, bound: float) -> Condition:
    return Condition(signal, False, bound, False, "")


def hold_s(c: Condition, readings: Sample) -> float:
    return time_to_hold(c, KNOWN[c.signal], readings, SPEEDS)


def test_memory_at_the_fill_rate() -> None:
    assert hold_s(below("mem_available", 4 * GIB), CALM) == 4.0
    assert hold_s(below("mem_available", 25, relative=True), CALM) == 4.0


def test_swap_at_its_own_rate() -> None:
    assert hold_s(below("swap_free", 1 * GIB), CALM) == 6.0


def test_pressure_cannot_outrun_its_window() -> None:
    assert hold_s(above("psi_full_10s", 40), CALM) == 4.0
    assert hold_s(above("psi_full_10s", 40), {**CALM, "psi_full_10s": 30.0}) == pytest.approx(1.0)


def test_a_rate_may_jump_at_once() -> None:
    """One burst of reclaim takes it from nothing to any number: its distance in bytes is no time."""
    assert hold_s(above("reclaim_scan_rate", 1 << 20), CALM) == 0.0
    assert hold_s(above("major_fault_rate", 1000), {"major_fault_rate": 0.0}) == 0.0


def test_what_holds_is_there() -> None:
    assert hold_s(below("mem_available", 13 * GIB), CALM) == 0.0
    assert hold_s(below("swap_free", 10, relative=True), {**CALM, "swap_total": 0.0, "swap_free": 0.0}) == 0.0


def test_unreadable_memory_may_be_at_its_end() -> None:
    """One bad read of meminfo near a threshold must not put the guard to sleep for seconds."""
    assert hold_s(below("mem_available", 1 * GIB), {}) == 0.0
    assert hold_s(below("mem_available", 10, relative=True), {"mem_available": 5.0 * GIB}) == 0.0


def test_a_window_not_seen_yet_and_a_signal_that_is_not_there() -> None:
    assert hold_s(above("psi_full_10s", 40), {}) == 5.0
    plain = Signal("oom_kills", Unit.COUNT, "")
    assert time_to_hold(above("oom_kills", 1), plain, {}, SPEEDS) == math.inf
    assert time_to_hold(above("oom_kills", 1), plain, {"oom_kills": 0.0}, SPEEDS) == 0.0


def test_conditions_of_one_trigger_together_triggers_alone() -> None:
    both = Trigger("both", Level.TERM, (below("mem_available", 10 * GIB), below("swap_free", 1 * GIB)))
    other = Trigger("other", Level.KILL, (below("mem_available", 2 * GIB),))
    warn = Trigger("warn", Level.WARN, (below("mem_available", 11 * GIB),))
    assert time_to_act((both,), KNOWN, CALM, SPEEDS) == 6.0
    assert time_to_act((both, other, warn), KNOWN, CALM, SPEEDS) == 5.0
    assert time_to_act((warn,), KNOWN, CALM, SPEEDS) == math.inf  # a warning kills nobody


@pytest.mark.parametrize(
    ("level", "to_act_s", "expected_s"),
    [
        (Level.CALM, math.inf, 5.0),
        (Level.CALM, 4.0, 2.0),
        (Level.WARN, 0.01, 0.05),
        (Level.WARN, 0.0, 0.05),
        (Level.TERM, math.inf, 0.05),
        (Level.KILL, math.inf, 0.05),
    ],
)
def test_sleep_is_a_fraction_within_two_ends(level: Level, to_act_s: float, expected_s: float) -> None:
    assert sleep_s(level, to_act_s, fastest_s=0.05, slowest_s=5.0, margin=2.0) == expected_s


def test_shipped_settings_look_ten_times_a_second_near_a_threshold() -> None:
    config = _shipped()
    near = {**CALM, "mem_available": 0.101 * 16 * GIB, "swap_free": 0.05 * 4 * GIB}
    to_act_s = time_to_act(config.triggers, KNOWN, near, SPEEDS)
    assert assess(config.triggers, near, TOTALS, {}, 0.0).level is Level.WARN
    assert (
        sleep_s(Level.WARN, to_act_s, config.pace.fastest_s, config.pace.slowest_s, config.pace.margin) <= 0.1
    )


def test_shipped_settings_let_an_idle_machine_sleep() -> None:
    config = _shipped()
    to_act_s = time_to_act(config.triggers, KNOWN, CALM, SPEEDS)
    assert (
        sleep_s(Level.CALM, to_act_s, config.pace.fastest_s, config.pace.slowest_s, config.pace.margin) >= 1
    )


def test_every_known_percentage_with_a_window_has_a_length() -> None:
    windows = [s for s in SIGNALS if s.ramp is Ramp.WINDOW]
    assert all(s.window_s > 0 for s in windows)
    assert {s.unit for s in SIGNALS if s.ramp in (Ramp.FILL, Ramp.SWAP)} == {Unit.BYTES}


def _shipped() -> Config:
    return load(None, SIGNALS, "/nonexistent", default_path="/nonexistent")
