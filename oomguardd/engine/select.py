"""Whom: the shortlist cut from all processes, and the verdict on those that were read in full.

Rule of this file: candidates are ranked by pages. /proc/PID/oom_score only decides who is looked at more
closely, because it is the one thing that can be read of ten thousand processes in time: it is coarse
(T/1500 pages), so ties are told to the caller and never decided by it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import NamedTuple

from oomguardd.engine.badness import NEVER, kernel_pages
from oomguardd.model import Adjustment, Candidate, Glance, Spared, Totals, Verdict, Weighed
from oomguardd.policies.base import Scene, own_wish
from oomguardd.policies.set import NO_POLICIES, PolicySet
from oomguardd.units import format_bytes

FOLLOW_SHARE = 2
"""Somebody else's victim is waited for only if it holds at least one part in so many of what ours does: a
small one that takes its time must not keep us from a big one."""


WISH_SHARE = 4
"""What dies in another's place at its user's wish has at least one part in so many of what that one holds."""


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
    noted: tuple[Glance, ...] = ()
    """Everybody whom a policy could lift, with the kernel's own score; empty where none lifts."""


class Limits(NamedTuple):
    """The settings and opinions on top of the kernel's arithmetic, and who is out of bounds."""

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
    policies: PolicySet = NO_POLICIES


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


def weigh(c: Candidate, totals: Totals, limits: Limits, scene: Scene | None = None) -> Weighed:
    """The candidate's badness, term by term. Without a `scene` it is weighed as if it were alone."""
    policies = limits.policies
    pages = kernel_pages(c, totals)
    adjustments = (*_capped(c, limits), *policies.adjust(c, scene or Scene(totals)))
    kill, kill_why = policies.kill_unit(c)
    rule = policies.rules.rule_of(c)
    return Weighed(
        candidate=c,
        kernel_pages=pages,
        adjustments=adjustments,
        pages=pages + in_pages(adjustments, totals),
        rule="" if rule is None else rule.name,
        kill=kill,
        kill_why=kill_why,
    )


def in_pages(adjustments: Iterable[Adjustment], totals: Totals) -> int:
    """What they add together, each rounded as the kernel rounds oom_score_adj."""
    return sum(int(a.points * totals.point_pages) for a in adjustments)


def _capped(c: Candidate, limits: Limits) -> Iterable[Adjustment]:
    excess = c.oom_score_adj - limits.adj_cap
    if excess > 0:
        why = f"its oom_score_adj {c.oom_score_adj} counts as {limits.adj_cap} only"
        yield Adjustment("oom_score_adj_cap", -excess, why)


def spare(c: Candidate, limits: Limits, scene: Scene) -> str | None:
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
    policy = limits.policies.spare(c, scene)
    if policy:
        return policy
    if c.dying:
        return "already being killed"
    if c.identity in limits.passed_over:
        return "a signal did not help or was refused"
    if c.held_bytes < limits.smallest_bytes:
        held, least = format_bytes(c.held_bytes), format_bytes(limits.smallest_bytes)
        return f"its death would give back only {held} (smallest victim: {least})"
    return None


class Judge:
    """Hears candidates one by one, in any order, and has a verdict on all that were heard.

    Equal badness: the one started last goes, as the kernel's `points < chosen_points` lets the last
    scanned win.
    """

    def __init__(self, totals: Totals, limits: Limits, runners_up: int) -> None:
        self._totals = totals
        self._limits = limits
        self._runners_up = runners_up
        self._alone = Scene(totals)
        self._heard: list[Candidate] = []
        self._weighed: list[Weighed] = []
        self._spared: list[tuple[int, Spared]] = []
        self._dying: Candidate | None = None
        self.pids: set[int] = set()
        """Of those that were heard."""
        self.best_pages: int | None = None
        """Of the worst one heard so far; None if nobody may be taken."""

    @property
    def held_bytes(self) -> int:
        """By all that were heard."""
        return sum(c.held_bytes for c in self._heard)

    def hear(self, c: Candidate) -> None:
        """One more."""
        self._heard.append(c)
        self.pids.add(c.pid)
        why = spare(c, self._limits, self._alone)
        if why is None:
            w = weigh(c, self._totals, self._limits, self._alone)
            self._weighed.append(w)
            self.best_pages = w.pages if self.best_pages is None else max(self.best_pages, w.pages)
            return
        self._spared.append((c.held_bytes, Spared(c.pid, c.comm, why)))
        limits = self._limits
        if c.dying and c.held_bytes >= limits.smallest_bytes and c.identity not in limits.passed_over:
            self._dying = max(self._dying or c, c, key=lambda d: (d.held_bytes, d.identity))

    def verdict(self) -> Verdict:
        """Who must go."""
        weighed = self._weighed
        if self._limits.policies.compares:
            scene = Scene(self._totals, _users(self._heard))
            weighed = [weigh(w.candidate, self._totals, self._limits, scene) for w in weighed]
        weighed = grant_wish(sorted(weighed, key=_rank, reverse=True), self._totals)
        dying = self._dying
        if (
            dying is not None
            and weighed
            and dying.held_bytes * FOLLOW_SHARE < weighed[0].candidate.held_bytes
        ):
            dying = None
        return Verdict(
            victim=weighed[0] if weighed else None,
            runners_up=tuple(weighed[1 : 1 + self._runners_up]),
            spared=tuple(s for _, s in sorted(self._spared, reverse=True)),
            dying=dying,
            totals=self._totals,
        )


def judge(candidates: Iterable[Candidate], totals: Totals, limits: Limits, runners_up: int) -> Verdict:
    """The verdict on these candidates, whatever their order."""
    one = Judge(totals, limits, runners_up)
    for c in candidates:
        one.hear(c)
    return one.verdict()


def grant_wish(weighed: list[Weighed], totals: Totals) -> list[Weighed]:
    """If the worst one's own user asks to have it avoided, the next of that user's takes its place.

    Nobody else's processes are touched by it: the two change places, and only if the other holds enough to be
    worth it, or a user could offer trifles instead of what fills the machine.
    """
    if not weighed or not own_wish(weighed[0].candidate):
        return weighed
    first = weighed[0]
    for at, other in enumerate(weighed):
        c = other.candidate
        worth = c.held_bytes * WISH_SHARE >= first.candidate.held_bytes
        if c.uid == first.candidate.uid and worth and not own_wish(c):
            swapped = [_moved(other, first, totals), *weighed[1:at], _moved(first, other, totals)]
            return sorted([*swapped, *weighed[at + 1 :]], key=_rank, reverse=True)
    return weighed


def _moved(w: Weighed, place: Weighed, totals: Totals) -> Weighed:
    """`w` with the points of the other one, and the reason."""
    step = max(1, totals.point_pages)
    difference = place.pages - w.pages
    # Up to the next whole point, so that the order is that of the places and not of who is younger.
    points = math.ceil(difference / step) if difference > 0 else math.floor(difference / step)
    comm = place.candidate.comm
    why = (
        f"its user asks to avoid {comm}[{place.candidate.pid}], and this is that user's next"
        if difference > 0
        else f"its user asks to avoid it, and {comm}[{place.candidate.pid}] of the same user goes instead"
    )
    adjustment = Adjustment("cgroup", points, why)
    return replace(
        w, adjustments=(*w.adjustments, adjustment), pages=w.pages + in_pages((adjustment,), totals)
    )


def _rank(w: Weighed) -> tuple[int, int, int]:
    return w.pages, w.candidate.start_ticks, w.candidate.pid


def _users(candidates: Iterable[Candidate]) -> dict[int, int]:
    held: dict[int, int] = {}
    for c in candidates:
        held[c.uid] = held.get(c.uid, 0) + c.held_bytes
    return held
