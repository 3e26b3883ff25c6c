"""The second loop of defence, in a process of its own: it ends the one that it watches."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from oomguardd.guard.warden import EVIDENCE, Warden

LATE = """
import select, sys, time
from oomguardd.guard.warden import Warden
warden = Warden(sys.argv[1], 0.2)
assert warden.open() is None
for _ in range(5):
    warden.expect(0.1)
    time.sleep(0.05)
def stuck_in_here():
    time.sleep(60)
if sys.argv[2] == "late":
    stuck_in_here()
if sys.argv[2] == "spinning":
    while True:
        pass
if sys.argv[2] == "not run":
    select.epoll().poll(3)
warden.close()
"""


def run(directory: Path, how: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", LATE, str(directory), how], timeout=50, check=False
    ).returncode


def test_one_that_is_late_is_given_up_and_leaves_its_traceback(tmp_path: Path) -> None:
    assert run(tmp_path, "late") == 1
    next_guards = Warden(str(tmp_path), 2.0)
    assert "stuck_in_here" in next_guards.take_evidence()
    assert next_guards.take_evidence() == ""
    assert not (tmp_path / EVIDENCE).exists()


def test_one_that_runs_in_circles_is_given_up(tmp_path: Path) -> None:
    assert run(tmp_path, "spinning") == 1


@pytest.mark.parametrize("how", ["in time", "not run"])
def test_one_that_is_in_time_or_only_waits_for_its_timer_is_left_alone(tmp_path: Path, how: str) -> None:
    """A virtual processor that its host does not run delivers no timer, and would not to a new guard."""
    assert run(tmp_path, how) == 0
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_made(tmp_path: Path) -> None:
    gave_up: list[int] = []
    warden = Warden(str(tmp_path / "missing"), 2.0, gave_up.append)
    assert isinstance(warden.open(), OSError)
    warden.expect(60.0)
    warden.close()
    warden.close()
    assert gave_up == []
    assert warden.take_evidence() == ""


def test_evidence_is_no_link_to_elsewhere(tmp_path: Path) -> None:
    """Whoever may write there must not have us overwrite a file, nor tell one."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / EVIDENCE).symlink_to(tmp_path / "secret")
    warden = Warden(str(tmp_path), 2.0, lambda _: None)
    assert warden.take_evidence() == ""
    assert warden.open() is not None
    warden.close()
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 100_000])
def test_any_evidence_is_text_of_bounded_length(tmp_path: Path, content: bytes) -> None:
    (tmp_path / EVIDENCE).write_bytes(content)
    assert len(Warden(str(tmp_path), 2.0).take_evidence()) <= 16_384


def test_given_up_once_even_without_a_file(tmp_path: Path) -> None:
    gave_up: list[int] = []
    warden = Warden(str(tmp_path / "missing"), 0.04, gave_up.append)
    warden.open()
    deadline_s = time.monotonic() + 20
    while not gave_up and time.monotonic() < deadline_s:
        time.sleep(0.01)
    time.sleep(0.1)
    warden.close()
    assert gave_up == [1]
