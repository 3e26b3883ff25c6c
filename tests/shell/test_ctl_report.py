"""`oomguardctl report` as a command, on a history as a reporter leaves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from oomguardd.history.store import open_store
from tests.unit.history.scene import NOON_S, kill, outcome, started

FOREVER_S = 1e9


@pytest.fixture
def directory(tmp_path: Path) -> str:
    path = tmp_path / "history"
    path.mkdir()
    with closing(open_store(str(path), 64 << 20, FOREVER_S, lambda: NOON_S)) as store:
        store.append(
            [
                started(1, NOON_S - 9000),
                kill(2, NOON_S, kill_id=1, pid=700),
                outcome(3, 1, NOON_S + 0.25, pid=700),
            ]
        )
    return str(path)


def report(directory: str, *words: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    place = Path(directory).parent
    done = subprocess.run(
        [sys.executable, "-m", "oomguardd.ctl", "report", "--directory", directory, *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=place,
        env=os.environ | {"TZ": "UTC", "PYTHONPATH": str(Path(__file__).resolve().parents[2])} | environ,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_newest_is_written_beside_you_under_its_id(directory: str) -> None:
    said = report(directory).stdout
    (written,) = Path(directory).parent.glob("incident-*.html")
    assert said.startswith(written.name)
    assert written.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert written.stat().st_mode & 0o444 == 0o444, "as readable as any file that is made"
    assert list(Path(directory).parent.glob(".report-*")) == []


def test_what_is_there_is_kept_unless_forced(directory: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("mine")
    assert "--force" in report(directory, "last", "-o", str(mine), code=1).stderr
    assert mine.read_text() == "mine"
    report(directory, "last", "-o", str(mine), "--force")
    assert "<html" in mine.read_text(encoding="utf-8")


def test_a_link_is_not_followed_to_what_is_there(directory: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "link.html").symlink_to(tmp_path / "kept")
    report(directory, "-o", str(tmp_path / "link.html"), "--force")
    assert (tmp_path / "kept").read_text() == "kept"


def test_it_goes_to_standard_output_in_any_locale(directory: str) -> None:
    text = report(directory, "-o", "-", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0").stdout
    assert text.isascii()
    assert "&#8722;" in text or "&#183;" in text
    assert text.endswith("</html>\n")


def test_programs_are_told_where_it_is(directory: str, tmp_path: Path) -> None:
    told = json.loads(report(directory, "--json", "-o", str(tmp_path / "a.html")).stdout)
    assert told["size_bytes"] == (tmp_path / "a.html").stat().st_size
    assert told["kind"] == "report"
    assert "give one of them" in report(directory, "--json", "-o", "-", code=1).stderr


def test_the_host_is_named_if_given(directory: str) -> None:
    assert "db-3" in report(directory, "-o", "-", "--host", "db-3").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-id"], "no-such-id"),
        (["-o", "/no/such/place/a.html"], "/no/such/place"),
        (["-o", "/"], "is a directory"),
    ],
)
def test_what_cannot_be_done_is_said(directory: str, words: list[str], said: str) -> None:
    assert said in report(directory, *words, code=1).stderr


def test_a_full_disk_leaves_no_half_page(directory: str) -> None:
    assert "No space left" in report(directory, "-o", "/dev/full", code=1).stderr


def test_no_history_is_said_with_the_remedy(tmp_path: Path) -> None:
    assert "history" in report(str(tmp_path / "none"), code=1).stderr
