"""Cgroups as trees of files; killing and freezing real ones is for the shell tests and the guests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguardd.kernel.cgroup_tree import MOST_CGROUPS, MOST_LEVELS
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


def test_links_and_odd_names_lead_nowhere(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path / "root")
    tree.add("/a", [10])
    tree.add("/caf\u00e9 x", [11])
    (tmp_path / "root/link").symlink_to(tmp_path / "root/a")
    (tmp_path / "root/a/inner").symlink_to(tmp_path)
    cgroups = found(tmp_path / "root")
    assert list(cgroups.procs("/caf\u00e9 x")) == [11]
    assert list(cgroups.procs("/a")) == [10], "links below are not followed"
    assert cgroups.kill("/link") is False
    with pytest.raises(OSError, match="link"):
        list(cgroups.procs("/link"))
    for odd in ("/a\0b", "/\ud800", "/a/../a"):
        assert list(cgroups.procs(odd)) == []
        assert cgroups.kill(odd) is False
        assert cgroups.memcg(odd) is None
        assert cgroups.oom_group(odd) == ""


def test_names_of_any_bytes(tmp_path: Path) -> None:
    FakeCgroups(tmp_path).add("/a", [10])
    strange = os.fsencode(tmp_path) + b"/a/\xff\xfe"
    os.mkdir(strange)
    Path(os.fsdecode(strange), "cgroup.procs").write_text("12\n")
    cgroups = found(tmp_path)
    assert sorted(cgroups.procs("/a")) == [10, 12]
    assert list(cgroups.procs(os.fsdecode(b"/a/\xff\xfe"))) == [12]


def test_what_is_too_deep_or_too_wide_is_never_taken_for_whole(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path)
    tree.add("/deep" + "/x" * (MOST_LEVELS + 1), [10])
    for index in range(MOST_CGROUPS + 1):
        (tmp_path / f"wide/{index}").mkdir(parents=True)
    cgroups = found(tmp_path)
    for cgroup in ("/deep", "/wide"):
        with pytest.raises(OSError, match="too many cgroups"):
            list(cgroups.procs(cgroup))
    assert cgroups.memcg("/deep" + "/x" * (MOST_LEVELS + 1)) is not None


def test_nothing_is_left_open(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path)
    tree.add("/a/b/c", [10], memory_oom_group=1)
    tree.add("/a/d", [11])
    before = len(os.listdir("/proc/self/fd"))
    cgroups = found(tmp_path)
    next(cgroups.procs("/a/b/c"))
    assert cgroups.oom_group("/a/b/c/gone") == "/a/b/c"
    assert cgroups.populated("/a/d") is True
    assert cgroups.memcg("/a/b/gone") is None
    assert cgroups.freeze("/a/gone", True) is False
    cgroups.close()
    cgroups.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_freezing_is_asked_for_and_then_seen(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path)
    tree.add("/a", [10])
    cgroups = found(tmp_path)
    assert cgroups.frozen("/a") is False
    assert cgroups.freeze("/a", True) is True
    assert tree.read("/a", "cgroup.freeze") == "1\n"
    tree.add("/a", [10], frozen=True)
    assert cgroups.frozen("/a") is True
    assert cgroups.freeze("/a", False) is True
    assert tree.read("/a", "cgroup.freeze") == "0\n"
    assert cgroups.frozen("/gone") is None
    assert cgroups.frozen("/") is None


def test_freezing_v1(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path, 1)
    tree.add("/a", [10])
    cgroups = found(tmp_path)
    assert cgroups.freeze("/a", True) is True
    assert tree.read("/a", "freezer.state") == "FROZEN\n"
    assert cgroups.frozen("/a") is True
    assert cgroups.freeze("/a", False) is True
    assert cgroups.frozen("/a") is False
    assert cgroups.kill("/a") is False, "v1 cannot"
    assert cgroups.memcg("/a") is None


def test_v1_does_not_freeze_strangers_of_the_same_name(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path, 1)
    tree.add("/a", [10])
    (tmp_path / "freezer/a/cgroup.procs").write_text("10\n99\n")
    assert found(tmp_path).freeze("/a", True) is False
    assert tree.read("/a", "freezer.state") == "THAWED\n"
    (tmp_path / "freezer/a/cgroup.procs").write_text("")
    assert found(tmp_path).freeze("/a", True) is False, "those of v1 are elsewhere there"


@pytest.mark.parametrize(
    ("there", "done"), [("10 11", True), ("10", False), ("10 11 99", False), ("", False)]
)
def test_the_hybrid_kills_through_v2_only_the_same(tmp_path: Path, there: str, done: bool) -> None:
    FakeCgroups(tmp_path, 1).add("/a", [10, 11])
    unified = FakeCgroups(tmp_path / "unified")
    unified.add("/a", map(int, there.split()))
    cgroups = found(tmp_path)
    assert cgroups.version == 1
    assert cgroups.kill("/a") is done
    assert unified.read("/a", "cgroup.kill") == ("1" if done else "")


@pytest.mark.parametrize("version", [1, 2])
def test_populated(tmp_path: Path, version: int) -> None:
    tree = FakeCgroups(tmp_path, version)
    tree.add("/a", [10])
    tree.add("/b")
    cgroups = found(tmp_path)
    assert (cgroups.populated("/a"), cgroups.populated("/b"), cgroups.populated("/c")) == (True, False, False)
    (tmp_path / ("memory/b" if version == 1 else "b") / "cgroup.procs").write_text("77\n")
    if version == 2:
        tree.write("/b", "cgroup.events", "garbage")
    assert cgroups.populated("/b") is True


@pytest.mark.parametrize(
    ("above", "own", "share"),
    [(0, 400, 0.0), (400, 0, 1.0), (400, 400, 1.0), (100, 400, 0.25), (1000, 100, 1.0), ("max", "max", 1.0)],
)
def test_protection_comes_from_above(tmp_path: Path, above: int | str, own: int | str, share: float) -> None:
    tree = FakeCgroups(tmp_path)
    for path, low in (("/a", above), ("/a/b", own)):
        tree.add(path, memory_current=400 * MIB, memory_low=low if isinstance(low, str) else low * MIB)
    memcg = found(tmp_path).memcg("/a/b")
    assert memcg is not None
    assert memcg.protected_share == pytest.approx(share)


def test_where_memory_is_not_counted_the_cgroup_above_counts(tmp_path: Path) -> None:
    tree = FakeCgroups(tmp_path)
    tree.add("/a/b", [10])
    tree.add("/a", memory_current=5 * MIB)
    for name in ("current", "low", "min", "high", "oom.group"):
        (tmp_path / f"a/b/memory.{name}").unlink()
    memcg = found(tmp_path).memcg("/a/b")
    assert memcg is not None
    assert memcg.current_bytes == 5 * MIB
    assert found(tmp_path).memcg("/") is None


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
