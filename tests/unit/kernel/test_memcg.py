"""The limit of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from oomguardd.kernel.files import SensorError
from oomguardd.kernel.memcg import (
    available_bytes,
    find_container,
    parse_limit,
    parse_memcg_stat,
    parse_oom_kills,
    read_limit,
    totals,
    uncounted,
)
from oomguardd.model import Totals
from tests.fakes import GIB, MIB, PAGE

V2_STAT = (
    b"anon 1000\nfile 500\nshmem 7\ninactive_file 30\nactive_file 20\nslab_reclaimable 10\n"
    b"workingset_refault_anon 1\nworkingset_refault_file 2\npgscan 9\npgsteal 8\n"
    b"pgscan_kswapd 4\npgscan_direct 5\npgsteal_kswapd 3\npgsteal_direct 5\npgmajfault 6\n"
)
V1_STAT = (
    b"rss 1\nactive_file 1\ninactive_file 2\ntotal_rss 50\ntotal_shmem 4\ntotal_inactive_file 40\n"
    b"total_active_file 60\ntotal_pgmajfault 3\ntotal_workingset_refault_file 2\n"
)


def test_a_machine_is_no_container(tmp_path: Path) -> None:
    assert find_container(str(tmp_path), 8 * GIB) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert find_container(str(tmp_path), 8 * GIB) is None
    (tmp_path / "memory.max").write_text(f"{16 * GIB}\n")
    assert find_container(str(tmp_path), 8 * GIB) is None
    (tmp_path / "memory.max").write_text("garbage\n")
    assert find_container(str(tmp_path), 8 * GIB) is None


def test_a_limit_of_v2(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{GIB}\n")
    container = find_container(str(tmp_path), 8 * GIB)
    assert container is not None
    assert (container.version, container.directory) == (2, str(tmp_path))


def test_a_limit_of_v1(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert find_container(str(tmp_path), 8 * GIB) is None
    (tmp_path / "memory/memory.limit_in_bytes").write_text(f"{GIB}\n")
    container = find_container(str(tmp_path), 8 * GIB)
    assert container is not None
    assert (container.version, container.directory) == (1, str(tmp_path / "memory"))


@pytest.mark.parametrize(
    ("data", "value"), [(b"max\n", None), (b"4096\n", 4096), (b"0\n", 0), (b"9223372036854771712\n", None)]
)
def test_limits(data: bytes, value: int | None) -> None:
    assert parse_limit(data) == value


@pytest.mark.parametrize("data", [b"", b"-1\n", b"maximum\n", b"1 2\n"])
def test_limits_that_are_none(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SensorError, match="no limit"):
        parse_limit(data)
    (tmp_path / "x").write_bytes(data)
    assert read_limit(str(tmp_path), "x") is None
    assert read_limit(str(tmp_path / "absent"), "x") is None


def test_stat_of_v2() -> None:
    stat = parse_memcg_stat(V2_STAT)
    assert (stat.anon, stat.shmem, stat.cache_bytes, stat.slab_reclaimable) == (1000, 7, 50, 10)
    assert stat.activity[:4] == (9 * PAGE, 8 * PAGE, 5 * PAGE, 3 * PAGE)
    assert stat.activity.major_faults == 6
    assert uncounted(V2_STAT) == {"swapped_in", "swapped_out"}


def test_stat_of_v2_before_it_told_who_scanned() -> None:
    lines = V2_STAT.splitlines(keepends=True)
    old = b"".join(line for line in lines if b"_direct" not in line and b"_kswapd" not in line)
    assert parse_memcg_stat(old).activity.scanned == 9 * PAGE
    assert "direct_scanned" in uncounted(old)


def test_stat_of_v1_counts_all_below() -> None:
    stat = parse_memcg_stat(V1_STAT, 1)
    assert (stat.anon, stat.shmem, stat.cache_bytes) == (50, 4, 100)
    assert uncounted(V1_STAT, 1) == {"scanned", "stolen", "direct_scanned", "swapped_in", "swapped_out"}


@pytest.mark.parametrize("data", [b"", b"anon 5\n", b"active_file 5\ninactive_file 4", b"active_file x\n"])
def test_stat_without_the_cache_is_an_error(data: bytes) -> None:
    with pytest.raises(SensorError, match=r"memory\.stat"):
        parse_memcg_stat(data)


def test_oom_kills_of_both_versions() -> None:
    assert parse_oom_kills(b"low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n") == 3
    assert parse_oom_kills(b"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n") == 2
    assert parse_oom_kills(b"") == 0


def test_what_is_left_of_a_limit() -> None:
    def left(current: int, cache: int) -> int:
        stat = parse_memcg_stat(b"active_file 0\ninactive_file %d\n" % cache)
        return available_bytes(1000 * MIB, current, stat)

    assert left(900 * MIB, 0) == 100 * MIB
    assert left(900 * MIB, 10 * MIB) == 105 * MIB, "half of a small cache is always in use"
    assert left(900 * MIB, 500 * MIB) == 590 * MIB, "of a large one, no more than a low watermark"
    assert left(1100 * MIB, 0) == 0
    assert left(10 * MIB, 500 * MIB) == 1000 * MIB, "a stale memory.stat cannot free more than is used"


@pytest.mark.parametrize(
    ("version", "swap_limit", "swappiness", "swap"),
    [
        (2, None, 60, 500),
        (2, 200, 60, 200),
        (2, 900, 60, 500),
        (2, 0, 60, 0),
        (2, None, 0, 0),
        (1, None, 60, 500),
        (1, 1200, 60, 200),
        (1, 1000, 60, 0),
        (1, 900, 60, 0),
        (1, 1200, 0, 0),
    ],
)
def test_totals_as_the_kernel_counts_them(
    version: int, swap_limit: int | None, swappiness: int, swap: int
) -> None:
    assert totals(1000, swap_limit, 500, swappiness, version) == Totals(1000, swap)
