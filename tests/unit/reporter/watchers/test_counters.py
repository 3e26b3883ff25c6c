"""The machine's counter, and the cgroup whose counter moved, on a small tree of files."""

from __future__ import annotations

import shutil
from pathlib import Path

from oomguardd.reporter.watchers.counters import Cgroups, Grown, Machine


def vmstat(proc: Path, kills: int | None) -> None:
    proc.mkdir(exist_ok=True)
    line = "" if kills is None else f"oom_kill {kills}\n"
    (proc / "vmstat").write_text(f"nr_free_pages 5\n{line}pgscan 1\n")


def counts(root: Path, path: str, kills: int, limits: int, local: tuple[int, int] | None = None) -> None:
    """Of v2: with all that is below, and `local` (kills, limits) of itself."""
    directory = root / path
    directory.mkdir(parents=True, exist_ok=True)
    own = local or (kills, limits)
    (directory / "memory.events").write_text(f"oom {limits}\noom_kill {kills}\n")
    (directory / "memory.events.local").write_text(f"oom {own[1]}\noom_kill {own[0]}\n")


def unified(root: Path) -> Path:
    (root / "cgroup.controllers").write_text("memory\n")
    return root


def test_the_machines_counter(tmp_path: Path) -> None:
    vmstat(tmp_path / "proc", 7)
    machine = Machine(str(tmp_path / "proc"))
    assert machine.there
    assert machine.grown() == 0, "what was before is not told"
    vmstat(tmp_path / "proc", 9)
    assert (machine.grown(), machine.total, machine.grown()) == (2, 9, 0)
    vmstat(tmp_path / "proc", None)
    assert (machine.grown(), machine.total) == (0, 9)
    machine.close()
    machine.close()
    assert machine.grown() == 0


def test_a_kernel_without_it(tmp_path: Path) -> None:
    vmstat(tmp_path / "proc", None)
    assert not Machine(str(tmp_path / "proc")).there
    assert not Machine(str(tmp_path / "none")).there


def test_v2_tells_the_victims_cgroup_and_whose_limit_it_was(tmp_path: Path) -> None:
    root = unified(tmp_path)
    counts(root, "system.slice", 4, 4, (0, 0))
    counts(root, "system.slice/old.service", 4, 4)
    counts(root, "system.slice/new.service", 0, 0)
    cgroups = Cgroups(str(root))
    assert (cgroups.version, cgroups.source) == (2, "memory.events")
    assert cgroups.grown() == []
    counts(root, "system.slice", 5, 5, (0, 0))
    counts(root, "system.slice/new.service", 1, 1, (0, 1))
    counts(root, "system.slice/new.service/worker", 1, 0)
    assert cgroups.grown() == [Grown("/system.slice/new.service/worker", 1, 1, "/system.slice/new.service")]
    assert cgroups.grown() == []


def test_a_cgroup_of_the_same_name_is_another_one(tmp_path: Path) -> None:
    root = unified(tmp_path)
    counts(root, "a.service", 3, 0)
    cgroups = Cgroups(str(root))
    keep = root / "a.service"
    keep.rename(root / "hidden")  # so that the inode is not given out again
    counts(root, "a.service", 3, 0)
    shutil.rmtree(root / "hidden" / "x", ignore_errors=True)
    grown = [each for each in cgroups.grown() if each.cgroup == "/a.service"]
    assert [each.kills for each in grown] == [3]


def test_v2_before_it_counted_what_is_below(tmp_path: Path) -> None:
    root = unified(tmp_path)
    for path in ("a", "a/b"):
        counts(root, path, 0, 0)
        (root / path / "memory.events.local").unlink()
    cgroups = Cgroups(str(root))
    (root / "a/b/memory.events").write_text("oom 1\noom_kill 2\n")
    assert cgroups.grown() == [Grown("/a/b", 2, 2, "")]


def test_v1_looks_everywhere(tmp_path: Path) -> None:
    inner = tmp_path / "docker" / "abc"
    inner.mkdir(parents=True)
    control = inner / "memory.oom_control"
    control.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    cgroups = Cgroups(str(tmp_path))
    assert (cgroups.version, cgroups.source, cgroups.grown()) == (1, "oom_control", [])
    control.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert cgroups.grown() == [Grown("/docker/abc", 1, 2, "")]


def test_nothing_mounted(tmp_path: Path) -> None:
    assert Cgroups(str(tmp_path / "none")).grown() == []
