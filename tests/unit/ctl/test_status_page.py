"""What `oomguardctl status` shows: bars, bounds, words, and nothing over the edge."""

from __future__ import annotations

import json

import pytest

from oomguardd.ctl.now.bars import ASCII, LINES, Mark, bar, can_draw_lines
from oomguardd.ctl.now.gauges import bounds_of, gauge_lines, gauges
from oomguardd.ctl.now.status_kills import when
from oomguardd.ctl.now.status_page import Look, page
from oomguardd.ctl.now.told import Told, printable
from oomguardd.ctl.text import width_of
from oomguardd.reporter.present import Present
from tests.unit.ctl.scene import unpainted
from tests.unit.reporter.serve import server_of
from tests.unit.reporter.talk import (
    GIB,
    NOW_S,
    READINGS,
    armed,
    calm,
    kill,
    present_of,
    pressed,
    started,
    tick,
)


def told(present: Present) -> Told:
    """The status as it comes over the socket."""
    return Told(json.loads(json.dumps(server_of(present).status({}))))


def lines_of(present: Present, width: int = 80, lines: bool = True) -> list[str]:
    return page(told(present), Look(width, LINES if lines else ASCII, unpainted))


def test_a_calm_machine() -> None:
    lines = lines_of(calm())
    assert lines[:2] == ["● calm for 500 ms", "  oomguardd 0.1.0: armed for 3.19 h, pid 812"]
    assert lines[3].startswith("  memory available       62.5%  ━K━T")
    assert lines[3].endswith("10 GiB of 16 GiB")
    assert "  low-memory          terminate  memory available <10% and <4G, swap free <10%" in lines
    assert any(
        line.split()[1:5] == ["hog[4791]", "hog", "oomguardd", "1.12"] and line.endswith("died, 816 ms")
        for line in lines
    )
    assert "  zswap: its pool is not seen (remedy: Linux 5.19)" in lines
    assert not [line for line in lines if "problem" in line]


def test_a_machine_under_pressure() -> None:
    lines = lines_of(pressed(), 100)
    assert lines[0] == "● terminate for 500 ms: low-memory"
    assert "  dry run: nobody is signalled" in lines
    assert [line for line in lines if line.startswith("  problem: the configuration is wrong")]
    assert [line for line in lines if line.startswith("● low-memory  ") and "<10% ✓ and <4G ✓" in line]
    text = "\n".join(lines)
    assert "hog[4792] +11" in text
    assert "stuck" in text
    assert "dry run" in text
    assert "locked memory: it may wait (remedy: LimitMEMLOCK=infinity)" in text
    assert "fault in journal: its queue is full (3 times)" in text
    assert "a victim is dying, 3 records dropped" in text
    assert "\x1b" not in text, "a process cannot put an escape sequence there"


def test_a_guard_that_is_away_has_no_readings() -> None:
    lines = lines_of(present_of(started(), armed(), tick(60), connected=False))
    assert lines[0] == "● the guard is not there"
    assert not [line for line in lines if "memory available  " in line]
    assert "  guard          last heard of 60 s ago" in lines


@pytest.mark.parametrize("present", [calm(), pressed(), Present(), present_of(kill(1, 1))])
@pytest.mark.parametrize("width", [20, 31, 40, 60, 72, 80, 200])
@pytest.mark.parametrize("drawn", [True, False])
def test_nothing_runs_over_the_edge(present: Present, width: int, drawn: bool) -> None:
    lines = lines_of(present, width, drawn)
    assert max(map(width_of, lines)) <= width
    if not drawn and width > 60:
        assert all(line.replace("…", "").isascii() for line in lines)


def test_a_status_of_another_version_is_shown_as_far_as_it_goes() -> None:
    look = Look(80, LINES, unpainted)
    assert page(Told({}), look)
    odd = {
        "level": "panic",
        "readings": [3, {"name": "mem_available"}],
        "triggers": [{"conditions": [None, {"bound": "x"}]}],
        "kills": ["x", {}],
        "guard": {"connected": True, "ticks": 3},
        "reporter": 7,
        "missing": [{}],
        "troubles": [None],
    }
    assert page(Told(odd), look)[0] == "● panic"


def test_bars_say_where_the_bounds_are() -> None:
    marks = [Mark(0.15, "warn", True), Mark(0.1, "terminate", True), Mark(0.05, "kill", True)]
    assert bar(0.5, marks, 20, LINES, unpainted) == "━K━━━━━━━━──────────".replace("━━━━━━━━", "TW━━━━━━")
    assert bar(0.0, marks, 20, ASCII, unpainted) == "-KTW----------------"
    assert bar(1.0, [], 10, LINES, unpainted) == "━" * 10
    assert bar(7.0, [], 10, ASCII, unpainted) == "=========>"
    assert bar(0.525, [], 20, LINES, unpainted) == "━━━━━━━━━━╸─────────"


def test_marks_in_one_place_move_to_their_own_side() -> None:
    below = [Mark(0.0, level, True) for level in ("warn", "terminate", "kill")]
    assert bar(1.0, below, 6, ASCII, unpainted) == "KTW==="
    above = [Mark(1.0, level, False) for level in ("warn", "terminate", "kill", "kill")]
    assert bar(0.0, above, 6, ASCII, unpainted) == "---WTK"


def test_a_bar_has_the_colour_of_what_it_has_passed() -> None:
    def painted(text: str, style: str) -> str:
        return f"<{style}>" if "=" in text else text

    marks = [Mark(0.6, "warn", True), Mark(0.3, "kill", True)]
    shown = [bar(share, marks, 10, ASCII, painted) for share in (0.9, 0.5, 0.2)]
    assert ["<bold>" in shown[0], "<yellow>" in shown[1], "<red>" in shown[2]] == [True] * 3


def test_the_strictest_condition_counts_and_those_who_speak_for_a_signal() -> None:
    bounds = bounds_of(told(calm()))
    one_pct = 16 * GIB / 100
    marked = [(round(b.value / one_pct, 6), b.level) for b in bounds["mem_available"]]
    assert marked == [(15, "warn"), (10, "terminate"), (5, "kill")], (
        "not the 20% of thrashing, about pressure"
    )
    assert [b.value for b in bounds["psi_full_10s"]] == [40, 75]
    assert len(bounds["swap_free"]) == 3
    big = READINGS | {"mem_total": 512.0 * GIB}
    bounds = bounds_of(told(present_of(started(), tick(readings=big))))
    assert [b.value / GIB for b in bounds["mem_available"]] == [6, 4, 2]


def test_a_scale_shows_bounds_that_are_small() -> None:
    readings = READINGS | {"mem_total": 512.0 * GIB, "mem_available": 300.0 * GIB, "swap_total": 0.0}
    rows = gauges(told(present_of(started(), tick(readings=readings))))
    assert [mark.share for mark in rows[0].marks] == [6 / 48, 4 / 48, 2 / 48]
    assert (rows[0].share or 0) > 1
    assert (rows[1].value, rows[1].share) == ("none", None)
    drawn = gauge_lines(rows, 80, LINES, unpainted)
    assert "▶  300 GiB of 512 GiB" in drawn[0]
    assert drawn[1] == "  swap free               none"


@pytest.mark.parametrize(
    ("encoding", "environ", "can"),
    [
        ("utf-8", {"LANG": "de_DE.UTF-8"}, True),
        ("UTF8", {"LANG": "C.utf8"}, True),
        ("utf-8", {"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, False),
        ("utf-8", {}, False),
        ("latin-1", {"LANG": "de_DE.UTF-8"}, False),
    ],
)
def test_lines_are_drawn_only_where_they_can_be(encoding: str, environ: dict[str, str], can: bool) -> None:
    assert can_draw_lines(encoding, environ) is can


def test_times_of_other_days_have_a_day() -> None:
    assert len(when(NOW_S, NOW_S)) == len("12:00:00")
    assert len(when(NOW_S - 90_000, NOW_S)) == len("2027-01-14 07:00")
    assert when(1e300, NOW_S) == "?"


def test_what_is_escaped_is_not_escaped_again() -> None:
    scope = "/user.slice/user-1000.slice/session-odd\\x2dname.scope"
    victim = {"pid": 7, "comm": "a\\b\x1b", "cgroup": scope}
    text = "\n".join(lines_of(present_of(tick(), kill(1, 1, victim=victim)), 200))
    assert r"a\\b\x1b[7]" in text, "once: a backslash of the name's own is doubled"
    assert r"session-odd\\x2dname.scope" in text
    assert [printable("a\\b"), printable("\x1b"), printable("x" * 9, 3)] == ["a\\b", "\\x1b", "xxx…"]
