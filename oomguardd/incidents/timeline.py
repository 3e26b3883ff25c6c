"""The two minutes around the kill, drawn; and the seconds that decided, where those are few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oomguardd.engine.readings import Signals
from oomguardd.engine.words import Fields, as_number, digits, percent, size, who
from oomguardd.incidents.case import Case
from oomguardd.incidents.chart import Bound, Ground, Line, Mark, Panel, Span, panel
from oomguardd.incidents.clock import offset
from oomguardd.incidents.frame import level_strip, mark_labels, stacked, time_axis
from oomguardd.incidents.markup import Html, tag
from oomguardd.incidents.scale import byte_axis, percent_axis
from oomguardd.incidents.series import extent, gaps, segments, stretches

LONGEST_S = 65.0
"""To both sides of the kill; readings are kept for a minute."""

CLOSE_UP_PART = 0.4
"""What decided is drawn again, larger, if it took less than this part of the whole."""

PRESSURES = (("psi_some_10s", "psi_full_10s"), ("psi_some_avg10", "psi_full_avg10"))
"""Which are drawn, the first that there are; the windows of 10 s are exact, the kernel's averages lag."""

MOST_MARKS = 8
MOST_LEVELS = 8


def timeline(case: Case, signals: Signals) -> Html:
    """One figure, or two, or the words that there is nothing to draw."""
    whole = whole_span(case)
    if whole is None:
        return tag(
            "p", "No readings were kept of the time around it, so there is nothing to draw.", class_="none"
        )
    near = close_up(case, whole)
    figures = []
    if near:
        title = f"The {digits(round(near.to_s - near.from_s))} seconds that decided"
        figures += [tag("h3", title), _figure(case, signals, near, "near"), tag("h3", "Before and after")]
    figures.append(_figure(case, signals, whole, "whole"))
    return tag("div", *figures, class_="timeline")


def whole_span(case: Case) -> Span | None:
    """All that was read, the kill included; None without readings."""
    times = [moment.at_s for moment in case.moments if abs(moment.at_s) <= LONGEST_S]
    if not times:
        return None
    first, last = min(*times, 0.0), max(*times, 0.0)
    room = max(0.02 * (last - first), 0.5)
    return Span(first - (room if first == 0 else 0), last + (room if last < room else 0))


def close_up(case: Case, whole: Span) -> Span | None:
    """From when memory began to go until it was back; None if that is not much shorter than the whole."""
    onset = onset_s(case)
    if onset is None:
        return None
    after = (case.outcome.number("after_s") if case.outcome else None) or 0.0
    end = min(whole.to_s, max(1.5, min(after, LONGEST_S) * 1.3, -onset * 0.6))
    start = max(whole.from_s, onset * 1.25 - 0.3)
    short = end - start < CLOSE_UP_PART * (whole.to_s - whole.from_s)
    inside = sum(start <= moment.at_s <= end for moment in case.moments)
    return Span(start, end) if short and inside >= 4 else None


def onset_s(case: Case) -> float | None:
    """When the fall began that ended in the kill: memory, and where that stayed low, swap. None if none was
    seen."""
    for name in ("mem_available", "swap_free"):
        points = [(m.at_s, m.values[name]) for m in case.moments if name in m.values and m.at_s <= 0]
        if len(points) < 3:
            continue
        high, last = max(value for _, value in points), points[-1][1]
        if high - last < 0.1 * high:
            continue
        level = high - 0.1 * (high - last)
        return max((at_s for at_s, value in points if value >= level), default=None)
    return None


def _figure(case: Case, signals: Signals, span: Span, prefix: str) -> Html:
    marks = tuple(_marks(case, span))
    ground = Ground(
        span,
        marks,
        tuple(stretches(case, span.from_s, span.to_s)),
        tuple(gaps(case.moments, span.from_s, span.to_s)),
    )
    parts = [mark_labels(marks, span)]
    parts += [panel(p, ground, prefix) for p in _panels(case, signals, span)]
    if ground.stretches:
        parts.append(level_strip(ground))
    parts.append(time_axis(span))
    if any(stretch.level != "calm" for stretch in ground.stretches):
        parts.append(tag("p", _level_words(ground, span.from_s), class_="hint"))
    if ground.gaps:
        said = ", ".join(f"{offset(a)} to {offset(b)}" for a, b in ground.gaps)
        parts.append(tag("p", f"Hatched: nothing was read ({said}).", class_="hint"))
    readout = tag("p", "", class_="readout", aria_hidden="true", hidden=True)
    return tag("div", readout, stacked(parts), class_="chart", data_from=span.from_s, data_to=span.to_s)


def _level_words(ground: Ground, from_s: float) -> str:
    """The tint in words, for as many changes as one reads; what was so before the chart begins is no
    change."""
    said = [
        f"{stretch.level} from {offset(stretch.from_s) if stretch.from_s > from_s else 'the beginning'}"
        for stretch in ground.stretches
    ]
    more = f" and {len(said) - MOST_LEVELS} more changes" if len(said) > MOST_LEVELS else ""
    return f"Level: {', '.join(said[:MOST_LEVELS])}{more}."


def _panels(case: Case, signals: Signals, span: Span) -> Iterator[Panel]:
    yield _bytes_panel(case, signals, span, "mem_available", "Memory available", "mem_total")
    if case.reading("swap_total") == 0:
        yield Panel("swap_free", "Swap free", "this machine has no swap", byte_axis(1), (), (), height_px=0)
    elif any("swap_free" in moment.values for moment in case.moments):
        yield _bytes_panel(case, signals, span, "swap_free", "Swap free", "swap_total")
    pressure = _pressure(case, signals, span)
    if pressure:
        yield pressure


def _bytes_panel(case: Case, signals: Signals, span: Span, name: str, title: str, total: str) -> Panel:
    pieces = segments(case.moments, name, span.from_s, span.to_s)
    bounds = tuple(_bounds(case, signals, name))
    found, whole = extent(pieces), case.reading(total)
    top = max([found[1] if found else 0.0, *(bound.value for bound in bounds)]) * 1.02
    style = "mem" if name == "mem_available" else "swap"
    note = f"of {size(whole)}" if whole else ""
    height_px = 184 if name == "mem_available" else 112
    lines = (Line(name, title, pieces, style, True),)
    return Panel(name, title, note, byte_axis(top), lines, bounds, height_px)


def _pressure(case: Case, signals: Signals, span: Span) -> Panel | None:
    """None where none was read: that is said in the advice."""
    for some, full in PRESSURES:
        if any(some in moment.values or full in moment.values for moment in case.moments):
            lines = (
                Line(some, "some waited", segments(case.moments, some, span.from_s, span.to_s), "some"),
                Line(full, "all waited", segments(case.moments, full, span.from_s, span.to_s), "full"),
            )
            bounds = tuple(_bounds(case, signals, full)) or tuple(_bounds(case, signals, some))
            return Panel(
                "pressure", "Pressure", "time lost waiting, last 10 s", percent_axis(), lines, bounds
            )
    return None


def _bounds(case: Case, signals: Signals, name: str) -> Iterator[Bound]:
    """The thresholds on this signal; of several in one trigger that one which must be reached last. A trigger
    that waits for pressure is drawn there alone."""
    for record in case.incident.triggers:
        trigger = Fields(record)
        bounds = [b for b in trigger.each("bounds") if isinstance(b, (list, tuple)) and len(b) == 4]
        mine = [bound for bound in bounds if bound[0] == name]
        values = [
            value for value in (_bound_value(case, signals, bound) for bound in mine) if value is not None
        ]
        if not values or (not _is_pressure(name) and any(_is_pressure(bound[0]) for bound in bounds)):
            continue
        below = mine[0][1] is True
        value = min(values) if below else max(values)
        shown = percent(value) if _is_pressure(name) else size(value)
        yield Bound(value, f"{trigger.text('level')} {'<' if below else '>'} {shown}", trigger.text("level"))


def _is_pressure(name: object) -> bool:
    return isinstance(name, str) and name.startswith("psi_")


def _bound_value(case: Case, signals: Signals, bound: Sequence[object]) -> float | None:
    """In the signal's own unit."""
    number = as_number(bound[2])
    if number is None or bound[3] is not True:
        return number
    signal = signals.get(str(bound[0]))
    whole = _total(case, signal.total) if signal and signal.total else None
    return None if whole is None else whole * number / 100


def _total(case: Case, name: str) -> float | None:
    """As it was at the decision, or in any reading: totals hardly change."""
    known = (moment.values[name] for moment in case.moments if name in moment.values)
    return case.readings.get(name) or next(known, None)


def _marks(case: Case, span: Span) -> Iterator[Mark]:
    """This kill first, since labels are placed in this order; then what else was killed, and how it ended."""
    yield Mark(0.0, _kill_label(case), "kill")
    others = [*_others(case)]
    yield from [mark for mark in others if span.from_s <= mark.at_s <= span.to_s][: MOST_MARKS - 1]


def _kill_label(case: Case) -> str:
    name = case.name
    if case.kind == "kernel_kill":
        return f"kernel: {name}"
    if case.kind == "foreign_kill":
        return f"{case.kill.text('by', 'somebody')}: {name}"
    verb = "would kill" if case.dry_run else case.kill.text("signal", "kill")
    return f"{verb} {name}"


def _others(case: Case) -> Iterator[Mark]:
    for event in case.events("escalated", "outcome", "kill", "kernel_kill", "foreign_kill", "nobody"):
        at_s = case.at_s(event)
        if at_s is None or event.raw is case.kill.raw or event.raw == case.kill.raw:
            continue
        kind, same = event.text("kind"), event.raw.get("kill_id") == case.kill.raw.get("kill_id")
        if kind == "outcome" and same:
            yield Mark(at_s, event.text("outcome"), "end")
        elif kind == "escalated" and same:
            yield Mark(at_s, event.text("signal", "SIGKILL"), "kill")
        elif kind == "kill":
            yield Mark(
                at_s, f"next: {event.fields('victim').text('comm')}" if at_s > 0 else "earlier kill", "other"
            )
        elif kind == "kernel_kill":
            yield Mark(at_s, f"kernel: {event.text('comm')}", "other")
        elif kind == "foreign_kill":
            yield Mark(at_s, f"{event.text('by')}: {who(event)}", "other")
        elif kind == "nobody":
            yield Mark(at_s, "nobody to kill", "other")
