"""Axes, lines and times: round numbers, gaps that stay gaps, and no peak lost."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.history.incident import Incident, Reading
from oomguardd.incidents.case import Moment, case_of
from oomguardd.incidents.clock import iso, offset, utc
from oomguardd.incidents.markup import Html, escape, join, tag
from oomguardd.incidents.scale import byte_axis, time_ticks
from oomguardd.incidents.series import gaps, segments, stretches, thinned
from oomguardd.incidents.style import DARK, LIGHT
from oomguardd.incidents.timeline import close_up, onset_s, whole_span
from tests.unit.incidents.samples import fast_leak, no_readings, thrashing
from tests.unit.incidents.scene import GIB, NOON_S, level

LATEST_S = 253402300799


@given(st.integers(0, LATEST_S))
def test_the_calendar_is_that_of_the_standard_library(time_s: int) -> None:
    there = datetime.fromtimestamp(time_s, timezone.utc)
    assert iso(float(time_s)) == there.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


@pytest.mark.parametrize("time_s", [-1.0, float("nan"), float("inf"), 1e18])
def test_what_is_no_time_is_said_so(time_s: float) -> None:
    assert utc(time_s) == "an unknown time"
    assert iso(time_s) == ""


def test_offsets_have_a_true_minus() -> None:
    assert [offset(s) for s in (-12.44, 0.0, 0.312, 61.2)] == [
        "\N{MINUS SIGN}12.4 s",
        "0 s",
        "+0.31 s",
        "+61 s",
    ]


@given(st.floats(4, 2**50))
def test_an_axis_reaches_the_largest_value_in_few_steps(largest: float) -> None:
    axis = byte_axis(largest)
    assert axis.top >= largest * 0.999
    assert axis.top <= largest * 3
    assert 2 <= len(axis.ticks) <= 5


@given(st.floats(-70, 0), st.floats(0.5, 70))
def test_moments_on_the_axis_are_few_and_the_kill_is_among_them(from_s: float, to_s: float) -> None:
    ticks = time_ticks(from_s, to_s)
    assert 1 <= len(ticks) <= 8
    assert any(abs(tick) < 1e-9 for tick in ticks)


def moments(*times: float) -> list[Moment]:
    return [Moment(at_s, {"mem_available": at_s}, "") for at_s in times]


def test_a_line_is_cut_where_nothing_was_read() -> None:
    read = moments(*range(-10, 1), *range(8, 12))
    pieces = segments(read, "mem_available", -10, 12)
    assert [(piece[0][0], piece[-1][0]) for piece in pieces] == [(-10, 0), (8, 11)]
    assert gaps(read, -10, 12) == [(0, 8)]


def test_rare_readings_are_not_all_gaps() -> None:
    assert gaps(moments(-20, -15, -10, -5, 0), -20, 0) == []


def test_a_line_runs_to_the_edge() -> None:
    (piece,) = segments(moments(-3, -2, -1, 0, 1, 2), "mem_available", -1.5, 0.5)
    assert (piece[0][0], piece[-1][0]) == (-2, 1)


@given(st.lists(st.floats(0, 100), min_size=60, max_size=200))
def test_no_peak_is_lost(values: list[float]) -> None:
    points = [(float(at), value) for at, value in enumerate(values)]
    kept = thinned(points, 30)
    assert len(kept) <= 34
    assert min(v for _, v in kept) == min(values)
    assert max(v for _, v in kept) == max(values)
    assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_what_decided_is_drawn_larger_only_if_it_was_short() -> None:
    for made, short in ((fast_leak, True), (thrashing, False)):
        case = case_of(made())
        whole = whole_span(case)
        assert whole
        near = close_up(case, whole)
        assert (near is not None) == short
        assert near is None or near.from_s < -3 < 0.41 < near.to_s


def test_without_readings_there_is_no_span() -> None:
    case = case_of(no_readings())
    assert whole_span(case) is None
    assert onset_s(case) is None


def test_levels_come_from_readings_and_from_their_changes() -> None:
    reading = Reading(NOON_S - 10, {"mem_available": GIB}, "")
    events = (level(-4, "warn", "calm", {}), level(-1, "kill", "warn", {}))
    case = case_of(Incident("x", NOON_S, {"kind": "kill"}, events, (reading,)))
    assert [(s.from_s, s.to_s, s.level) for s in stretches(case, -10, 5)] == [
        (-10, -4, "calm"),
        (-4, -1, "warn"),
        (-1, 5, "kill"),
    ]


def test_text_is_escaped_and_markup_is_not() -> None:
    made = tag("p", "<b>", Html("<i>"), None, join(["&", Html("&")]), title='"x"', hidden=True, id=None)
    assert made == '<p title="&quot;x&quot;" hidden>&lt;b&gt;<i>&amp;&</p>'
    assert escape("a\u202eb\udcff\x00\n") == "a\\u202eb\\xff\\x00\n"


def luminance(colour: str) -> float:
    """See WCAG 2.1, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out(scheme: dict[str, str]) -> None:
    grounds = ["paper", "card", "warnband", "termband", "killband"]
    text = [(fore, back) for fore in ("ink",) for back in [*grounds, "trough"]]
    text += [(fore, back) for fore in ("soft", "kill") for back in ("paper", "card")]
    weak = [pair for pair in text if contrast(scheme[pair[0]], scheme[pair[1]]) < 4.5]
    lines = [(fore, "paper") for fore in ("mem", "swap", "some", "full", "anon", "swapped", "shmem")]
    weak += [pair for pair in lines if contrast(scheme[pair[0]], scheme[pair[1]]) < 3]
    assert weak == []
    assert LIGHT.keys() == DARK.keys()
