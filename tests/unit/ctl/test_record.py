"""What a recording keeps to itself, and where it may be written."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from oomguardd.ctl.console import Trouble
from oomguardd.ctl.tapes.recorder import Writer
from oomguardd.ctl.tapes.redact import no_redaction, program_of, redaction
from tests.tapes import process

PEOPLE = [("alice", 1000), ("bob", 1001), ("x", 1002)]


def test_a_redacted_process_tells_of_nobody() -> None:
    redact = redaction(PEOPLE, "box.example.org")
    c = redact(
        process(
            5,
            1,
            comm="alice-tool",
            exe="/home/alice/bin/tool",
            cmdline="/home/alice/bin/tool --password=secret bob",
            cgroup="/user.slice/app-box-alice.scope",
            ancestors=("bob", "bash"),
        )
    )
    assert c.comm == "user1000-tool"
    assert c.exe == "/home/user/bin/tool"
    assert c.cmdline == "tool"
    assert c.cgroup == "/user.slice/app-host-user1000.scope"
    assert c.ancestors == ("user1001", "bash")


def test_a_redacted_process_keeps_its_figures() -> None:
    one = process(5, 100, nice=3, cgroup="/system.slice/db.service", exe="/usr/bin/xterm", comm="xterm")
    redacted = redaction(PEOPLE, "box")(one)
    assert (redacted.held_bytes, redacted.nice, redacted.uid) == (one.held_bytes, 3, 1000)
    assert (redacted.exe, redacted.cgroup) == (one.exe, one.cgroup), "x is in it, but is no word"


def test_nothing_is_redacted_unasked() -> None:
    one = process(5, 1)
    assert no_redaction(one) is one


@pytest.mark.parametrize(
    ("cmdline", "program"), [("/usr/bin/a b/c", "a"), ("postgres: walwriter", "postgres:"), ("", "")]
)
def test_of_a_command_line_the_program_is_left(cmdline: str, program: str) -> None:
    assert program_of(cmdline) == program


def test_a_recording_appears_when_it_is_complete_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "r"
    writer = Writer(str(path))
    writer.put("a")
    assert not path.exists()
    assert writer.finish() == 2
    assert path.read_text() == "a\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["r"]


def test_a_recording_is_compressed_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "r.gz"
    writer = Writer(str(path))
    writer.put("a" * 1000)
    assert writer.finish() < 1000
    assert gzip.decompress(path.read_bytes()) == b"a" * 1000 + b"\n"


def test_a_recording_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "r"))
    writer.put("a")
    writer.discard()
    assert os.listdir(tmp_path) == []


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    for path in (str(tmp_path), "/dev/null"):
        with pytest.raises(Trouble, match="not a regular file"):
            Writer(path)
    with pytest.raises(Trouble, match="cannot be written"):
        Writer(str(tmp_path / "none" / "r"))
