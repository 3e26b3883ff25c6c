"""The readings of a status as bars, against the bounds of the triggers.

Rule of this file: pure; a status may come from another version, so every field of it is looked at as one that
may be absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from oomguardd.ctl.now.bars import LETTERS, Glyphs, Mark, Paint, bar
from oomguardd.ctl.now.told import Told
from oomguardd.ctl.text import fit, pad, width_of
from oomguardd.engine.readings import plain
from oomguardd.engine.words import digits, percent, size

ALWAYS = ("mem_available", "swap_free", "psi_some_10s", "psi_full_10s")
"""Shown also if no trigger looks at them."""

_WIDEST_BAR, _SMALLEST_BAR = 60, 10
_ZOOMED = 0.05
"""Bounds below this part of the whole would all be in the first column,"""
_ZOOM = 8
"""so the bar then ends at so many times the highest."""


class Bound(NamedTuple):
    """What a trigger says about a signal: the strictest of its conditions on it."""

    value: float
    below: bool
    level: str
    first: bool
    """The trigger's first condition is on this signal."""


class Gauge(NamedTuple):
    """One row."""

    label: str
    value: str
    share: float | None
    """None: there is no scale, and no bar."""
    marks: tuple[Mark, ...]
    amount: str
    whole: str


def gauges(status: Told) -> list[Gauge]:
    """A row for each signal that triggers look at, and for those of ALWAYS."""
    readings = {reading.text("name"): reading for reading in status.parts("readings")}
    bounds = bounds_of(status)
    names = [name for name in dict.fromkeys((*ALWAYS, *bounds)) if name in readings]
    return [_gauge(name, readings[name], bounds.get(name, [])) for name in names]


def bounds_of(status: Told) -> dict[str, list[Bound]]:
    """Signal -> what triggers say about it. Those that begin with the signal speak for it; what others say
    besides (thrashing, and less than 20% available) counts only where no trigger begins with it."""
    found: dict[str, list[Bound]] = {}
    for trigger in status.parts("triggers"):
        strictest: dict[str, Bound] = {}
        for c in trigger.parts("conditions"):
            value, below, name = c.number("bound"), c.flag("below"), c.text("signal")
            level = trigger.text("level")
            if value is None or level not in LETTERS:
                continue
            known = strictest.get(name)
            if known is None or (value < known.value if below else value > known.value):
                first = known.first if known else not strictest
                strictest[name] = Bound(value, below, level, first)
        for name, bound in strictest.items():
            found.setdefault(name, []).append(bound)
    return {name: [b for b in each if b.first] or each for name, each in found.items()}


def _gauge(name: str, reading: Told, bounds: Sequence[Bound]) -> Gauge:
    label, unit = plain(name), reading.text("unit", "")
    value, total = reading.number("value") or 0.0, reading.number("total")
    if name == "swap_free" and total == 0:
        return Gauge(label, "none", None, (), "", "")
    highest = max((bound.value for bound in bounds), default=0.0)
    if total is not None and total > 0:
        shown, amount, whole = percent(100 * value / total), _words(value, unit), f" of {_words(total, unit)}"
        scale = total if not bounds or highest >= _ZOOMED * total else _ZOOM * highest
    elif unit == "percent":
        shown, amount, whole, scale = percent(value), "", "", 100.0
    else:
        shown, amount, whole, scale = _words(value, unit), "", "", 2 * highest
    if scale <= 0:
        return Gauge(label, shown, None, (), amount, whole)
    marks = tuple(Mark(bound.value / scale, bound.level, bound.below) for bound in bounds)
    return Gauge(label, shown, value / scale, marks, amount, whole)


def _words(value: float, unit: str) -> str:
    if unit == "bytes":
        return size(value)
    if unit == "bytes/s":
        return f"{size(value)}/s"
    return f"{digits(value)}/s" if unit == "1/s" else digits(value)


def gauge_lines(rows: Sequence[Gauge], width: int, glyphs: Glyphs, paint: Paint) -> list[str]:
    """The rows, as wide as there is room, and what the marks mean."""
    if not rows:
        return []
    labels = max(width_of(row.label) for row in rows)
    values = max(width_of(row.value) for row in rows)
    fixed = 2 + labels + 2 + values + 2
    amounts = max(width_of(row.amount + row.whole) for row in rows)
    with_whole = width - fixed - 2 - amounts >= 2 * _SMALLEST_BAR
    if not with_whole:
        amounts = max(width_of(row.amount) for row in rows)
    room = min(_WIDEST_BAR, width - fixed - 2 - amounts)
    lines = []
    for row in rows:
        head = f"  {pad(row.label, labels, left=True)}  {pad(row.value, values, left=False)}"
        drawn = " " * max(0, room)
        if room < _SMALLEST_BAR:
            lines.append(fit(head, width))
            continue
        if row.share is not None:
            drawn = bar(row.share, row.marks, room, glyphs, paint)
        amount = row.amount + (row.whole if with_whole else "")
        lines.append(f"{head}  {drawn}{f'  {amount}' if amount else ''}".rstrip())
    return [*lines, *_legend(rows, room, width, paint)]


def _legend(rows: Sequence[Gauge], room: int, width: int, paint: Paint) -> list[str]:
    used = {mark.level for row in rows for mark in row.marks}
    if not used or room < _SMALLEST_BAR:
        return []
    letters = ", ".join(f"{letter} {level}" for level, letter in LETTERS.items() if level in used)
    return [paint(fit(f"  {letters}: thresholds of triggers", width), "dim")]
