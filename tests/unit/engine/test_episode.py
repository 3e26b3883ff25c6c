"""The table of an episode, every pair of it, and what time means."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from oomguardd.engine.episode import (
    TABLE,
    Episode,
    Event,
    Order,
    Patience,
    Settling,
    Stage,
    again,
    due,
    settled,
    step,
)
from oomguardd.model import Level, Member, Party
from tests.shell.rig import candidate

GIB = 1 << 30
PATIENCE = Patience(grace_s=5, stuck_after_s=3, settle_s=1)
EXPECTED = {
    Stage.CHOSEN: {
        Event.ORDERED_TERM: (Stage.TERMINATING, Order.SEND_TERM),
        Event.ORDERED_KILL: (Stage.KILLING, Order.SEND_KILL),
        Event.FOREIGN_KILL: (Stage.KILLING, Order.FOLLOW),
        Event.VANISHED: (Stage.GONE, Order.DROP),
        Event.REFUSED: (Stage.BARRED, Order.PASS_OVER),
    },
    Stage.TERMINATING: {
        Event.GRACE_OVER: (Stage.KILLING, Order.SEND_KILL),
        Event.LEVEL_ROSE: (Stage.KILLING, Order.SEND_KILL),
        Event.DIED: (Stage.GONE, Order.SETTLE),
        Event.VANISHED: (Stage.GONE, Order.SETTLE),
        Event.REFUSED: (Stage.BARRED, Order.PASS_OVER),
    },
    Stage.KILLING: {
        Event.TIME_OVER: (Stage.STUCK, Order.PASS_OVER),
        Event.DIED: (Stage.GONE, Order.SETTLE),
        Event.VANISHED: (Stage.GONE, Order.SETTLE),
        Event.REFUSED: (Stage.BARRED, Order.PASS_OVER),
    },
    Stage.STUCK: {Event.DIED: (Stage.GONE, Order.SETTLE)},
    Stage.BARRED: {Event.DIED: (Stage.GONE, Order.DROP)},
    Stage.GONE: {},
}
ACTIVE = (Stage.TERMINATING, Stage.KILLING)


def episode(stage: Stage, since_s: float = 0.0, held: int = 0) -> Episode:
    return Episode(7, candidate(42, rss_anon_bytes=held), stage, 0.0, since_s, 123.0)


@pytest.mark.parametrize(("stage", "event"), list(itertools.product(Stage, Event)))
def test_every_pair(stage: Stage, event: Event) -> None:
    before = episode(stage)
    after, order = step(before, event, 9.0)
    expected_stage, expected_order = EXPECTED[stage].get(event, (stage, Order.NOTHING))
    assert (after.stage, order) == (expected_stage, expected_order)
    if after.stage is stage:
        assert after is before
    else:
        assert after.stage_since_s == 9.0
        assert (after.kill_id, after.victim, after.began_s) == (7, before.victim, 0.0)
        assert after.foreign is (event is Event.FOREIGN_KILL)


def test_the_table_is_what_is_expected_and_no_more() -> None:
    expected = {(s, e): to for s, events in EXPECTED.items() for e, to in events.items()}
    assert expected == TABLE


def test_foreign_is_remembered() -> None:
    followed, _ = step(episode(Stage.CHOSEN), Event.FOREIGN_KILL, 1.0)
    stuck, _ = step(followed, Event.TIME_OVER, 2.0)
    gone, _ = step(stuck, Event.DIED, 3.0)
    assert stuck.foreign
    assert gone.foreign


def test_every_path_ends() -> None:
    """Only a refused or stuck one is left, and it is not active: no path keeps the guard from the next
    victim.
    """
    for path in itertools.product(Event, repeat=4):
        e = episode(Stage.CHOSEN)
        signals = []
        for event in path:
            e, order = step(e, event, 0.0)
            if order in (Order.SEND_TERM, Order.SEND_KILL):
                signals.append(order)
        assert signals in ([], [Order.SEND_TERM], [Order.SEND_KILL], [Order.SEND_TERM, Order.SEND_KILL])
        if e.stage in ACTIVE:
            end, _ = step(*_force(e))
            assert end.stage not in ACTIVE


def _force(e: Episode) -> tuple[Episode, Event, float]:
    """What patience brings about in the end."""
    if e.stage is Stage.TERMINATING:
        e, _ = step(e, Event.GRACE_OVER, 0.0)
    return e, Event.TIME_OVER, 0.0


def test_nothing_comes_back_from_the_dead_or_starts_again() -> None:
    for (stage, _), (after, _) in TABLE.items():
        assert after is not Stage.CHOSEN
        assert stage is not Stage.GONE
        assert not (stage is Stage.STUCK and after in ACTIVE)
        assert not (stage is Stage.KILLING and after is Stage.TERMINATING)


@pytest.mark.parametrize(
    ("stage", "level", "now_s", "event"),
    [
        (Stage.TERMINATING, Level.TERM, 4.9, None),
        (Stage.TERMINATING, Level.TERM, 5.0, Event.GRACE_OVER),
        (Stage.TERMINATING, Level.CALM, 5.0, Event.GRACE_OVER),
        (Stage.TERMINATING, Level.KILL, 0.0, Event.LEVEL_ROSE),
        (Stage.KILLING, Level.KILL, 2.9, None),
        (Stage.KILLING, Level.CALM, 3.0, Event.TIME_OVER),
        (Stage.CHOSEN, Level.KILL, 99.0, None),
        (Stage.STUCK, Level.KILL, 99.0, None),
        (Stage.GONE, Level.KILL, 99.0, None),
    ],
)
def test_due(stage: Stage, level: Level, now_s: float, event: Event | None) -> None:
    assert due(episode(stage), level, PATIENCE, now_s) is event


def test_a_big_one_is_given_more_time() -> None:
    """100 GiB take seconds to be taken down; that is not stuck."""
    big = episode(Stage.KILLING, held=100 * GIB)
    assert due(big, Level.KILL, PATIENCE, 22.9) is None
    assert due(big, Level.KILL, PATIENCE, 23.1) is Event.TIME_OVER


def test_time_counts_from_the_stage_and_not_from_the_start() -> None:
    late = episode(Stage.KILLING, since_s=100.0)
    assert due(late, Level.KILL, PATIENCE, 102.0) is None


@pytest.mark.parametrize(
    ("available", "now_s", "expected"),
    [
        (1000, 0.5, False),
        (1049, 0.5, False),
        (1050, 0.5, True),  # half of what it held is back
        (900, 0.5, False),  # others took as much as it gave: wait for the time
        (899, 0.5, True),  # somebody else eats up more than that: the next one, now
        (1000, 1.0, True),
    ],
)
def test_settled(available: float, now_s: float, expected: bool) -> None:
    waiting = Settling(since_s=0.0, for_s=1.0, expected_bytes=100, available_before_bytes=1000)
    assert settled(waiting, available, 10_000, now_s) is expected


def test_unknown_expectation_waits_for_the_time() -> None:
    waiting = Settling(since_s=0.0, for_s=1.0, expected_bytes=0, available_before_bytes=1000)
    assert not settled(waiting, 5000, 10_000, 0.5)
    assert settled(waiting, 1000, 10_000, 1.0)


def party(*held: int) -> Party:
    return Party("unit", tuple(Member(40 + at, 1, "x", size) for at, size in enumerate(held)))


def test_of_many_all_that_they_hold_counts() -> None:
    victim = candidate(42, rss_anon_bytes=GIB, rss_shmem_bytes=GIB)
    alone = Episode(7, victim, Stage.KILLING, 0.0, 0.0, 123.0)
    assert (alone.count, alone.held_bytes, alone.expected_bytes) == (1, 2 * GIB, GIB)
    many = replace(alone, party=party(2 * GIB, 2 * GIB, 2 * GIB))
    assert (many.count, many.held_bytes, many.expected_bytes) == (3, 6 * GIB, 3 * GIB)
    longer_s = PATIENCE.stuck_after_s + 6 * 0.2
    assert due(many, Level.KILL, PATIENCE, longer_s - 0.1) is None
    assert due(many, Level.KILL, PATIENCE, longer_s + 0.1) is Event.TIME_OVER


def test_a_victim_that_holds_nothing_promises_nothing() -> None:
    assert replace(episode(Stage.KILLING), party=party(0, 5)).expected_bytes == 0


def test_when_there_were_more_their_time_begins_anew() -> None:
    before = episode(Stage.KILLING)
    assert again(before, 9.0) == replace(before, stage_since_s=9.0)
    assert due(again(before, 9.0), Level.KILL, PATIENCE, 11.9) is None
