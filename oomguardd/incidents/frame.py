"""What is around the panels of a figure and holds for all of them: marks above, level and time below."""

from __future__ import annotations

from collections.abc import Sequence

from oomguardd.incidents.chart import Ground, Mark, Span, across, clipped
from oomguardd.incidents.clock import offset
from oomguardd.incidents.markup import Html, join, tag
from oomguardd.incidents.scale import time_ticks


def time_axis(span: Span) -> Html:
    """Seconds from the kill, below all panels."""
    labels = []
    for at_s in time_ticks(span.from_s, span.to_s):
        pct = span.pct(at_s)
        anchor = "start" if pct < 4 else "end" if pct > 96 else "middle"
        words = "kill" if abs(at_s) < 1e-9 else offset(at_s)
        labels.append(tag("text", words, x=f"{pct}%", y=14, text_anchor=anchor, class_="tick"))
    return _row(tag("svg", *labels, class_="plot axis", height=20, aria_hidden="true"))


_LANE_PX = 17
_LETTER_PCT = 2.3
"""Of a phone's width; on a wider screen there is more room than needed."""


def mark_labels(marks: Sequence[Mark], span: Span) -> Html:
    """What the vertical lines are, above all panels; those close together in lanes, one below the other, so
    that no line crosses a label: to the right in order of time, to the left against it."""
    placed = sorted((span.pct(mark.at_s), mark) for mark in marks)
    right = [(pct, mark) for pct, mark in placed if pct + _label_pct(mark) <= 100]
    left = [(pct, mark) for pct, mark in reversed(placed) if pct + _label_pct(mark) > 100]
    lanes: list[list[tuple[float, float]]] = []
    drawn: list[Html] = []
    for on_left, group in ((False, right), (True, left)):
        for pct, mark in group:
            from_pct = pct - _label_pct(mark) if on_left else pct
            lane = _lane(lanes, from_pct, from_pct + _label_pct(mark))
            drawn += _mark_label(mark, pct, _LANE_PX * lane, on_left)
    height_px = max(1, len(lanes)) * _LANE_PX
    return _row(tag("svg", *drawn, class_="plot marks", height=height_px, aria_hidden="true"))


def _label_pct(mark: Mark) -> float:
    return 4 + _LETTER_PCT * len(clipped(mark.label))


def _lane(lanes: list[list[tuple[float, float]]], from_pct: float, to_pct: float) -> int:
    """The first in which that stretch is free; from now on it is taken."""
    for at, taken in enumerate(lanes):
        if all(to_pct <= a or b <= from_pct for a, b in taken):
            taken.append((from_pct, to_pct))
            return at
    lanes.append([(from_pct, to_pct)])
    return len(lanes) - 1


def _mark_label(mark: Mark, pct: float, y: int, left: bool) -> list[Html]:
    x = f"{pct}%"
    side = {"dx": -6, "text_anchor": "end"} if left else {"dx": 6, "text_anchor": "start"}
    line = tag("line", x1=x, x2=x, y1=y + 3, y2="100%", class_=f"mark {mark.style}")
    return [line, tag("text", clipped(mark.label), x=x, y=y + 13, class_=f"mlabel {mark.style}", **side)]


def level_strip(ground: Ground) -> Html:
    """The level over time as stairs with its name, so that the tint is not the only sign of it."""
    span, drawn = ground.span, []
    for s in ground.stretches:
        drawn.append(across(span, s.from_s, s.to_s, 18, f"step {s.level}"))
        left, right = max(0.0, span.pct(s.from_s)), min(100.0, span.pct(s.to_s))
        if right - left > 2 + _LETTER_PCT * len(s.level):
            drawn.append(tag("text", s.level, x=f"{left + 0.8}%", y=13, class_=f"slabel {s.level}"))
    words = "; ".join(f"{s.level} from {offset(s.from_s)} to {offset(s.to_s)}" for s in ground.stretches)
    picture = tag(
        "svg",
        tag("title", "Level, as the guard saw it"),
        tag("desc", words),
        *drawn,
        class_="plot strip",
        height=18,
        role="img",
    )
    return _row(picture, "level")


def _row(picture: Html, label: str = "") -> Html:
    return tag("div", tag("span", label, class_="rlabel"), picture, class_="prow")


def stacked(parts: Sequence[Html]) -> Html:
    """All in one column."""
    return tag("div", join(parts), class_="stack")
