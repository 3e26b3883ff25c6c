"""systemd-oomd's marks: on real cgroups where we may make some, on fake ones for the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from oomguardd.kernel.cgroup_mark import (
    KILLED,
    MOST_BELOW,
    MOST_PROCESSES,
    OOMS,
    Before,
    eldest_child,
    mark,
    open_unified,
    runs_empty,
    unmark,
)
from oomguardd.kernel.cgroup_tree import CgroupTree
from tests.fakes import FakeCgroups, FakeProc
from tests.shell.rig import sleeper

SCOPE = "/a.slice/b.scope"
STAT = "nr_descendants {}\nnr_dying_descendants 0\n"


@pytest.fixture
def fake(tmp_path: Path) -> FakeCgroups:
    tree = FakeCgroups(tmp_path / "cgroup")
    tree.add(SCOPE)
    tree.write(SCOPE, "cgroup.stat", STAT.format(0))
    return tree


@pytest.fixture
def tree(fake: FakeCgroups) -> Iterator[CgroupTree]:
    opened = open_unified(str(fake.root))
    assert opened is not None
    yield opened
    opened.close()


@pytest.fixture
def real() -> Iterator[tuple[CgroupTree, str, Path]]:
    """A cgroup v2 of our own, wherever this machine has it mounted."""
    roots = [Path(path) for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")]
    root = next((root for root in roots if (root / "cgroup.controllers").exists()), None)
    directory = root / f"oomguard-test-{os.getpid()}" if root else Path()
    try:
        if root is None:
            pytest.skip("needs cgroup v2")
        directory.mkdir()
        os.setxattr(directory, OOMS, b"0")
        os.removexattr(directory, OOMS)
    except OSError as error:
        with suppress(OSError):
            directory.rmdir()
        pytest.skip(f"needs a cgroup of our own with extended attributes: {error}")
    opened = CgroupTree(str(root))
    yield opened, f"/{directory.name}", directory
    opened.close()
    directory.rmdir()


def test_marks_count_up_and_can_be_taken_back(real: tuple[CgroupTree, str, Path]) -> None:
    tree, cgroup, directory = real
    first = mark(tree, cgroup, 3)
    assert first == Before(None, None)
    assert (os.getxattr(directory, OOMS), os.getxattr(directory, KILLED)) == (b"1", b"3")
    second = mark(tree, cgroup, 2)
    assert (os.getxattr(directory, OOMS), os.getxattr(directory, KILLED)) == (b"2", b"5")
    unmark(tree, cgroup, second)
    assert (os.getxattr(directory, OOMS), os.getxattr(directory, KILLED)) == (b"1", b"3")
    unmark(tree, cgroup, first)
    assert os.listxattr(directory) == []


@pytest.mark.parametrize("garbage", [b"", b"-5", b"many", b"9" * 400, "²".encode(), b"\0"])
def test_what_a_users_own_cgroup_says_may_be_anything(
    real: tuple[CgroupTree, str, Path], garbage: bytes
) -> None:
    tree, cgroup, directory = real
    os.setxattr(directory, OOMS, garbage)
    before = mark(tree, cgroup, 1)
    assert os.getxattr(directory, OOMS) == b"1"
    unmark(tree, cgroup, before)
    assert os.getxattr(directory, OOMS) == garbage


def test_a_real_cgroup_that_runs_empty(real: tuple[CgroupTree, str, Path]) -> None:
    tree, cgroup, directory = real
    proc_fd = os.open("/proc", os.O_PATH)
    with sleeper() as one, sleeper() as other:
        for child in (one, other):
            (directory / "cgroup.procs").write_text(str(child.pid))
        assert runs_empty(tree, cgroup, {one.pid, other.pid})
        assert not runs_empty(tree, cgroup, {one.pid})
        eldest = eldest_child(tree, proc_fd, cgroup, {os.getpid()})
        assert eldest in {one.pid, other.pid}
        assert eldest_child(tree, proc_fd, cgroup, {1 << 30}) is None
        for child in (one, other):
            child.kill()
            child.wait(20)
    assert not runs_empty(tree, cgroup, ()), "there was nobody who could have gone"
    os.close(proc_fd)


def test_only_where_there_is_no_other_hierarchy(tmp_path: Path) -> None:
    FakeCgroups(tmp_path / "v1", version=1)
    assert open_unified(str(tmp_path / "v1")) is None
    assert open_unified(str(tmp_path / "nowhere")) is None


@pytest.mark.parametrize("cgroup", ["", "/", "/..", "/gone.scope", "/a.slice/../.."])
def test_the_root_and_what_is_not_there_are_not_marked(tree: CgroupTree, cgroup: str) -> None:
    with pytest.raises(FileNotFoundError):
        mark(tree, cgroup, 1)


def test_a_unit_with_thousands_of_cgroups_is_not_looked_through(fake: FakeCgroups, tree: CgroupTree) -> None:
    fake.add(SCOPE, [50])
    fake.write(SCOPE, "cgroup.stat", STAT.format(MOST_BELOW))
    assert runs_empty(tree, SCOPE, {50})
    fake.write(SCOPE, "cgroup.stat", STAT.format(MOST_BELOW + 1))
    assert not runs_empty(tree, SCOPE, {50})
    fake.write(SCOPE, "cgroup.stat", "garbage")
    assert not runs_empty(tree, SCOPE, {50})


def test_below_the_unit_counts_too(fake: FakeCgroups, tree: CgroupTree) -> None:
    fake.add(SCOPE, [50])
    fake.add(f"{SCOPE}/inner", [51])
    assert not runs_empty(tree, SCOPE, {50})
    assert runs_empty(tree, SCOPE, {50, 51})
    assert not runs_empty(tree, "/gone.scope", {50})


def test_the_eldest_of_the_managers_children(proc: FakeProc, fake: FakeCgroups, tree: CgroupTree) -> None:
    proc.add(50, ppid=1, start_ticks=300)  # somebody's orphan
    proc.add(51, ppid=1, start_ticks=100)
    proc.add(52, ppid=51, start_ticks=90)  # no child of the manager's
    fake.add(SCOPE, [50, 51, 52, 53])  # 53 has gone
    assert eldest_child(tree, proc.fd, SCOPE, {1}) == 51
    assert eldest_child(tree, proc.fd, SCOPE, {7}) is None
    assert eldest_child(tree, proc.fd, "/gone.scope", {1}) is None


def test_too_many_to_look_at_are_not_looked_at(proc: FakeProc, fake: FakeCgroups, tree: CgroupTree) -> None:
    proc.add(50, ppid=1)
    fake.add(SCOPE, [50] * (MOST_PROCESSES + 1))
    assert eldest_child(tree, proc.fd, SCOPE, {1}) is None
