"""Whom: the shortlist, who is spared, and the verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oomguardd.engine.select import Limits, judge, shortlist, spare, still_complete, weigh
from oomguardd.model import PAGE_BYTES, Glance, Totals
from oomguardd.policies.base import Scene
from tests.shell.rig import candidate

MIB = 1 << 20
TOTALS = Totals(1000 * 1000 * PAGE_BYTES, 0)
SCENE = Scene(Totals(1 << 30, 0))
LIMITS = Limits(adj_cap=1000, smallest_bytes=0, untouchable=(), passed_over=())


def everybody(seen: Glance, floor: int) -> int:
    return seen.score


def glances(*scores: int) -> list[Glance]:
    return [Glance(score, pid) for pid, score in enumerate(scores, 10)]


def test_the_worst_first_and_no_more_than_there_is_room_for() -> None:
    short = shortlist(glances(5, 900, 666, 700, 1), 3, everybody)
    assert [g.score for g in short.glances] == [900, 700, 666]
    assert short.floor == 666
    assert short.scanned == 5
    assert not short.crowded


def test_nobody_and_nobody_eligible() -> None:
    assert shortlist([], 3, everybody)[:4] == ((), 0, False, 0)
    assert shortlist(glances(0, 0, 0), 3, everybody)[:4] == ((), 0, False, 3)


def test_crowded_only_when_the_highest_is_shared_by_those_left_out() -> None:
    assert shortlist(glances(7, 7, 7, 7), 3, everybody).crowded
    assert not shortlist(glances(7, 7, 7, 8), 3, everybody).crowded
    assert not shortlist(glances(7, 7, 7, 6), 3, everybody).crowded
    assert not shortlist(glances(7, 7, 7), 3, everybody).crowded
    assert shortlist(glances(1, 2, 3, 9, 9, 9, 9), 3, everybody).crowded


def test_crowded_does_not_depend_on_who_comes_when() -> None:
    """Those that fell out on the way up do not count; those that fell out at the top do."""
    assert not shortlist(glances(7, 7, 7, 7, 8, 8, 8), 3, everybody).crowded
    assert shortlist(glances(8, 7, 8, 7, 8, 7, 8), 3, everybody).crowded


def test_those_not_admitted_take_no_place() -> None:
    short = shortlist(glances(900, 800, 700), 2, lambda g, floor: None if g.score == 900 else g.score)
    assert [g.score for g in short.glances] == [800, 700]


def test_the_admitted_score_is_what_counts() -> None:
    """A lower one, because the cap takes off: it may fall out at once."""
    lowered = {900: 100, 800: 750}
    short = shortlist(glances(700, 710, 900, 800), 2, lambda g, floor: lowered.get(g.score, g.score))
    assert [g.score for g in short.glances] == [750, 710]
    assert short.floor == 710


def test_admit_is_asked_only_about_those_that_would_enter() -> None:
    asked: list[int] = []

    def admit(seen: Glance, floor: int) -> int:
        asked.append(seen.score)
        return seen.score

    shortlist(glances(5, 6, 4, 5, 7), 2, admit)
    assert asked == [5, 6, 7]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"kernel_thread": True}, "kernel thread"),
        ({"pid": 1}, "init"),
        ({"pid": 77}, "guard"),
        ({"oom_score_adj": -1000}, "-1000"),
        ({"dying": True}, "already"),
        ({"pid": 88, "start_ticks": 5}, "signal"),
        ({"rss_anon_bytes": MIB}, "give back"),
    ],
)
def test_spared(changes: dict[str, object], word: str) -> None:
    limits = Limits(1000, 16 * MIB, {77}, {(88, 5)})
    c = replace(candidate(50, rss_anon_bytes=900 * MIB), **changes)  # type: ignore[arg-type]
    assert word in (spare(c, limits, SCENE) or "")
    verdict = judge([c], TOTALS, limits, 5)
    assert verdict.victim is None
    assert [s.pid for s in verdict.spared] == [c.pid]


def test_a_new_process_with_the_pid_of_one_passed_over_is_not_spared() -> None:
    limits = Limits(1000, 0, (), {(88, 5)})
    assert spare(candidate(88, start_ticks=6), limits, SCENE) is None


@pytest.mark.parametrize("adj", [-999, -1, 0, 1000])
def test_only_minus_1000_is_immunity(adj: int) -> None:
    assert spare(candidate(50, oom_score_adj=adj), LIMITS, SCENE) is None


def test_mapped_files_do_not_make_a_process_worth_it() -> None:
    """They were reclaimable anyway; swap and shared memory are what comes back."""
    limits = Limits(1000, 16 * MIB, (), ())
    assert spare(candidate(50, rss_file_bytes=900 * MIB), limits, SCENE) is not None
    assert spare(candidate(50, swap_bytes=900 * MIB), limits, SCENE) is None
    assert spare(candidate(50, rss_shmem_bytes=16 * MIB), limits, SCENE) is None


def test_a_victim_even_when_everybody_is_below_zero() -> None:
    """As the kernel since 5.9: it starts from LONG_MIN."""
    protected = [candidate(pid, oom_score_adj=-900, rss_anon_bytes=pid * MIB) for pid in (40, 60, 50)]
    verdict = judge(protected, TOTALS, LIMITS, 5)
    assert verdict.victim is not None
    assert verdict.victim.candidate.pid == 60
    assert verdict.victim.pages < 0


def test_a_subsidy_is_weighed_and_can_be_used_up() -> None:
    """adj -300 is 30% of memory, no more."""
    big = candidate(50, oom_score_adj=-300, rss_anon_bytes=400_000 * PAGE_BYTES)
    small = candidate(51, rss_anon_bytes=99_999 * PAGE_BYTES)
    verdict = judge([small, big], TOTALS, LIMITS, 5)
    assert verdict.victim is not None
    assert verdict.victim.candidate.pid == 50


def test_ties_go_to_the_one_started_last() -> None:
    same = [candidate(pid, start_ticks=start) for pid, start in ((50, 9), (51, 30), (52, 7), (53, 30))]
    verdict = judge(same, TOTALS, LIMITS, 5)
    assert verdict.victim is not None
    assert verdict.victim.candidate.pid == 53  # of two in one clock tick the higher pid
    assert [w.candidate.pid for w in verdict.runners_up] == [51, 50, 52]


def test_cap_lowers_and_says_so() -> None:
    limits = LIMITS._replace(adj_cap=100)
    c = candidate(50, oom_score_adj=300, rss_anon_bytes=PAGE_BYTES)
    weighed = weigh(c, TOTALS, limits)
    assert weighed.kernel_pages == 1 + 300 * 1000
    assert weighed.pages == 1 + 100 * 1000
    assert [a.points for a in weighed.adjustments] == [-200]
    assert "300" in weighed.adjustments[0].why


@pytest.mark.parametrize("adj", [-1000, -300, 0, 99, 100])
def test_cap_leaves_others_alone(adj: int) -> None:
    assert weigh(candidate(50, oom_score_adj=adj), TOTALS, LIMITS._replace(adj_cap=100)).adjustments == ()


def test_the_cap_decides_between_a_renderer_and_the_real_hog() -> None:
    hog = candidate(50, rss_anon_bytes=200_000 * PAGE_BYTES)
    renderer = candidate(51, oom_score_adj=300, rss_anon_bytes=10_000 * PAGE_BYTES)
    kernels = judge([hog, renderer], TOTALS, LIMITS, 5).victim
    ours = judge([hog, renderer], TOTALS, LIMITS._replace(adj_cap=100), 5).victim
    assert (kernels and kernels.candidate.pid, ours and ours.candidate.pid) == (51, 50)


def test_the_biggest_of_the_dying_is_told_and_the_stuck_one_is_not() -> None:
    limits = Limits(1000, 10 * MIB, (), {(50, 100)})
    stuck = candidate(50, dying=True, rss_anon_bytes=900 * MIB)
    two = [
        candidate(51, dying=True, rss_anon_bytes=20 * MIB),
        candidate(52, dying=True, rss_anon_bytes=30 * MIB),
    ]
    tiny = candidate(53, dying=True, rss_anon_bytes=MIB)
    verdict = judge([stuck, *two, tiny], TOTALS, limits, 5)
    assert verdict.dying is not None
    assert verdict.dying.pid == 52
    assert judge([stuck, tiny], TOTALS, limits, 5).dying is None


def test_spared_ones_come_biggest_first() -> None:
    held = [candidate(pid, oom_score_adj=-1000, rss_anon_bytes=pid * MIB) for pid in (50, 70, 60)]
    assert [s.pid for s in judge(held, TOTALS, LIMITS, 5).spared] == [70, 60, 50]


def test_no_more_runners_up_than_asked_for() -> None:
    many = [candidate(pid, rss_anon_bytes=pid * MIB) for pid in range(50, 60)]
    assert len(judge(many, TOTALS, LIMITS, 3).runners_up) == 3
    assert judge(many, TOTALS, LIMITS, 0).runners_up == ()


def test_an_earlier_list_is_trusted_only_beyond_what_can_have_grown() -> None:
    assert still_complete(700, 666, 0, TOTALS)
    assert not still_complete(666, 666, 0, TOTALS)
    tenth = TOTALS.ram_bytes / 10
    assert not still_complete(730, 666, tenth, TOTALS)
    assert still_complete(740, 666, tenth, TOTALS)
    assert still_complete(700, 666, -tenth, TOTALS)  # memory came back


def test_a_small_one_that_is_dying_does_not_keep_us_from_a_big_one() -> None:
    big = candidate(10, rss_anon_bytes=1000 * MIB)
    for held_mib, waited_for in ((20, None), (499, None), (500, 11), (900, 11)):
        dying = candidate(11, rss_anon_bytes=held_mib * MIB, dying=True)
        verdict = judge((big, dying), TOTALS, LIMITS, 5)
        assert (verdict.dying.pid if verdict.dying else None) == waited_for
        assert verdict.victim is not None
        assert verdict.victim.candidate.pid == 10


def test_an_ordinary_user_s_guard_chooses_among_its_own() -> None:
    mine = candidate(10, uid=1000, rss_anon_bytes=100 * MIB)
    theirs = candidate(11, uid=0, rss_anon_bytes=900 * MIB)
    verdict = judge((mine, theirs), TOTALS, LIMITS._replace(only_uid=1000), 5)
    assert verdict.victim is not None
    assert verdict.victim.candidate.pid == 10
    assert "uid 0" in verdict.spared[0].why
