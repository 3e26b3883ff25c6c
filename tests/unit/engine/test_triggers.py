"""When: conditions, triggers, and how long they have held."""

from __future__ import annotations

import pytest

from oomguardd.engine.triggers import assess, holds, limit
from oomguardd.model import Condition, Level, Sample, Trigger

TOTALS = {"mem_available": "mem_total", "swap_free": "swap_total", "psi_full_10s": ""}
MEM_10 = Condition("mem_available", True, 10, True, "<10%")
SWAP_10 = Condition("swap_free", True, 10, True, "<10%")
PSI_40 = Condition("psi_full_10s", False, 40, False, ">40%")
LOW = Trigger("low", Level.TERM, (MEM_10, SWAP_10))
VERY_LOW = Trigger("very-low", Level.KILL, (Condition("mem_available", True, 5, True, "<5%"), SWAP_10))
THRASH = Trigger("thrash", Level.TERM, (PSI_40,), for_s=10)
ALL = (LOW, VERY_LOW, THRASH)


def sample(mem: float, swap: float = 0, psi: float = 0, swap_total: float = 1000) -> Sample:
    return {
        "mem_total": 1000,
        "mem_available": mem,
        "swap_total": swap_total,
        "swap_free": swap,
        "psi_full_10s": psi,
    }


@pytest.mark.parametrize(
    ("mem", "swap", "psi", "level"),
    [
        (500, 500, 0, Level.CALM),
        (99, 500, 0, Level.CALM),  # swap is left: all conditions of one trigger must hold
        (500, 99, 0, Level.CALM),
        (99, 99, 0, Level.TERM),
        (49, 99, 0, Level.KILL),
        (500, 500, 41, Level.TERM),  # or another trigger
        (49, 99, 41, Level.KILL),  # the worst one counts
        (100, 100, 40, Level.CALM),  # a bound itself is not beyond it
    ],
)
def test_and_within_a_trigger_or_between_them(mem: float, swap: float, psi: float, level: Level) -> None:
    since = {"thrash": -100.0}
    assert assess(ALL, sample(mem, swap, psi), TOTALS, since, 0.0).level is level


def test_holding_ones_come_worst_first() -> None:
    found = assess(ALL, sample(10, 10, 90), TOTALS, {"thrash": -100.0}, 0.0)
    assert [t.name for t in found.holding] == ["very-low", "low", "thrash"]


def test_has_to_hold_for_its_time_without_a_break() -> None:
    since: dict[str, float] = {}
    levels = []
    for now_s, psi in [(0, 50), (5, 50), (9.9, 50), (10, 50), (11, 30), (12, 50), (21.9, 50), (22, 50)]:
        found = assess((THRASH,), sample(500, psi=psi), TOTALS, since, now_s)
        since = dict(found.since)
        levels.append(found.level)
    calm, term = Level.CALM, Level.TERM
    assert levels == [calm, calm, calm, term, calm, calm, calm, term]


def test_a_missing_reading_breaks_the_time() -> None:
    """What was not seen is not known to have held."""
    assert assess((THRASH,), {}, TOTALS, {"thrash": -5.0}, 0.0).since == {}


def test_swap_is_dropped_where_there_is_none() -> None:
    assert assess(ALL, sample(99, 0, swap_total=0), TOTALS, {}, 0.0).level is Level.TERM


def test_more_swap_than_a_bound_never_holds_without_swap() -> None:
    """`swap_free > 1G` on a machine without swap is false, not dropped."""
    more = Condition("swap_free", False, 1, False, ">1")
    assert not holds(more, sample(99, 0, swap_total=0), TOTALS)


def test_unknown_swap_is_not_no_swap() -> None:
    """The file could not be read: nobody is killed on a guess."""
    readings = sample(10)
    del readings["swap_total"]
    assert assess(ALL, readings, TOTALS, {}, 0.0).level is Level.CALM


@pytest.mark.parametrize("lost", ["mem_available", "mem_total"])
def test_missing_signal_or_total_never_holds(lost: str) -> None:
    readings = sample(1, 1)
    del readings[lost]
    assert not holds(MEM_10, readings, TOTALS)
    assert not holds(MEM_10._replace(below=False), readings, TOTALS)


def test_bounds() -> None:
    assert limit(MEM_10, sample(0), "mem_total") == 100
    assert limit(MEM_10._replace(relative=False), sample(0), "mem_total") == 10
    assert limit(MEM_10, sample(0), "nothing") is None


def test_not_a_number_never_holds() -> None:
    nan = float("nan")
    assert not holds(PSI_40, sample(500, psi=nan), TOTALS)
    assert not holds(MEM_10, sample(nan), TOTALS)


def test_no_triggers_is_calm() -> None:
    assert assess((), sample(0), TOTALS, {}, 0.0) == (Level.CALM, (), {})
