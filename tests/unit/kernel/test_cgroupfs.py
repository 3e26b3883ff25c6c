"""Cgroups as trees of files; killing and freezing real ones is for the shell tests and the guests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguardd.kernel.cgroupfs import Cgroups, find_cgroups
from tests.fakes import MIB, FakeCgroups


def found(root: Path) -> Cgroups:
    cgroups = find_cgroups(str(root))
    assert cgroups is not None
    return cgroups


def test_nothing_mounted_is_nothing(tmp_path: Path) -> None:
    assert find_cgroups(str(tmp_path / "nowhere")) is None


@pytest.mark.parametrize("version", [1, 2])
def test_processes_of_it_and_of_all_below(tmp_path: Path, version: int) -> None:
    tree = FakeCgroups(tmp_path, version)
    tree.add("/a", [10])
    tree.add("/a/b", [11, 12])
    tree.add("/a/b/c", [13])
    tree.add("/z", [99])
    cgroups = found(tmp_path)
    assert cgroups.version == version
    assert sorted(cgroups.procs("/a")) == [10, 11, 12, 13]
    assert list(cgroups.procs("/gone")) == []
    cgroups.close()


def test_a_cgroup_that_holds_strangers_is_never_taken_for_whole(tmp_path: Path) -> None:
    """0 stands for a process outside of our pid namespace."""
    FakeCgroups(tmp_path).add("/a", [10, 0])
    with pytest.raises(OSError, match="pid namespace"):
        list(found(tmp_path).procs("/a"))


@pytest.mark.parametrize("path", ["", "/", "/..", "/a/../..", "/../x", "//"])
def test_the_root_and_ways_out_of_it_are_never_killed_or_frozen(tmp_path: Path, path: str) -> None:
    tree = FakeCgroups(tmp_path / "root")
    tree.add("/a", [10])
    (tmp_path / "cgroup.kill").write_text("")
    (tmp_path / "root/cgroup.kill").write_text("")
    cgroups = found(tmp_path / "root")
    assert cgroups.kill(path) is False
    assert cgroups.freeze(path, True) is False
    assert (tmp_path / "cgroup.kill").read_text() == (tmp_path / "root/cgroup.kill").read_text() == ""


def test_kill_is_one_write_where_the_kernel_has_it(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path)
    tree.add("/a", [10], cgroup_kill="")
    tree.add("/old", [11])
    cgroups = found(tmp_path)
    assert cgroups.kill("/a") is True
    assert tree.read("/a", "cgroup.kill").strip() == "1"
    (tmp_path / "old/cgroup.kill").unlink(missing_ok=True)
    assert cgroups.kill("/old") is False
    assert not (tmp_path / "old/cgroup.kill").exists()


def test_what_memory_says(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path)
    for path, low, high in (("/a", 200 * MIB, "max"), ("/a/b", 300 * MIB, str(300 * MIB))):
        tree.add(path, memory_current=400 * MIB, memory_min=0, memory_low=low, memory_high=high)
    memcg = found(tmp_path).memcg("/a/b")
    assert memcg is not None
    assert memcg.current_bytes == 400 * MIB
    assert memcg.protected_share == pytest.approx(0.5), "no more than what stands above it has"
    assert memcg.over_high_bytes == 100 * MIB
    assert found(tmp_path).memcg("/gone") is None


def test_the_topmost_group_that_dies_together(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path)
    tree.add("/a", memory_oom_group=0)
    tree.add("/a/b", memory_oom_group=1)
    tree.add("/a/b/c", memory_oom_group=1)
    cgroups = found(tmp_path)
    assert cgroups.oom_group("/a/b/c") == "/a/b"
    assert cgroups.oom_group("/a") == ""


def test_a_preference_and_whose_it_is(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path)
    tree.add("/a/b", memory_current=MIB)
    try:
        os.setxattr(tmp_path / "a", "user.oomd_avoid", b"1")
    except OSError:
        pytest.skip("no extended attributes here")
    memcg = found(tmp_path).memcg("/a/b")
    assert memcg is not None
    assert (memcg.preference, memcg.preference_uid) == ("avoid", os.geteuid())
