"""`oomguardctl status`: what is asked, what is shown, and what scripts go by."""

from __future__ import annotations

import io
import json
import os
import socket
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oomguardd.config import Config, load
from oomguardd.ctl.console import Console, Trouble
from oomguardd.ctl.now import status
from oomguardd.ctl.now.bars import ASCII, LINES, Mark, bar, can_draw_lines
from oomguardd.ctl.now.control import Line, Unreachable, places
from oomguardd.ctl.now.follow import Shown, follow
from oomguardd.ctl.now.gauges import bounds_of, gauge_lines, gauges
from oomguardd.ctl.now.status_kills import when
from oomguardd.ctl.now.status_page import Look, page
from oomguardd.ctl.now.told import Told, printable
from oomguardd.ctl.text import width_of
from oomguardd.engine.words import Fields
from oomguardd.reporter.control.server import open_control
from oomguardd.reporter.present import Present
from oomguardd.sensors import SIGNALS
from tests.unit.ctl.scene import unpainted
from tests.unit.reporter.serve import Reporter, server_of
from tests.unit.reporter.talk import (
    GIB,
    MIB,
    NOW_S,
    READINGS,
    armed,
    calm,
    kernel_kill,
    kill,
    outcome,
    present_of,
    record,
    started,
    tick,
)


def told(present: Present) -> Told:
    """The status as it comes over the socket."""
    return Told(json.loads(json.dumps(server_of(present).status({}))))


def pressed() -> Present:
    readings = READINGS | {
        "mem_available": 0.5 * GIB,
        "swap_free": 0.0,
        "psi_some_10s": 82.0,
        "psi_full_10s": 61.5,
        "reclaim_scan_rate": 700.0 * MIB,
    }
    return present_of(
        started(dry_run=True),
        armed(),
        kill(90_000, 1, comm="chrome \x1b[31mrenderer"),
        outcome(89_999, 1),
        kill(300, 2, party={"count": 12, "held_bytes": 3 * GIB}),
        outcome(299, 2, outcome="stuck"),
        kernel_kill(100),
        kill(2, 3, dry_run=True),
        record("fault", 20, 6, where="journal", error="its queue is full", count=3),
        record("missing", 1, 3, what="locked memory", cost="it may wait", remedy="LimitMEMLOCK=infinity"),
        record("reload_failed", 10, 7, problems=["/etc/oomguard.toml: kill.grace: no duration"]),
        tick(level="terminate", triggers=["low-memory"], readings=readings, busy=True, dropped=3),
    )


def lines_of(present: Present, width: int = 80, lines: bool = True) -> list[str]:
    return page(told(present), Look(width, LINES if lines else ASCII, unpainted))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manager"


@pytest.fixture
def reporters(path: Path) -> Iterator[Callable[[Present], Reporter]]:
    running: list[Reporter] = []

    def serve(present: Present) -> Reporter:
        running.append(Reporter(path, present))
        return running[-1]

    yield serve
    for reporter in running:
        reporter.close()


class Watched(io.StringIO):
    """Output; `then` is done in a thread of its own when so many lines are there."""

    def __init__(self, lines: int, then: Callable[[], None]) -> None:
        super().__init__()
        self._lines = lines
        self._then = then

    def write(self, text: str) -> int:
        before, written = self.getvalue().count("\n"), super().write(text)
        if before < self._lines <= self.getvalue().count("\n"):
            threading.Thread(target=self._then).start()
        return written


def console(as_json: bool = False) -> Console:
    return Console(io.StringIO(), io.StringIO(), {}, as_json)


def run(path: Path, *words: str) -> tuple[int, str, str]:
    """Exit status, output, complaints."""
    parser = ArgumentParser()
    status.add_arguments(parser)
    parser.add_argument("--config")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(["--socket", str(path), "--config", "/dev/null", *words])
    used = console(args.json)
    code = status.run(args, used)
    assert isinstance(used.out, io.StringIO)
    assert isinstance(used.err, io.StringIO)
    return code, used.out.getvalue(), used.err.getvalue()


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


@pytest.mark.parametrize(
    ("present", "code"),
    [
        (calm(), 0),
        (present_of(started(), tick(level="warn")), 0),
        (present_of(started()), 1),
        (present_of(started(), armed(), connected=False), 1),
        (pressed(), 3),
        (present_of(started(), tick(level="kill")), 3),
    ],
)
def test_the_exit_status_says_how_it_is(
    path: Path, reporters: Callable[[Present], Reporter], present: Present, code: int
) -> None:
    reporters(present)
    found, out, err = run(path)
    assert (found, err) == (code, "")
    assert "health" in out


def test_json_is_the_reply(path: Path, reporters: Callable[[Present], Reporter]) -> None:
    reporters(calm())
    code, out, _ = run(path, "--json")
    found = json.loads(out)
    assert (code, found["kind"], found["ok"], found["level"]) == (0, "status", True, "calm")
    assert found["guard"]["ticks"] == 2305


def test_nobody_answers(path: Path) -> None:
    for left_behind in (False, True):
        if left_behind:
            open_control(str(path)).close()
        code, out, err = run(path)
        assert (code, out) == (69, "")
        assert "systemctl status oomguardd" in err
        code, out, err = run(path, "--json")
        assert (code, json.loads(out)["ok"], err) == (69, False, "")


def test_a_reporter_that_hangs(path: Path) -> None:
    late = pytest.raises(Unreachable, match=r"does not answer within 0\.2 s")
    with open_control(str(path)), Line([str(path)], timeout_s=0.2) as line, late:
        line.call("Status")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"{\0", "no oomguardd-reporter"),
        (b"[]\0", "no oomguardd-reporter"),
        (b'{"parameters":{"a":NaN}}\0', "no oomguardd-reporter"),
        (b'{"error":"a.b","parameters":{"method":"M\x1b"}}\0', "no oomguardd-reporter"),
        (b'{"error":"a.b","parameters":{"method":"M"}}\0', r"answers a\.b \(M\)"),
        (
            b'{"error":"io.oomguard.Manager.NotPermitted","parameters":{"why":"because"}}\0',
            "you may not ask: because",
        ),
        (b"", "the reporter has closed it"),
    ],
)
def test_odd_answers(path: Path, reply: bytes, words: str) -> None:
    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(reply)

    with open_control(str(path)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with Line([str(path)], timeout_s=5) as line, pytest.raises(Trouble, match=words):
            line.call("Status")
        thread.join()


def test_where_the_socket_is_looked_for(tmp_path: Path) -> None:
    name = "io.oomguard.Manager"
    environ = {"XDG_RUNTIME_DIR": "/run/user/1000"}
    system, own = f"/run/oomguard/{name}", f"/run/user/1000/oomguard/{name}"
    assert places(Config(), environ, 1000) == [system, own]
    assert places(Config(), {}, 1000) == [system, f"/tmp/oomguard-1000/oomguard/{name}"]
    assert places(Config(), environ, 0) == [system]
    assert places(Config(), environ, 1000, "/a") == ["/a"]
    file = tmp_path / "oomguard.toml"
    file.write_text('[control]\nsocket = "/b"\n')
    assert places(load(str(file), SIGNALS), environ, 1000) == ["/b"]
    file.write_text('[guard]\nsocket = "/c/guard.sock"\n')
    assert places(load(str(file), SIGNALS), environ, 1000) == [f"/c/{name}"]
    file.write_text('[control]\nsocket = "off"\n')
    with pytest.raises(Trouble, match=r"oomguard\.toml.*control\.socket"):
        places(load(str(file), SIGNALS), environ, 1000)


def test_the_second_place_is_asked_when_the_first_is_empty(
    path: Path, tmp_path: Path, reporters: Callable[[Present], Reporter]
) -> None:
    reporters(calm())
    with Line([str(tmp_path / "nothing"), str(path)]) as line:
        assert line.path == str(path)
        assert line.call("Status")["level"] == "calm"
        assert len(line.call("Kills", count=1)["kills"]) == 1  # type: ignore[arg-type]


def test_a_wrong_configuration_does_not_keep_from_asking(
    path: Path, tmp_path: Path, reporters: Callable[[Present], Reporter]
) -> None:
    reporters(calm())
    file = tmp_path / "oomguard.toml"
    file.write_text("[nonsense]\n")
    code, out, err = run(path, "--config", str(file))
    assert (code, "calm" in out) == (0, True)
    assert "the configuration is wrong" in err


def gaps(*numbers: int) -> list[dict[str, object]]:
    return [record("gap", 9, number, why="suspend\n\x1b", lost_s=number) for number in numbers]


def test_events_are_followed_across_restarts_and_shown_once(
    path: Path, reporters: Callable[[Present], Reporter]
) -> None:
    first = reporters(calm())
    first.do(first.server.take(gaps(1, 2, 3)))
    out, err = Watched(2, first.close), io.StringIO()
    naps = 0

    def nap(seconds: float) -> None:
        nonlocal naps
        naps += 1
        if naps == 1:
            second = reporters(calm())  # the guard sends again what was not confirmed, and goes on
            second.do(second.server.take(gaps(3, 4)))
            out._lines, out._then = 3, second.close
        elif "reporter is back" in err.getvalue() and naps > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(lambda: Line([str(path)]), Console(out, err, {}, as_json=True), 2, nap)
    assert [json.loads(line)["seq"] for line in out.getvalue().splitlines()] == [2, 3, 4]
    assert err.getvalue().count("waiting for it") == 2


def test_events_as_the_log_has_them(path: Path, reporters: Callable[[Present], Reporter]) -> None:
    one = reporters(calm())
    one.do(one.server.take(gaps(3)))
    out = Watched(1, one.close)

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(lambda: Line([str(path)]), Console(out, io.StringIO(), {}), 9, stop)
    assert "notice  3 s were lost to a suspend\\n\\x1b: readings" in out.getvalue()
    assert out.getvalue().count("\n") == 1


def test_what_is_escaped_is_not_escaped_again() -> None:
    scope = "/user.slice/user-1000.slice/session-odd\\x2dname.scope"
    victim = {"pid": 7, "comm": "a\\b\x1b", "cgroup": scope}
    text = "\n".join(lines_of(present_of(tick(), kill(1, 1, victim=victim)), 200))
    assert r"a\\b\x1b[7]" in text, "once: a backslash of the name's own is doubled"
    assert r"session-odd\\x2dname.scope" in text
    assert [printable("a\\b"), printable("\x1b"), printable("x" * 9, 3)] == ["a\\b", "\\x1b", "xxx…"]


def test_what_was_shown_is_remembered_but_not_for_ever() -> None:
    shown = Shown()
    assert [shown.is_new(Fields(record("gap", 0, seq))) for seq in (1, 2, 1)] == [True, True, False]
    made_here = {"kind": "kernel_kill", "seq": 0, "key": "kmsg:7", "time_s": NOW_S}
    assert [shown.is_new(Fields(made_here)), shown.is_new(Fields(made_here))] == [True, False]
    for seq in range(10, 5000):
        shown.is_new(Fields(record("gap", 0, seq)))
    assert len(shown._known) == len(shown._order) == 2000


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("20", 20), ("all", 1_000_000), ("9999999999", 10**6)]
)
def test_numbers_of_events(text: str, number: int) -> None:
    assert status.backlog(text) == number


@pytest.mark.parametrize("text", ["", "-1", "x", "1.5", "²"])
def test_what_is_no_number_of_events(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        status.backlog(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a directory of somebody else's")
def test_a_socket_that_anybody_may_have_put_there_is_not_believed(
    tmp_path: Path, reporters: Callable[[Present], Reporter], path: Path
) -> None:
    reporters(calm())
    if not str(path).startswith("/tmp/"):
        pytest.skip("the temporary directory is elsewhere")
    os.chown(tmp_path, 4711, 4711)
    with pytest.raises(Unreachable, match="belongs to somebody else"):
        Line([str(path)])
