"""Laws of who has held what for long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.engine.tenure import KEPT, SETTLE_S, Tenure

MIB = 1 << 20
ONE = (7, 100)
samples = st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 1 << 34)), min_size=1, max_size=12)


@given(samples, st.floats(0, 1e6), st.none() | st.integers(0, 1 << 34))
def test_never_more_than_it_holds(steps: list[tuple[float, int]], age_s: float, floor: int | None) -> None:
    tenure, now_s = Tenure(), 0.0
    if floor is not None:
        tenure.scanned(floor, now_s)
    for later_s, held in steps:
        now_s += later_s
        past = tenure.sample(ONE, held, age_s + now_s, now_s)
        assert 0 <= past.settled_bytes <= held


@given(st.integers(1, 1 << 34), st.lists(st.floats(0.1, 20), min_size=1, max_size=10))
def test_what_stays_settles_whenever_it_is_looked_at(held: int, pauses_s: list[float]) -> None:
    often, once, now_s = Tenure(), Tenure(), 0.0
    often.sample(ONE, held, 0.0, 0.0)
    once.sample(ONE, held, 0.0, 0.0)
    for pause_s in pauses_s:
        now_s += pause_s
        last = often.sample(ONE, held, now_s, now_s)
    assert last.settled_bytes == pytest.approx(
        once.sample(ONE, held, now_s, now_s).settled_bytes, abs=len(pauses_s) + 1
    )
    assert once.sample(ONE, held, now_s, now_s + 20 * SETTLE_S).settled_bytes >= held * 0.99 - 1


@given(st.integers(0, 1 << 30), st.integers(1, 1 << 34), st.floats(0.1, 1e5))
def test_what_was_just_taken_is_not_settled(before: int, taken: int, pause_s: float) -> None:
    tenure = Tenure()
    tenure.sample(ONE, before, 1e6, 0.0)
    past = tenure.sample(ONE, before + taken, 1e6, pause_s)
    assert past.settled_bytes <= before
    assert past.growth_bytes_per_s > 0


def test_giving_back_and_taking_again_starts_anew() -> None:
    tenure = Tenure()
    tenure.sample(ONE, 500 * MIB, 1e6, 0.0)
    assert tenure.sample(ONE, 10 * MIB, 1e6, 100.0).settled_bytes <= 10 * MIB
    assert tenure.sample(ONE, 500 * MIB, 1e6, 200.0).settled_bytes <= 10 * MIB


def test_an_old_process_that_was_on_no_list_has_taken_it_lately() -> None:
    tenure = Tenure()
    assert tenure.guess(500 * MIB, 3600.0, 0.0).settled_bytes > 490 * MIB
    tenure.scanned(20 * MIB, 0.0)
    past = tenure.guess(500 * MIB, 3600.0, 5.0)
    assert past.settled_bytes == 20 * MIB
    assert past.growth_bytes_per_s == pytest.approx(96 * MIB)


def test_a_newborn_has_grown_all_its_life() -> None:
    tenure = Tenure()
    tenure.scanned(0, 0.0)
    past = tenure.guess(100 * MIB, 2.0, 10.0)
    assert past.growth_bytes_per_s == pytest.approx(50 * MIB)


def test_the_table_is_bounded() -> None:
    tenure = Tenure()
    for pid in range(3 * KEPT):
        tenure.sample((pid, 1), MIB, 1.0, float(pid))
    assert len(list(tenure.known())) <= KEPT
    assert (3 * KEPT - 1, 1) in set(tenure.known())
