"""One panel of a chart as SVG that fits any width: text and strokes keep their size, only time is stretched.

Rule of this file: a panel is 100 % wide, whatever that is. Positions in time are percentages; the curve,
which cannot be given in those, lies in an inner picture that is stretched without its stroke.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.incidents.clock import offset
from oomguardd.incidents.markup import Html, tag
from oomguardd.incidents.scale import Axis
from oomguardd.incidents.series import Point, Segment, Stretch

INNER_WIDTH = 1000
"""Units of the stretched picture; finer than a screen."""

HEADROOM_PX = 8
"""Above the highest tick, so that its label and a line at the top are whole."""


class Span(NamedTuple):
    """What is between the left edge and the right one."""

    from_s: float
    to_s: float

    def pct(self, at_s: float) -> float:
        """Where that moment is, from the left."""
        return round(100 * (at_s - self.from_s) / max(self.to_s - self.from_s, 1e-9), 2)


class Line(NamedTuple):
    """One signal in a panel."""

    name: str
    """As in the readings."""
    label: str
    pieces: tuple[Segment, ...]
    style: str
    """Its class in the style sheet: the colour and how it is dashed."""
    filled: bool = False


class Bound(NamedTuple):
    """A threshold, drawn across."""

    value: float
    label: str
    level: str


class Mark(NamedTuple):
    """Something that happened, drawn from top to bottom."""

    at_s: float
    label: str
    style: str


class Panel(NamedTuple):
    """What is drawn in one of them."""

    key: str
    title: str
    note: str
    """Beside the title: totals, or what is missing."""
    axis: Axis
    lines: tuple[Line, ...]
    bounds: tuple[Bound, ...]
    height_px: int = 132


class Ground(NamedTuple):
    """What all panels of a figure share."""

    span: Span
    marks: tuple[Mark, ...]
    stretches: tuple[Stretch, ...]
    gaps: tuple[tuple[float, float], ...]


def panel(p: Panel, ground: Ground, prefix: str) -> Html:
    """Title with legend, the scale, and the plot. `prefix` makes its ids unique on the page."""
    name = f"{prefix}-{p.key}"
    legend = [tag("span", tag("i", class_=f"key {line.style}"), line.label, class_="leg") for line in p.lines]
    head = tag(
        "figcaption",
        tag("span", p.title, class_="ptitle"),
        *(legend if len(legend) > 1 else ()),
        tag("span", p.note, class_="pnote") if p.note else None,
    )
    return tag(
        "figure",
        head,
        tag("div", _scale(p), _plot(p, ground, name), class_="prow"),
        class_="panel",
    )


def _y(p: Panel, value: float) -> float:
    usable = p.height_px - HEADROOM_PX
    return round(HEADROOM_PX + usable * (1 - min(max(value / p.axis.top, 0.0), 1.0)), 1)


def _scale(p: Panel) -> Html:
    labels = [
        tag("text", p.axis.label(value), x="100%", y=_y(p, value) + (-3 if value == 0 else 4), class_="tick")
        for value in p.axis.ticks
    ]
    return tag("svg", *labels, class_="scale", height=p.height_px, aria_hidden="true")


def _plot(p: Panel, ground: Ground, name: str) -> Html:
    grid = [tag("line", x1="0", x2="100%", y1=_y(p, v), y2=_y(p, v), class_="grid") for v in p.axis.ticks]
    curves = [_curve(p, line, ground.span) for line in p.lines]
    return tag(
        "svg",
        tag("title", f"{p.title}, {offset(ground.span.from_s)} to {offset(ground.span.to_s)} from the kill"),
        tag("desc", _described(p, ground)),
        *_ground(ground, p.height_px),
        *grid,
        *curves,
        *(
            _dot(p, ground.span, line, piece[0])
            for line in p.lines
            for piece in line.pieces
            if len(piece) == 1
        ),
        *_bounds(p),
        *(_mark_line(mark, ground.span) for mark in ground.marks),
        tag("line", x1="0", x2="0", y1="0", y2="100%", class_="cursor"),
        class_="plot",
        height=p.height_px,
        role="img",
        id=name,
    )


def _ground(ground: Ground, height_px: int) -> list[Html]:
    """The level behind everything, and hatching where nothing was read."""
    bands = [
        across(ground.span, s.from_s, s.to_s, height_px, f"band {s.level}")
        for s in ground.stretches
        if s.level != "calm"
    ]
    return bands + [across(ground.span, a, b, height_px, "gap") for a, b in ground.gaps]


def across(span: Span, from_s: float, to_s: float, height_px: int, style: str) -> Html:
    """A stretch of time from top to bottom; what is outside of the span is cut."""
    left, right = max(0.0, span.pct(from_s)), min(100.0, span.pct(to_s))
    return tag(
        "rect", x=f"{left}%", y=0, width=f"{max(0.0, right - left):.2f}%", height=height_px, class_=style
    )


def _curve(p: Panel, line: Line, span: Span) -> Html:
    paths = []
    for piece in line.pieces:
        corners = [(_x(span, at_s), _y(p, value)) for at_s, value in piece]
        d = "M" + "L".join(f"{x:g} {y:g}" for x, y in corners)
        if line.filled:
            area = f"{d}L{corners[-1][0]:g} {p.height_px}L{corners[0][0]:g} {p.height_px}Z"
            paths.append(tag("path", d=area, class_=f"area {line.style}"))
        paths.append(tag("path", d=d, class_=f"line {line.style}"))
    return tag(
        "svg",
        *paths,
        viewBox=f"0 0 {INNER_WIDTH} {p.height_px}",
        preserveAspectRatio="none",
        width="100%",
        height=p.height_px,
        x=0,
        y=0,
    )


def _x(span: Span, at_s: float) -> float:
    return round(INNER_WIDTH * (at_s - span.from_s) / max(span.to_s - span.from_s, 1e-9), 1)


def _dot(p: Panel, span: Span, line: Line, point: Point) -> Html:
    """A reading that stands alone makes no line."""
    x = f"{span.pct(point[0])}%"
    return tag("circle", cx=x, cy=_y(p, point[1]), r="2.5", class_=f"dot {line.style}")


_LABEL_PX = 14
"""Labels of bounds that are nearer to each other than this are piled up, in the order of the lines."""


def _bounds(p: Panel) -> list[Html]:
    lines, labels = [], []
    lowest_y = float(p.height_px)
    for bound in sorted(p.bounds, key=lambda b: b.value):
        y = _y(p, bound.value)
        text_y = min(y - 4, lowest_y - 1)
        lines.append(tag("line", x1="0", x2="100%", y1=y, y2=y, class_=f"bound {bound.level}"))
        if text_y > _LABEL_PX / 2:
            labels.append(_bound_label(bound, text_y))
            lowest_y = text_y - _LABEL_PX + 1
    return lines + labels


LONGEST_LABEL = 24


def clipped(label: str) -> str:
    """Short enough for a phone; the whole of it is in the picture's description."""
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def _bound_label(bound: Bound, y: float) -> Html:
    return tag("text", clipped(bound.label), x="0.6%", y=round(y, 1), class_=f"blabel {bound.level}")


def _mark_line(mark: Mark, span: Span) -> Html:
    x = f"{span.pct(mark.at_s)}%"
    return tag("line", x1=x, x2=x, y1="0", y2="100%", class_=f"mark {mark.style}")


def _described(p: Panel, ground: Ground) -> str:
    """What the picture shows, for those who do not see it."""
    said = []
    for line in p.lines:
        points = [point for piece in line.pieces for point in piece]
        if points:
            low, high = min(points, key=lambda q: q[1]), max(points, key=lambda q: q[1])
            said.append(
                f"{line.label}: {p.axis.label(points[0][1])} at first, lowest {p.axis.label(low[1])} at"
                f" {offset(low[0])}, highest {p.axis.label(high[1])} at {offset(high[0])},"
                f" {p.axis.label(points[-1][1])} at last."
            )
        else:
            said.append(f"{line.label}: no readings.")
    said += [f"Threshold {bound.label}." for bound in p.bounds]
    said += [f"{mark.label} at {offset(mark.at_s)}." for mark in ground.marks]
    return " ".join(said)
