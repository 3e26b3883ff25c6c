"""The history's directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguardd.reporter.directory import prepare_directory

ROOT = os.geteuid() == 0
NOBODY = 65534


def test_it_is_made_for_its_user(tmp_path: Path) -> None:
    path = tmp_path / "state" / "oomguard"
    uid = NOBODY if ROOT else os.geteuid()
    assert prepare_directory(str(path), uid, uid if ROOT else os.getegid()) == ""
    status = path.stat()
    assert (status.st_uid, status.st_mode & 0o777) == (uid, 0o755)
    assert path.parent.stat().st_uid == os.geteuid()


def test_what_exists_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.mkdir(0o700)
    assert prepare_directory(f"{path}/", NOBODY, NOBODY) == ""
    status = path.stat()
    assert (status.st_uid, status.st_mode & 0o777) == (os.geteuid(), 0o700)


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_no_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    prepare_directory(str(tmp_path / "link"), NOBODY, NOBODY)
    assert target.stat().st_uid == 0


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    problem = prepare_directory(str(tmp_path / "file" / "below"), os.geteuid(), os.getegid())
    assert "history.directory" in problem
    assert str(tmp_path) in problem
