"""Whom: the shortlist cut from all processes, and the verdict on those that were read in full.

Rule of this file: candidates are ranked by pages. /proc/PID/oom_score only decides who is looked at more
closely, because it is the one thing that can be read of ten thousand processes in time: it is coarse
(T/1500 pages), so ties are told to the caller and never decided by it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from oomguardd.engine.badness import NEVER, kernel_pages
from oomguardd.model import Adjustment, Candidate, Glance, Spared, Totals, Verdict, Weighed
from oomguardd.units import format_bytes

FOLLOW_SHARE = 2
"""Somebody else's victim is waited for only if it holds at least one part in so many of what ours does: a
small one that takes its time must not keep us from a big one."""


class Shortlist(NamedTuple):
    """The worst few of all that were glanced at, worst first."""

    glances: tuple[Glance, ...]
    floor: int
    """No process left out has a higher score."""
    crowded: bool
    """More processes share the highest score than there is room for: their order must come from their
    sizes.
    """
    scanned: int


class Limits(NamedTuple):
    """The two settings on top of the kernel's arithmetic, and who is out of bounds."""

    adj_cap: int
    smallest_bytes: int
    untouchable: Collection[int]
    """Pids: ourselves and our ancestors."""
    passed_over: Collection[tuple[int, int]]
    """Identities that a signal did not or may not reach."""
    inside: bool = False
    """Only those in our own part of the cgroup tree: a container's limit says nothing about anybody else."""
    only_uid: int | None = None
    """The one user whose processes may be signalled; None without such a limit."""


def shortlist(glances: Iterable[Glance], room: int, admit: Callable[[Glance, int], int | None]) -> Shortlist:
    """The `room` highest scores; memory does not grow with the number of processes.

    `admit` is asked only about those that would enter, with the score that must be exceeded, and answers
    with the score that counts (never a higher one), or None for a process that must not take a place.
    """
    heap: list[Glance] = []
    floor = scanned = left_out = 0
    for glance in glances:
        scanned += 1
        if glance.score <= floor:
            if glance.score == floor:
                left_out += 1
            continue
        score = admit(glance, floor)
        if score is None or score < floor:
            continue
        entry = Glance(score, glance.pid)
        gone = None
        if len(heap) < room:
            heapq.heappush(heap, entry)
        else:
            gone = heapq.heappushpop(heap, entry)
        if len(heap) == room and heap[0].score > floor:
            floor, left_out = heap[0].score, 0
        if gone is not None and gone.score == floor:
            left_out += 1
    worst = tuple(sorted(heap, reverse=True))
    crowded = bool(worst) and left_out > 0 and worst[0].score == floor
    return Shortlist(worst, floor, crowded, scanned)


def still_complete(best: int, floor: int, consumed_bytes: float, totals: Totals) -> bool:
    """Whether a shortlist made earlier must still hold the worst process.

    Whoever was left out then had at most `floor`, and has hardly grown by more than what the whole machine
    has
    used up since: only what somebody else gave back in the same time, or a file that was in memory already,
    could have gone to it unseen. That is why such a list is not used for long. The margin is what
    three roundings may hide: the kernel's two, the cap's one.
    """
    grown = max(0.0, consumed_bytes) / max(1, totals.ram_bytes + totals.swap_bytes) * 1000
    return best > floor + grown * 2 / 3 + 3


def weigh(c: Candidate, totals: Totals, limits: Limits) -> Weighed:
    """The candidate's badness, term by term."""
    pages = kernel_pages(c, totals)
    adjustments = tuple(_adjustments(c, limits))
    return Weighed(
        c, pages, adjustments, pages + sum(int(a.points * totals.point_pages) for a in adjustments)
    )


def _adjustments(c: Candidate, limits: Limits) -> Iterable[Adjustment]:
    excess = c.oom_score_adj - limits.adj_cap
    if excess > 0:
        why = f"its oom_score_adj {c.oom_score_adj} counts as {limits.adj_cap} only"
        yield Adjustment("oom_score_adj_cap", -excess, why)


def spare(c: Candidate, limits: Limits) -> str | None:
    """Why this process is not taken; None if it may be."""
    if c.kernel_thread:
        return "kernel thread"
    if c.pid == 1:
        return "init"
    if c.pid in limits.untouchable:
        return "the guard itself or one of its ancestors"
    if limits.inside and c.cgroup.startswith("/.."):
        return "outside of this container"
    if limits.only_uid is not None and c.uid != limits.only_uid:
        return f"belongs to uid {c.uid}, which this guard may not signal"
    if c.oom_score_adj == NEVER:
        return f"oom_score_adj {NEVER}"
    if c.dying:
        return "already being killed"
    if c.identity in limits.passed_over:
        return "a signal did not help or was refused"
    if c.held_bytes < limits.smallest_bytes:
        held, least = format_bytes(c.held_bytes), format_bytes(limits.smallest_bytes)
        return f"its death would give back only {held} (smallest victim: {least})"
    return None


def judge(candidates: Iterable[Candidate], totals: Totals, limits: Limits, runners_up: int) -> Verdict:
    """The verdict on these candidates, whatever their order.

    Equal badness: the one started last goes, as the kernel's `points < chosen_points` lets the last
    scanned win.
    """
    weighed: list[Weighed] = []
    spared: list[tuple[int, Spared]] = []
    dying: Candidate | None = None
    for c in candidates:
        why = spare(c, limits)
        if why is None:
            weighed.append(weigh(c, totals, limits))
            continue
        spared.append((c.held_bytes, Spared(c.pid, c.comm, why)))
        if c.dying and c.held_bytes >= limits.smallest_bytes and c.identity not in limits.passed_over:
            dying = max(dying or c, c, key=lambda d: (d.held_bytes, d.identity))
    weighed.sort(key=lambda w: (w.pages, w.candidate.start_ticks, w.candidate.pid), reverse=True)
    spared.sort(reverse=True)
    if dying is not None and weighed and dying.held_bytes * FOLLOW_SHARE < weighed[0].candidate.held_bytes:
        dying = None
    return Verdict(
        victim=weighed[0] if weighed else None,
        runners_up=tuple(weighed[1 : 1 + runners_up]),
        spared=tuple(s for _, s in spared),
        dying=dying,
        totals=totals,
    )
