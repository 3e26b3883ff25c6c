"""Bars with marks on them, one row each.

Rule of this file: pure; nothing is told by colour alone, and every row has the width that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Paint = Callable[[str, str], str]
"""Text and style -> text; see Console.paint."""

LETTERS = {"warn": "W", "terminate": "T", "kill": "K"}
"""The mark of each level, the mildest first."""
STYLES = {"warn": "yellow", "terminate": "red", "kill": "red"}

_MOST_SHIFTED = 2
"""Columns that a mark may be away from where it belongs, to stand beside another one."""


class Glyphs(NamedTuple):
    """What bars are drawn with."""

    full: str
    half: str
    empty: str
    beyond: str
    """At the end of a bar whose value is larger than its scale."""
    dot: str
    yes: str


LINES = Glyphs("━", "╸", "─", "▶", "●", "✓")
ASCII = Glyphs("=", "-", "-", ">", "*", "(yes)")


class Mark(NamedTuple):
    """A bound on the bar."""

    share: float
    """Where, from 0 to 1."""
    level: str
    below: bool
    """It is passed by falling below it."""


def can_draw_lines(encoding: str, environ: Mapping[str, str]) -> bool:
    """Whether the output takes, and the locale promises, more than ASCII."""
    if encoding.lower().replace("-", "") != "utf8":
        return False
    named = (environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((name for name in named if name), "")
    return "utf8" in locale.lower().replace("-", "")


def bar(share: float, marks: Sequence[Mark], width: int, glyphs: Glyphs, paint: Paint) -> str:
    """A bar that is filled to `share` (more than 1: beyond its end)."""
    passed = [m for m in marks if (share < m.share if m.below else share > m.share)]
    worst = max(passed, key=lambda m: list(LETTERS).index(m.level), default=None)
    filled = "bold" if worst is None else STYLES[worst.level]
    cells = _filling(share, width, glyphs)
    letters = _placed(marks, width)
    drawn: list[tuple[str, str]] = []
    for at, cell in enumerate(cells):
        level = letters.get(at)
        if level is not None:
            drawn.append((LETTERS[level], STYLES[level]))
        else:
            drawn.append((cell, "dim" if cell == glyphs.empty and at >= share * width else filled))
    return _painted(drawn, paint)


def _filling(share: float, width: int, glyphs: Glyphs) -> list[str]:
    if share > 1:
        return [glyphs.full] * (width - 1) + [glyphs.beyond]
    halves = round(2 * max(0.0, share) * width)
    cells = [glyphs.full] * (halves // 2) + [glyphs.half] * (halves % 2)
    return cells + [glyphs.empty] * (width - len(cells))


def _placed(marks: Sequence[Mark], width: int) -> dict[int, str]:
    """Column -> level. The worst keep their place; milder ones move beside them, to their own side."""
    placed: dict[int, str] = {}
    worst_first = sorted(marks, key=lambda m: list(LETTERS).index(m.level), reverse=True)
    for mark in worst_first:
        at = min(width - 1, int(mark.share * width))
        step = 1 if mark.below else -1
        for column in range(at, at + step * (_MOST_SHIFTED + 1), step):
            if placed.get(column) == mark.level:
                break
            if column not in placed and 0 <= column < width:
                placed[column] = mark.level
                break
    return placed


def _painted(drawn: Sequence[tuple[str, str]], paint: Paint) -> str:
    """Neighbours of one style are painted together."""
    runs: list[tuple[str, str]] = []
    for text, style in drawn:
        if runs and runs[-1][1] == style:
            runs[-1] = (runs[-1][0] + text, style)
        else:
            runs.append((text, style))
    return "".join(paint(text, style) for text, style in runs)
