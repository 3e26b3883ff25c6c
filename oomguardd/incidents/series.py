"""Readings as lines to draw: in pieces where nothing was read, thinned without losing a peak."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from oomguardd.incidents.case import LEVELS, Case, Moment

GAP_S = 3.5
"""Readings are made each second; without one for so long there is nothing to draw a line through."""

_GAP_STEPS = 3
"""Where they are rarer altogether, so many of their usual distances are a gap."""

MOST_POINTS = 400
"""More than a screen has columns for."""

Point = tuple[float, float]
"""(seconds from the kill, value)"""

Segment = tuple[Point, ...]
"""Points without a gap between them; never empty."""


class Stretch(NamedTuple):
    """A span of time with one level."""

    from_s: float
    to_s: float
    level: str


def segments(moments: Sequence[Moment], name: str, from_s: float, to_s: float) -> tuple[Segment, ...]:
    """The signal between the two times and one reading beyond each, so that a line runs to the edge."""
    points = [(moment.at_s, moment.values[name]) for moment in moments if name in moment.values]
    pieces = _pieces(points, gap_of(moments))
    cut = (_cut(piece, from_s, to_s) for piece in pieces)
    return tuple(tuple(thinned(piece)) for piece in cut if piece)


def gap_of(moments: Sequence[Moment]) -> float:
    """How long may be between two readings that belong together."""
    steps = [later.at_s - earlier.at_s for earlier, later in pairwise(moments)]
    return max(GAP_S, _GAP_STEPS * sorted(steps)[len(steps) // 2]) if steps else GAP_S


def gaps(moments: Sequence[Moment], from_s: float, to_s: float) -> list[tuple[float, float]]:
    """When nothing at all was read."""
    least = gap_of(moments)
    pairs = pairwise(moments)
    found = [(a.at_s, b.at_s) for a, b in pairs if b.at_s - a.at_s > least]
    return [(max(a, from_s), min(b, to_s)) for a, b in found if a < to_s and b > from_s]


def _pieces(points: Sequence[Point], gap_s: float) -> list[list[Point]]:
    pieces: list[list[Point]] = []
    for point in points:
        if not pieces or point[0] - pieces[-1][-1][0] > gap_s:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _cut(piece: Sequence[Point], from_s: float, to_s: float) -> list[Point]:
    inside = [at for at, point in enumerate(piece) if from_s <= point[0] <= to_s]
    if not inside:
        return []
    return list(piece[max(0, inside[0] - 1) : inside[-1] + 2])


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Of each stretch of a long line its lowest and its highest point, and both ends of the whole."""
    if len(points) <= most:
        return list(points)
    width = -(-len(points) // (most // 2 - 1))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), width):
        indices = range(start, min(start + width, len(points)))
        kept.add(min(indices, key=lambda at: points[at][1]))
        kept.add(max(indices, key=lambda at: points[at][1]))
    return [points[at] for at in sorted(kept)]


def stretches(case: Case, from_s: float, to_s: float) -> list[Stretch]:
    """The level over time, as the guard said it; nothing where it did not."""
    changes = sorted(_changes(case), key=lambda change: change[0])
    if not changes:
        return []
    found: list[Stretch] = []
    ends = [at_s for at_s, _ in changes[1:]] + [to_s]
    for (at_s, level), end_s in zip(changes, ends, strict=True):
        start_s, end_s = max(at_s, from_s), min(end_s, to_s)
        if found and found[-1].level == level and end_s > start_s:
            found[-1] = found[-1]._replace(to_s=end_s)
        elif end_s > start_s:
            found.append(Stretch(start_s, end_s, level))
    return found


def _changes(case: Case) -> Iterator[tuple[float, str]]:
    """When a level was seen: in readings, and exactly when it changed."""
    read = [(moment.at_s, moment.level) for moment in case.moments if moment.level]
    yield from read
    told = [(case.at_s(event), event) for event in case.events("level")]
    changes = [(at_s, event) for at_s, event in told if at_s is not None and event.text("level") in LEVELS]
    yield from ((at_s, event.text("level")) for at_s, event in changes)
    if changes and not any(at_s < changes[0][0] for at_s, _ in read) and changes[0][1].text("was") in LEVELS:
        first = min((moment.at_s for moment in case.moments), default=0.0)
        yield min(first, changes[0][0]), changes[0][1].text("was")


def extent(pieces: Iterable[Segment]) -> tuple[float, float] | None:
    """The lowest and the highest value; None of nothing."""
    values = [value for piece in pieces for _, value in piece]
    return (min(values), max(values)) if values else None
