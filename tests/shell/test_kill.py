"""From "somebody must go" to the victim's end: the hand is scripted, so that anything can happen to it."""

from __future__ import annotations

import signal

import pytest

from oomguardd.engine.episode import Event
from oomguardd.guard.strike import DRY_PAUSE_S, LIMIT_AGAIN_S, NOBODY_AGAIN_S
from oomguardd.kernel.clock import monotonic_s
from oomguardd.sections import GuardSettings, KillSettings
from tests.fakes import MIB, FakeProc
from tests.shell.rig import CALM_MIB, KILL_MIB, TERM_MIB, WARN_MIB, Rig

TERM, KILL = signal.SIGTERM, signal.SIGKILL
PATIENT = KillSettings(grace_s=1000, stuck_after_s=1000, settle_s=1000, stand_down_s=1000)


def hogs(proc: FakeProc, *pids: int) -> None:
    """The first is the biggest."""
    for place, pid in enumerate(pids):
        proc.add(pid, f"hog{pid}", rss=(300 - 10 * place) * MIB)


def test_calm_and_warning_kill_nobody(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc) as rig:
        for mib in (CALM_MIB, WARN_MIB):
            rig.available(mib)
            rig.tick(3)
        assert rig.hand.sent == []
        assert [(r["was"], r["level"]) for r in rig.outbox.of("level")] == [("calm", "warn")]


def test_sigterm_then_sigkill_after_the_grace_time(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(TERM_MIB)
        rig.tick(3)
        assert rig.hand.sent == [(50, TERM)]
        rig.retune(grace_s=0.0)
        rig.tick()
        assert rig.hand.sent == [(50, TERM), (50, KILL)]
        assert rig.hand.reaps == [50]
        assert [r["why"] for r in rig.outbox.of("escalated")] == ["its grace time is over"]


def test_a_level_that_rises_does_not_wait_for_the_grace_time(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(TERM_MIB)
        rig.tick()
        rig.available(KILL_MIB)
        rig.tick()
        assert rig.hand.sent == [(50, TERM), (50, KILL)]
        assert [r["why"] for r in rig.outbox.of("escalated")] == ["the level rose to kill"]


def test_sigkill_at_once_when_it_is_that_bad(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(KILL_MIB)
        rig.tick(3)
        assert rig.hand.sent == [(50, KILL)]
        assert rig.outbox.of("escalated") == []


def test_the_record_has_the_whole_explanation(proc: FakeProc) -> None:
    hogs(proc, 50, 51)
    proc.add(52, "immune", rss=400 * MIB, adj=-1000)
    proc.add(53, "renderer", rss=100 * MIB, adj=300)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(TERM_MIB)
        rig.tick()
        (record,) = rig.outbox.of("kill")
    assert (record["priority"], record["signal"], record["level"]) == (1, "SIGTERM", "terminate")
    assert record["triggers"] == ["low", "warned"]
    assert record["conditions"] == ["mem_available <10%"]
    assert record["domain"] == "machine"
    assert record["victim"]["pid"] == 50
    assert record["victim"]["pages"] == record["victim"]["kernel_pages"]
    assert [r["pid"] for r in record["runners_up"]] == [51, 53]
    assert record["runners_up"][1]["adjustments"][0][0] == "oom_score_adj_cap"
    assert record["readings"]["mem_available"] == TERM_MIB * MIB
    assert record["scanned"] == 4
    timings = record["timings"]
    parts = sum(timings[part] for part in ("sense_s", "scan_s", "judge_s", "signal_s"))
    assert parts == pytest.approx(timings["total_s"], abs=1e-4)
    assert all(value >= 0 for value in timings.values())


def test_no_second_victim_while_the_first_is_dying(proc: FakeProc) -> None:
    hogs(proc, 50, 51)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(KILL_MIB)
        rig.tick(5)
        assert rig.striker.busy
        assert rig.hand.pids == [50]


def test_no_second_victim_before_the_memory_of_the_first_is_counted(proc: FakeProc) -> None:
    hogs(proc, 50, 51)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        rig.dies(50)
        rig.tick(5)
        assert rig.striker.settling
        assert rig.hand.pids == [50]
        rig.available(KILL_MIB - 15)  # more than 1% of all less: somebody else eats it up
        rig.tick()
        assert rig.hand.pids == [50, 51]


def test_settled_by_time(proc: FakeProc) -> None:
    hogs(proc, 50, 51)
    with Rig(proc) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        rig.dies(50)
        rig.tick()
        assert rig.hand.pids == [50, 51]


def test_settled_by_memory_that_is_back(proc: FakeProc) -> None:
    """It is enough for the first, and then not enough: the second goes without another wait."""
    hogs(proc, 50, 51)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        rig.dies(50)
        rig.available(300)
        rig.tick()
        assert rig.hand.pids == [50]
        rig.available(KILL_MIB - 15)
        rig.tick()
        assert rig.hand.pids == [50, 51]


def test_the_outcome_tells_of_the_memory(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        rig.available(CALM_MIB)
        rig.dies(50)
        (outcome,) = rig.outbox.of("outcome")
    assert outcome["outcome"] == "died"
    assert outcome["available_before_bytes"] == KILL_MIB * MIB
    assert outcome["available_after_bytes"] == CALM_MIB * MIB
    assert outcome["held_bytes"] == 300 * MIB
    assert outcome["kill_id"] == 1


def test_a_stuck_one_is_passed_over_and_its_late_death_is_recorded(proc: FakeProc) -> None:
    hogs(proc, 50, 51)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        proc.add(50, "hog50", rss=300 * MIB, state="D", kill_pending=True)
        rig.tick()
        rig.striker.advance(rig.watch.look(), monotonic_s() + 5000)
        assert [(r["outcome"], r["state"]) for r in rig.outbox.of("outcome")] == [("stuck", "D")]
        assert rig.striker.passed_over == {(50, 100)}
        rig.tick(3)
        assert rig.hand.pids == [50, 51]
        rig.dies(50)
        assert [r["outcome"] for r in rig.outbox.of("outcome")] == ["stuck", "died late"]
        assert rig.striker.passed_over == frozenset()
        assert rig.striker.busy  # the second is still waited for


def test_a_stuck_one_is_not_followed_as_somebody_elses(proc: FakeProc) -> None:
    proc.add(50, rss=300 * MIB)
    with Rig(proc) as rig:
        rig.retune(stuck_after_s=-1.0)
        rig.available(KILL_MIB)
        rig.tick()
        proc.add(50, rss=300 * MIB, state="D", kill_pending=True)
        rig.tick(5)
        assert rig.hand.pids == [50]
        assert rig.outbox.of("foreign") == []
        assert len(rig.outbox.of("nobody")) == 1


def test_refused_at_the_pidfd_or_at_the_signal(proc: FakeProc) -> None:
    hogs(proc, 50, 51, 52)
    with Rig(proc, kill=PATIENT) as rig:
        rig.hand.refused.add(50)
        rig.hand.unsendable[51] = Event.REFUSED
        rig.available(KILL_MIB)
        rig.tick(5)
        assert rig.hand.sent == [(52, KILL)]
        assert [(r["pid"], r["outcome"]) for r in rig.outbox.of("outcome")] == [
            (50, "refused"),
            (51, "refused"),
        ]
        assert all("CAP_KILL" in r["why"] for r in rig.outbox.of("outcome"))
        assert [r["victim"]["pid"] for r in rig.outbox.of("kill")] == [52]


def test_refused_at_the_second_signal(proc: FakeProc) -> None:
    """It became another user's (a set-uid program) after SIGTERM."""
    hogs(proc, 50, 51)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(TERM_MIB)
        rig.tick()
        rig.hand.unsendable[50] = Event.REFUSED
        rig.available(KILL_MIB)
        rig.tick(2)
        assert rig.hand.sent == [(50, TERM), (51, KILL)]


def test_one_that_vanishes_before_the_signal(proc: FakeProc) -> None:
    hogs(proc, 50, 51)
    with Rig(proc, kill=PATIENT) as rig:
        rig.hand.vanished.add(50)
        rig.available(KILL_MIB)
        rig.tick()
        assert [r["outcome"] for r in rig.outbox.of("outcome")] == ["vanished"]
        assert rig.outbox.of("kill") == []
        assert not rig.striker.busy
        proc.remove(50)
        rig.tick()
        assert rig.hand.sent == [(51, KILL)]


def test_one_that_vanishes_at_the_signal(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, kill=PATIENT) as rig:
        rig.hand.unsendable[50] = Event.VANISHED
        rig.available(KILL_MIB)
        rig.tick()
        assert [r["outcome"] for r in rig.outbox.of("outcome")] == ["vanished"]
        assert rig.hand.held == {}


def test_sensed_again_before_the_signal(proc: FakeProc) -> None:
    """While we looked for it somebody gave memory back: nobody needs to die."""
    hogs(proc, 50)
    with Rig(proc) as rig:
        rig.available(KILL_MIB)
        rig.before_signal = lambda: rig.available(CALM_MIB)
        rig.tick()
        assert rig.hand.sent == []
        assert rig.outbox.of("kill") == []


def test_the_second_reading_decides_which_signal(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(TERM_MIB)
        rig.before_signal = lambda: rig.available(KILL_MIB)
        rig.tick()
        assert rig.hand.sent == [(50, KILL)]
        assert rig.outbox.of("kill")[0]["level"] == "kill"


def test_the_limit_is_told_loudly_and_not_at_every_tick(proc: FakeProc) -> None:
    hogs(proc, 50, 51, 52, 53)
    with Rig(proc) as rig:
        rig.retune(max_per_minute=2)
        rig.available(KILL_MIB)
        for pid in (50, 51):
            rig.tick()
            rig.dies(pid)
        rig.tick(5)
        assert rig.hand.pids == [50, 51]
        (limit,) = rig.outbox.of("limit")
        assert (limit["priority"], limit["per_minute"], limit["level"]) == (1, 2, "kill")
        look, totals, limits = rig.watch.look(), rig.watch.totals(), rig.guard.limits()
        rig.striker.strike(look, totals, limits, monotonic_s() + LIMIT_AGAIN_S)
        assert len(rig.outbox.of("limit")) == 2
        assert rig.striker.strike(look, totals, limits, monotonic_s() + 61)
        assert rig.hand.pids == [50, 51, 52]


def test_nobody_is_worth_it_told_once_a_minute(proc: FakeProc) -> None:
    proc.add(50, "small", rss=15 * MIB)
    proc.add(51, "immune", rss=400 * MIB, adj=-1000)
    proc.machine(shmem=500 * MIB)
    with Rig(proc) as rig:
        rig.available(KILL_MIB)
        rig.tick(10)
        (nobody,) = rig.outbox.of("nobody")
        assert nobody["shmem_bytes"] == 500 * MIB
        assert [s[:2] for s in nobody["spared"]] == [[50, "small"]]
        look, totals, limits = rig.watch.look(), rig.watch.totals(), rig.guard.limits()
        for later_s in (NOBODY_AGAIN_S / 2, NOBODY_AGAIN_S + 1):
            rig.striker.strike(look, totals, limits, monotonic_s() + later_s)
        assert len(rig.outbox.of("nobody")) == 2
        assert rig.hand.sent == []


def test_looking_in_vain_does_not_take_all_the_time(proc: FakeProc) -> None:
    with Rig(proc) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        now_s = monotonic_s()
        assert not rig.striker.may_choose(now_s - 1.0)
        assert rig.striker.may_choose(now_s + 60)


def test_stands_down_when_the_kernel_has_killed(proc: FakeProc) -> None:
    hogs(proc, 50, 51)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(WARN_MIB)
        rig.tick()
        proc.machine(oom_kill=2)
        rig.available(TERM_MIB)
        rig.tick(3)
        (record,) = rig.outbox.of("stand_down")
        assert record["kernel_kills"] == 2
        assert rig.hand.sent == []
        rig.available(TERM_MIB - 20)  # it did not help: still falling
        rig.tick()
        assert rig.hand.pids == [50]


def test_kills_of_long_ago_are_no_reason(proc: FakeProc) -> None:
    """The counter's first value says nothing; nor does one that rose while all was well."""
    hogs(proc, 50)
    proc.machine(oom_kill=7)
    with Rig(proc, kill=PATIENT) as rig:
        rig.tick()
        proc.machine(oom_kill=8)
        rig.tick()
        rig.available(TERM_MIB)
        rig.tick()
        assert rig.outbox.of("stand_down") == []
        assert rig.hand.pids == [50]


def test_a_container_that_dies_again_and_again_does_not_stop_us(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, kill=PATIENT) as rig:
        rig.retune(stand_down_s=0.01)
        rig.available(TERM_MIB)
        rig.striker.stand_down("the kernel", 1, rig.watch.look(), monotonic_s() - 0.02)
        for kills in range(1, 5):
            proc.machine(oom_kill=kills)
            rig.tick()
        assert len(rig.outbox.of("stand_down")) == 1
        assert rig.hand.pids == [50]


def test_somebody_elses_victim_is_waited_for(proc: FakeProc) -> None:
    hogs(proc, 50)
    proc.add(60, "dying", rss=250 * MIB, kill_pending=True)
    with Rig(proc, kill=PATIENT) as rig:
        rig.available(KILL_MIB)
        rig.tick(3)
        assert rig.hand.sent == []
        assert [r["pid"] for r in rig.outbox.of("foreign")] == [60]
        assert rig.striker.busy
        rig.dies(60)
        (outcome,) = rig.outbox.of("outcome")
        assert (outcome["foreign"], outcome["outcome"]) == (True, "died")


def test_somebody_elses_victim_that_does_not_die(proc: FakeProc) -> None:
    hogs(proc, 50)
    proc.add(60, "dying", rss=250 * MIB, state="D", kill_pending=True)
    with Rig(proc) as rig:
        rig.retune(stuck_after_s=-1.0)
        rig.available(KILL_MIB)
        rig.tick(2)
        assert rig.hand.sent == [(50, KILL)]


def test_dry_run_signals_nobody_and_says_what_it_would_do(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, guard=GuardSettings(dry_run=True)) as rig:
        rig.available(KILL_MIB)
        rig.tick(5)
        assert rig.hand.sent == []
        assert rig.hand.held == {}
        (record,) = rig.outbox.of("kill")
        assert record["dry_run"] is True
        assert record["victim"]["pid"] == 50
        assert not rig.striker.may_choose(monotonic_s())
        assert rig.striker.may_choose(monotonic_s() + DRY_PAUSE_S)


def test_process_mrelease_may_be_switched_off(proc: FakeProc) -> None:
    hogs(proc, 50)
    with Rig(proc, kill=KillSettings(mrelease=False)) as rig:
        rig.available(KILL_MIB)
        rig.tick()
        assert rig.hand.sent == [(50, KILL)]
        assert rig.hand.reaps == []


def test_forty_that_leak_together_go_one_by_one(proc: FakeProc) -> None:
    for pid in range(100, 140):
        proc.add(pid, rss=(20 + pid % 13) * MIB, start_ticks=pid)
    with Rig(proc) as rig:
        rig.retune(max_per_minute=100)
        rig.available(KILL_MIB)
        for _ in range(40):
            rig.tick(2)
            assert len(rig.hand.held) == 1
            rig.dies(rig.hand.pids[-1])
        sizes = [20 + pid % 13 for pid in rig.hand.pids]
        assert len(set(rig.hand.pids)) == 40
        assert sizes == sorted(sizes, reverse=True)


def test_every_kill_has_its_end_in_the_records(proc: FakeProc) -> None:
    hogs(proc, 50, 51, 52)
    with Rig(proc) as rig:
        rig.available(KILL_MIB)
        for pid in (50, 51, 52):
            rig.tick()
            rig.dies(pid)
        kinds = [(r["kind"], r["kill_id"]) for r in rig.outbox.records if r["kind"] in ("kill", "outcome")]
        assert kinds == [(kind, number) for number in (1, 2, 3) for kind in ("kill", "outcome")]
        sequence = [r["seq"] for r in rig.outbox.records]
        assert sequence == list(range(1, len(sequence) + 1))
