"""Standard error as a log: real pipes, files and terminals."""

from __future__ import annotations

import asyncio
import os
import pty
from pathlib import Path

import pytest

from oomguardd.reporter.lines import Lines, OutputGone, Style, level_number, render, style_of

WHEN_S = 1_700_000_000.25


def test_the_journal_gets_a_priority_on_every_line() -> None:
    assert render(Style.JOURNAL, 3, WHEN_S, ["one", "  two"], WHEN_S) == b"<3>one\n<3>  two\n"


def test_a_line_that_comes_late_says_so() -> None:
    assert render(Style.JOURNAL, 3, WHEN_S, ["one", "  two"], WHEN_S + 12) == b"<3>one (12 s ago)\n<3>  two\n"


def test_people_get_the_time_of_the_event_and_a_word() -> None:
    text = render(Style.PLAIN, 4, WHEN_S, ["one", "  two"], WHEN_S + 12).decode()
    first, second = text.splitlines()
    assert first.startswith("2023-11-1")
    assert first.endswith(" warning one")
    assert second == "  two"


@pytest.mark.parametrize("time_s", [1e300, -1e300, 0.0])
def test_no_time_is_too_strange(time_s: float) -> None:
    assert render(Style.PLAIN, 99, time_s, ["one"], WHEN_S).endswith(b" debug   one\n")


def test_lone_surrogates_can_be_written() -> None:
    assert render(Style.JOURNAL, 6, 0, ["a\udcffb"], 0) == b"<6>a\\udcffb\n"


def test_the_journal_is_known_by_device_and_inode() -> None:
    reading, writing = os.pipe()
    try:
        status = os.fstat(writing)
        stream = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert style_of(writing, stream) is Style.JOURNAL
        assert style_of(writing, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}) is Style.PLAIN
        assert style_of(writing, {}) is Style.PLAIN
    finally:
        os.close(reading)
        os.close(writing)


def test_colours_only_on_a_terminal_that_wants_them() -> None:
    ours, terminal = pty.openpty()
    try:
        assert style_of(terminal, {}) is Style.COLOUR
        assert style_of(terminal, {"NO_COLOR": "1"}) is Style.PLAIN
        assert style_of(terminal, {"TERM": "dumb"}) is Style.PLAIN
    finally:
        os.close(ours)
        os.close(terminal)
    assert b"\x1b" not in render(Style.PLAIN, 0, 0, ["one"], 0)
    assert b"\x1b[0m" in render(Style.COLOUR, 0, 0, ["one"], 0)


def test_levels_by_name() -> None:
    assert [level_number(word) for word in ("emerg", "ERROR", "warn", "info", "debug")] == [0, 3, 4, 6, 7]
    with pytest.raises(ValueError, match="loud"):
        level_number("loud")


def test_what_is_below_the_level_is_not_written(tmp_path: Path) -> None:
    target = tmp_path / "log"
    fd = os.open(target, os.O_WRONLY | os.O_CREAT)
    lines = Lines(fd, Style.JOURNAL, level_number("warning"))
    asyncio.run(lines.write(4, 0, ["shown"]))
    asyncio.run(lines.write(5, 0, ["hidden"]))
    os.close(fd)
    assert target.read_bytes() == b"<4>shown\n"


@pytest.mark.parametrize("blocking", [True, False])
def test_a_full_pipe_is_waited_for_without_blocking_the_loop(blocking: bool) -> None:
    async def scenario() -> bytes:
        reading, writing = os.pipe()
        os.set_blocking(writing, blocking)
        os.set_blocking(reading, False)
        told = asyncio.ensure_future(Lines(writing, Style.JOURNAL, 7).write(6, 0, ["x" * 300_000]))
        await asyncio.sleep(0.05)  # the loop still runs
        assert not told.done()
        got = b""
        while not told.done() or len(got) < 300_004:
            await asyncio.sleep(0)
            try:
                got += os.read(reading, 1 << 16)
            except BlockingIOError:
                continue
        await told
        os.close(reading)
        os.close(writing)
        return got

    assert asyncio.run(asyncio.wait_for(scenario(), 20)) == b"<6>" + b"x" * 300_000 + b"\n"


def test_a_reader_that_has_gone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(OutputGone, match="Broken pipe"):
        asyncio.run(Lines(writing, Style.PLAIN, 7).write(6, 0, ["one"]))
    os.close(writing)
