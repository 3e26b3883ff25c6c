"""`oomguardctl status` as a command: exit statuses, a terminal of its own, and events until Ctrl-C."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.ctl.text import width_of
from tests.shell import forked
from tests.shell.test_ctl_screen import Terminal, assert_given_back
from tests.unit.reporter.serve import Reporter
from tests.unit.reporter.talk import calm, record

DRAWN = {"LC_ALL": "C.UTF-8"}


@pytest.fixture
def reporter(tmp_path: Path) -> Iterator[Reporter]:
    one = Reporter(tmp_path / "manager", calm())
    yield one
    one.close()


def ctl(*words: str) -> subprocess.CompletedProcess[str]:
    done = forked.run(["status", "--config", "/dev/null", *words], environ=DRAWN)
    return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_pipe_gets_words_without_colours(reporter: Reporter) -> None:
    done = ctl("--socket", str(reporter.path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("● calm for ")
    assert "\x1b" not in done.stdout


def test_programs_get_json(reporter: Reporter) -> None:
    done = ctl("--socket", str(reporter.path), "--json")
    assert (done.returncode, json.loads(done.stdout)["level"]) == (0, "calm")


def test_nobody_is_there(tmp_path: Path) -> None:
    done = ctl("--socket", str(tmp_path / "nothing"))
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("oomguardctl: oomguardd does not answer here")


@pytest.mark.parametrize("words", [("--follow", "--watch"), ("-n", "some"), ("--watch", "0")])
def test_wrong_usage(words: tuple[str, ...]) -> None:
    assert ctl(*words).returncode == 2


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 24), (200, 50)])
def test_it_fits_the_terminal(reporter: Reporter, columns: int, rows: int) -> None:
    one = Terminal(
        "status", "--watch", "0.3", "--socket", str(reporter.path), "--config", "/dev/null", environ=DRAWN
    )
    try:
        one.resize(columns, rows)
        one.until(b"\x1b[H", 3)
        one.type(b"q")
        assert one.end() == 0
        assert_given_back(one)
        lines = one.screens()[-1]
        assert len(lines) <= rows
        assert max(map(width_of, lines)) <= columns
        assert any("━" in line for line in lines)
    finally:
        one.close()


def test_a_reporter_that_goes_away_is_waited_for(reporter: Reporter) -> None:
    one = Terminal("status", "--watch", "0.2", "--socket", str(reporter.path), "--config", "/dev/null")
    try:
        one.until(b"calm for")
        reporter.close()
        one.until(b"does not answer here")
        again = Reporter(reporter.path, calm())
        try:
            seen = one.seen.count(b"calm for")
            one.until(b"calm for", seen + 1)
            one.type(b"q")
            assert one.end() == 0
        finally:
            again.close()
    finally:
        one.close()


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_only_where_they_are_wanted(
    reporter: Reporter, environ: dict[str, str], coloured: bool
) -> None:
    words = ("status", "--socket", str(reporter.path), "--config", "/dev/null")
    one = Terminal(*words, environ=environ | {"LC_ALL": "C"})
    try:
        assert one.end() == 0
        assert (b"\x1b[1m" in one.seen) is coloured
        assert "━".encode() not in one.seen, "the locale does not promise that it can be shown"
    finally:
        one.close()


def test_events_until_ctrl_c(reporter: Reporter) -> None:
    reporter.do(reporter.server.take([record("gap", 0, 1, why="suspend", lost_s=3)]))
    one = Terminal("status", "--follow", "--socket", str(reporter.path), "--config", "/dev/null")
    try:
        one.until(b"3 s were lost to a suspend")
        reporter.do(reporter.server.take([record("gap", 0, 2, why="pause", lost_s=7)]))
        one.until(b"7 s were lost to a pause")
        one.type(b"\x03")
        assert one.end() == 130
        assert b"Traceback" not in one.seen
    finally:
        one.close()
