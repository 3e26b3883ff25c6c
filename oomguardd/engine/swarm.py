"""Many small processes that belong together, weighed as one: a fork bomb has no single one worth killing.

Rule of this file: everybody is only sampled, unless what is missing is in small processes, and a sample says
in which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from oomguardd.engine.select import Limits, in_pages, spare, weigh
from oomguardd.model import Adjustment, Candidate, Totals, Weighed
from oomguardd.policies.base import Scene
from oomguardd.units import format_bytes

SAMPLE = 96
"""So many processes are read to see whether there is a swarm at all; 70 µs each."""
MEMBERS_MAX = 2000
YOUNG_S = 60.0
SHARE = 0.2
"""Where a single process could be killed, a swarm must hold this share of RAM and swap,"""
OUTWEIGHS = 2
"""weigh so many times as much,"""
YOUNG_SHARE = 0.5
"""and have so large a part of members that are young: the workers of a server are as many, but older."""
SMALL_SHARE = 0.01
"""A member holds less than this of RAM and swap: what holds more is worth a decision of its own."""

Key = tuple[str, int, str]
Pids = Callable[[], Iterable[int]]
Read = Callable[[int], Candidate | None]


class Reader(NamedTuple):
    """How the world is asked."""

    pids: Pids
    """Everybody."""
    name: Callable[[int], str | None]
    """A process's name, for a fifth of what all of it costs."""
    roughly: Read
    """Without what rules and policies may ask for."""
    in_full: Read


class Swarm(NamedTuple):
    """Its largest member, with the points of all."""

    weighed: Weighed
    members: int
    held_bytes: int
    young: int


def key_of(c: Candidate) -> Key:
    """What members have in common."""
    return c.cgroup, c.uid, c.comm


def find(reader: Reader, count: int, least: int, limits: Limits, totals: Totals) -> Swarm | None:
    """The heaviest group of at least `least` small processes, of about `count` processes in all; None if no
    sample shows one.
    """
    small_bytes = max(limits.smallest_bytes, int((totals.ram_bytes + totals.swap_bytes) * SMALL_SHARE))
    stride = max(1, count // SAMPLE)
    held: Counter[Key] = Counter()
    number: Counter[Key] = Counter()
    seen: dict[int, Key] = {}
    for index, pid in enumerate(reader.pids()):
        if index % stride == 0 and (c := reader.roughly(pid)) is not None and _may_belong(c, small_bytes):
            seen[pid] = key_of(c)
            held[key_of(c)] += c.held_bytes * stride
            number[key_of(c)] += stride
    for key, _ in held.most_common(3):
        if number[key] >= least:
            swarm = _gather(reader, key, seen, small_bytes, limits, totals)
            if swarm is not None and swarm.members >= least:
                return swarm
    return None


def outweighs(swarm: Swarm, best: Weighed | None, limits: Limits, totals: Totals) -> bool:
    """Whether the swarm is to be taken instead of the worst single process."""
    if best is None:
        return swarm.held_bytes >= limits.smallest_bytes
    return (
        swarm.held_bytes >= SHARE * (totals.ram_bytes + totals.swap_bytes)
        and swarm.weighed.pages >= OUTWEIGHS * best.pages
        and swarm.young >= YOUNG_SHARE * swarm.members
    )


def _may_belong(c: Candidate, small_bytes: int) -> bool:
    return not c.kernel_thread and c.pid != c.sid and c.pid != 1 and 0 < c.held_bytes < small_bytes


def _gather(
    reader: Reader, key: Key, seen: Mapping[int, Key], small_bytes: int, limits: Limits, totals: Totals
) -> Swarm | None:
    worth_any = limits._replace(smallest_bytes=0)
    scene = Scene(totals)
    largest: Weighed | None = None
    count = held = young = pages = 0
    for pid in reader.pids():
        c = reader.in_full(pid) if seen.get(pid, key) == key and reader.name(pid) == key[2] else None
        if c is None or key_of(c) != key or not _may_belong(c, small_bytes):
            continue
        if spare(c, worth_any, scene) is not None:
            continue
        w = weigh(c, totals, limits, scene)
        count, held, pages = count + 1, held + c.held_bytes, pages + max(0, w.pages)
        young += c.age_s < YOUNG_S
        if largest is None or (w.pages, c.identity) > (largest.pages, largest.candidate.identity):
            largest = w
        if count >= MEMBERS_MAX:
            break
    if largest is None:
        return None
    return Swarm(_as_one(largest, count, held, pages, totals), count, held, young)


def _as_one(w: Weighed, count: int, held: int, pages: int, totals: Totals) -> Weighed:
    points = (pages - w.pages) / max(1, totals.point_pages)
    why = f"one of {count} small processes of one name, cgroup and user, weighed as one: {format_bytes(held)}"
    added = Adjustment("swarm", round(points, 3), why)
    return replace(
        w,
        adjustments=(*w.adjustments, added),
        pages=w.pages + in_pages((added,), totals),
        kill="swarm",
        kill_why=f"{count} small processes as one",
    )
