"""Readings in memory and on disk."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.history.readings import Row, Rows, pack, unpack
from oomguardd.history.ring import MOST_ROWS, Ring
from tests.unit.history.scene import NOON_S

SAMPLES = st.lists(
    st.tuples(
        st.floats(0, 4e9).map(lambda time_s: round(time_s, 3)),
        st.dictionaries(st.sampled_from("abcd"), st.integers(-(1 << 50), 1 << 50).map(float)),
        st.sampled_from(["", "calm", "kill"]),
    )
)


@given(SAMPLES)
def test_what_is_packed_comes_out_again(samples: list[tuple[float, dict[str, float], str]]) -> None:
    rows = Rows()
    found = unpack(pack([rows.row(*sample) for sample in samples]))
    assert [(each.time_s, dict(each.values), each.level) for each in found] == samples


@given(st.binary() | st.binary().map(zlib.compress))
def test_a_bad_block_is_no_readings(block: bytes) -> None:
    assert unpack(block) == []


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b'{"time_s": 1, "level": [], "signals": {}}',
        b'{"time_s": [1], "level": [], "signals": {}}',
        b'{"time_s": [1], "level": ["a"], "signals": {"x": []}}',
        b'{"time_s": ["x"], "level": ["a"], "signals": {}}',
        b'{"time_s": [1], "level": ["a"], "signals": []}',
    ],
)
def test_a_block_of_something_else_is_no_readings(text: bytes) -> None:
    assert unpack(zlib.compress(text)) == []


def test_a_bomb_is_not_unpacked() -> None:
    assert unpack(zlib.compress(bytes(64 << 20), 9)) == []


def test_two_minutes_take_little_room() -> None:
    rows = Rows()
    names = [f"signal_number_{number}" for number in range(25)]
    sample = [
        rows.row(NOON_S + at / 5, {name: 1e9 + 4096 * (at * len(name) % 977) for name in names}, "warn")
        for at in range(600)
    ]
    assert sample[0].names is sample[-1].names
    assert len(pack(sample)) < 100 * len(sample)


def times(rows: list[Row]) -> list[float]:
    return [row.time_s - NOON_S for row in rows]


def test_the_minute_before_and_after() -> None:
    ring = Ring()
    for at in range(200):
        ring.add(NOON_S + at, {"a": 1.0})
        if at == 100:
            assert ring.wanted() == []
            ring.want_around(NOON_S + at, NOON_S + at)
    assert times(ring.wanted()) == list(range(40, 161))


def test_what_was_written_is_not_written_again() -> None:
    ring = Ring()
    ring.want_around(NOON_S, NOON_S)
    ring.add(NOON_S, {"a": 1.0})
    ring.forget(ring.wanted())
    ring.add(NOON_S + 1, {"a": 1.0})
    assert times(ring.wanted()) == [1.0]


def test_incidents_that_follow_each_other_are_one_span() -> None:
    ring = Ring()
    for at in range(400):
        if at in (70, 150, 230):
            ring.want_around(NOON_S + at, NOON_S + at)
        ring.add(NOON_S + at, {"a": 1.0})
    assert times(ring.wanted()) == list(range(10, 291))


def test_a_clock_that_was_set_back_does_not_keep_readings_for_ever() -> None:
    ring = Ring()
    ring.want_around(NOON_S + 1e6, NOON_S)
    for at in range(300):
        ring.add(NOON_S + at, {"a": 1.0})
    assert ring.wanted() == []


def test_the_ring_is_bounded() -> None:
    ring = Ring()
    ring.want_around(NOON_S, NOON_S)
    for at in range(3 * MOST_ROWS):
        ring.add(NOON_S + at / 1e6, {"a": 1.0})
    assert len(ring.wanted()) == MOST_ROWS


def test_what_is_no_number_is_left_out() -> None:
    ring = Ring()
    ring.want_around(NOON_S, NOON_S)
    ring.add(NOON_S, {"a": "x", "b": None, "c": True})
    ring.add(NOON_S, {"a": "x", "b": 2})
    (row,) = ring.wanted()
    assert (row.names, list(row.values)) == (("b",), [2.0])
