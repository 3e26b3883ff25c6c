"""What is known of the guard, record by record."""

from __future__ import annotations

from oomguardd.reporter.present import LAST_KILLS, LAST_TROUBLES, Present
from tests.unit.reporter.talk import (
    NOW_S,
    armed,
    calm,
    kernel_kill,
    kill,
    outcome,
    present_of,
    record,
    started,
    tick,
)


def test_nothing_is_known_at_first() -> None:
    present = Present()
    assert (present.level, present.heard_s, present.is_armed, present.dry_run) == ("", None, False, False)


def test_a_level_has_a_beginning() -> None:
    present = present_of(started(), tick(9.0), tick(8.0), tick(5.0, level="warn"), tick(1.0, level="warn"))
    assert (present.level, present.level_since_s, present.heard_s) == ("warn", NOW_S - 5, NOW_S - 1)


def test_an_outcome_belongs_to_its_kill() -> None:
    present = present_of(kill(9, 1), kill(8, 2), outcome(7, 1), outcome(6, 3), outcome(5, 2) | {"run": "r2"})
    assert [each.get("outcome", {}) != {} for each in present.kills] == [True, False]


def test_what_has_no_number_ends_nobodys_kill() -> None:
    present = present_of(kernel_kill(9), {"kind": "outcome", "outcome": "died"})
    assert "outcome" not in present.kills[0]


def test_a_stuck_victim_may_die_late() -> None:
    late = outcome(1, 1) | {"outcome": "died late"}
    present = present_of(kill(9, 1), outcome(5, 1) | {"outcome": "stuck"}, late)
    assert present.kills[0]["outcome"] == late


def test_a_new_guard_starts_anew_but_the_past_stays() -> None:
    present = calm()
    ours = {"kind": "missing", "seq": 0, "time_s": NOW_S, "what": "pyroute2", "cost": "c", "remedy": "r"}
    present.take(ours)
    present.take(started(0.0, dry_run=True) | {"run": "r2"})
    assert (present.level, present.readings, present.is_armed, present.dry_run) == ("", {}, False, True)
    assert list(present.missing) == ["pyroute2"], "the reporter says only once what it does without"
    assert len(present.kills) == 2


def test_a_reload_can_change_dry_run_and_a_failed_one_cannot() -> None:
    reloaded = record("reloaded", sources=["/b.toml"], triggers=[], dry_run=True)
    present = present_of(started(), reloaded)
    assert (present.dry_run, list(present.triggers)) == (True, [])
    failed = record("reload_failed", problems=["no"])
    present.take(failed)
    assert (present.dry_run, present.reload, present.configured) == (True, failed, reloaded)


def test_the_reporters_own_records_are_no_sign_of_life() -> None:
    fault = {"kind": "fault", "seq": 0, "time_s": NOW_S, "where": "connection", "error": "refused"}
    present = present_of(tick(60.0), fault, kernel_kill(5))
    assert present.heard_s == NOW_S - 60
    assert [each["kind"] for each in present.troubles] == ["fault"]


def test_its_last_word_is_remembered_until_it_is_back() -> None:
    present = present_of(started(), record("stopping", why="SIGTERM"))
    assert present.stopping["why"] == "SIGTERM"
    present.take(started())
    assert not present.stopping


def test_a_guard_that_looks_is_armed() -> None:
    assert present_of(started(), armed()).is_armed
    assert present_of(tick()).is_armed, "its start was told to a reporter before this one"


def test_what_is_remembered_is_bounded() -> None:
    present = present_of(*(kill(1, number) for number in range(100)))
    for number in range(100):
        present.take(record("fault", where=str(number)))
    assert (len(present.kills), len(present.troubles)) == (LAST_KILLS, LAST_TROUBLES)


def test_nonsense_changes_nothing() -> None:
    present = calm()
    before = (present.level, dict(present.readings), len(present.kills))
    for bad in ({}, {"kind": 3}, {"kind": "tick", "level": 7, "readings": [], "triggers": "x"}):
        present.take(bad)
    assert (present.level, dict(present.readings), len(present.kills)) == before
