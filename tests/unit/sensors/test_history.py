"""Windows of our own."""

from __future__ import annotations

import pytest

from oomguardd.sensors.history import History


def test_nothing_before_enough_was_seen() -> None:
    history = History(10.0, 9.0)
    assert history.growth(0.0, (0.0,)) is None
    assert history.growth(8.9, (1.0,)) is None
    assert history.growth(9.5, (2.0,)) == (9.5, (2.0,))


def test_the_window_forgets() -> None:
    history = History(2.0, 1.8)
    for step in range(100):
        now_s = step * 0.1
        grown = history.growth(now_s, (min(now_s, 4.0),))
        if 2.0 <= now_s <= 4.0:
            assert grown is not None
            assert grown[1][0] == pytest.approx(2.0)
        if now_s >= 6.1:
            assert grown is not None
            assert grown[1][0] == pytest.approx(0.0)


def test_memory_is_bounded_at_any_pace() -> None:
    history = History(2.0, 1.0)
    for step in range(100_000):
        grown = history.growth(step * 0.001, (step * 0.001,))
    assert grown is not None
    assert grown[0] == pytest.approx(2.0)
    assert grown[1][0] == pytest.approx(2.0)
    assert len(history._ring) <= 23


def test_a_long_sleep_is_spread_evenly() -> None:
    history = History(2.0, 1.8)
    history.growth(0.0, (0.0,))
    assert history.growth(10.0, (5.0,)) == (2.0, (1.0,))
    grown = history.growth(10.5, (5.5,))
    assert grown is not None
    assert grown[1][0] == pytest.approx(0.75 + 0.5)


def test_counters_that_fall_count_nothing() -> None:
    history = History(2.0, 1.0)
    history.growth(0.0, (5.0, 1.0))
    assert history.growth(2.0, (3.0, 2.0)) == (2.0, (0.0, 1.0))


def test_a_clock_that_goes_back_starts_anew() -> None:
    history = History(2.0, 1.0)
    history.growth(100.0, (0.0,))
    assert history.growth(50.0, (1.0,)) is None
    assert history.growth(52.0, (2.0,)) == (2.0, (1.0,))


def test_clear() -> None:
    history = History(2.0, 1.0)
    history.growth(0.0, (0.0,))
    history.clear()
    assert history.growth(5.0, (9.0,)) is None


def test_what_happened_before_the_window_is_forgotten_at_any_pace() -> None:
    history = History(2.0, 1.0)
    for now_s, total in ((0.0, 0.0), (1.0, 0.0), (3.0, 10.0)):
        history.growth(now_s, (total,))
    assert history.growth(6.0, (10.0,)) == (2.0, (0.0,))
