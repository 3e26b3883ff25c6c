"""Counters of kills, and the cgroups there are."""

from __future__ import annotations

from pathlib import Path

from oomguardd.kernel.memory_events import OomCounts, cgroups_below, has_limit, parse_counts, read_counts

EVENTS = b"low 0\nhigh 3\nmax 1245\noom 7\noom_kill 5\noom_group_kill 2\n"


def test_both_versions_and_what_they_lack() -> None:
    assert parse_counts(EVENTS) == OomCounts(5, 7, 2)
    assert parse_counts(b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n") == OomCounts(3, 0, 0)
    assert parse_counts(b"oom_kill_disable 0\nunder_oom 1\n") == OomCounts()
    assert parse_counts(b"\xff garbage") == OomCounts()


def test_files_of_a_cgroup(tmp_path: Path) -> None:
    assert read_counts(str(tmp_path)) is None
    (tmp_path / "memory.events").write_bytes(EVENTS)
    assert read_counts(str(tmp_path)) == OomCounts(5, 7, 2)
    assert read_counts(str(tmp_path), local=True) is None
    (tmp_path / "memory.events.local").write_bytes(b"oom_kill 1\n")
    assert read_counts(str(tmp_path), local=True) == OomCounts(1)
    assert read_counts(str(tmp_path / "gone")) is None


def test_the_nearest_cgroups_come_first(tmp_path: Path) -> None:
    for path in ("a/b/c", "d"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    root = str(tmp_path)
    assert list(cgroups_below(root, 100, 9)) == [("/a", 1), ("/d", 1), ("/a/b", 2), ("/a/b/c", 3)]
    assert [path for path, _ in cgroups_below(root, 3, 9)] == ["/a", "/d", "/a/b"]
    assert [path for path, _ in cgroups_below(root, 100, 1)] == ["/a", "/d"]
    assert list(cgroups_below(root + "/gone", 100, 9)) == []


def test_a_limit_of_its_own(tmp_path: Path) -> None:
    limit = tmp_path / "memory.limit_in_bytes"
    assert not has_limit(str(tmp_path))
    limit.write_text("9223372036854771712\n")
    assert not has_limit(str(tmp_path))
    limit.write_text("67108864\n")
    assert has_limit(str(tmp_path))
