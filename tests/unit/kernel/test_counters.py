"""vmstat, zoneinfo, swaps, zram and ZFS."""

from __future__ import annotations

from pathlib import Path

import pytest

from oomguardd.kernel.files import SensorError
from oomguardd.kernel.vmstat import parse_vmstat
from oomguardd.kernel.zfs import Arc, parse_arcstats
from oomguardd.kernel.zoneinfo import parse_pcp_bytes
from oomguardd.kernel.zram import Zram, parse_mm_stat, parse_swaps
from tests.fakes import PAGE, Machine, vmstat, zoneinfo


def test_vmstat_counts_bytes() -> None:
    counters = parse_vmstat(
        vmstat(
            Machine(
                pgscan_kswapd=10,
                pgscan_direct=5,
                pgsteal_kswapd=4,
                pgsteal_direct=3,
                refault_anon=2,
                refault_file=1,
                pswpin=6,
                pswpout=7,
                pgmajfault=8,
                oom_kill=9,
            )
        )
    )
    assert counters == (15 * PAGE, 7 * PAGE, 5 * PAGE, 3 * PAGE, 6 * PAGE, 7 * PAGE, 8, 9)


def test_vmstat_of_an_old_kernel() -> None:
    counters = parse_vmstat(
        b"x 1\nworkingset_refault 3\npgmajfault 1\npgscan_kswapd 1\npgscan_direct 2\n"
        b"pgscan_direct_throttle 9\n"
    )
    assert counters.refaulted == 3 * PAGE
    assert counters.direct_scanned == 2 * PAGE
    assert counters.oom_kills == 0


def test_vmstat_leaves_out_proactive_reclaim() -> None:
    data = vmstat(Machine(pgscan_direct=1)) + b"pgscan_khugepaged 2\npgscan_proactive 50\n"
    assert parse_vmstat(data).scanned == 3 * PAGE


@pytest.mark.parametrize(
    "data", [b"", b"nr_free_pages 5\n", b"\npgscan_direct 1\npgscan_kswapd 2\npgmajfault 3"]
)
def test_vmstat_without_counters_is_an_error(data: bytes) -> None:
    with pytest.raises(SensorError, match="vmstat"):
        parse_vmstat(data)


def test_the_live_vmstat() -> None:
    counters = parse_vmstat(Path("/proc/vmstat").read_bytes())
    assert counters.major_faults > 0
    assert counters.scanned >= counters.direct_scanned >= 0


def test_zoneinfo_counts_only_in_page_sets() -> None:
    zone = zoneinfo(1001)
    assert parse_pcp_bytes(zone) == 1001 * PAGE
    assert parse_pcp_bytes(zone + zone) == 2002 * PAGE
    assert parse_pcp_bytes(b"Node 0, zone DMA\n  count: 5\n") == 0


@pytest.mark.parametrize("data", [b"", b"garbage", b"\n  pagesets\n  count: x\n count: -5\n count:\n"])
def test_zoneinfo_of_any_other_form_is_nothing(data: bytes) -> None:
    assert parse_pcp_bytes(data) == 0


def test_the_live_zoneinfo() -> None:
    data = Path("/proc/zoneinfo").read_bytes()
    counts = (line.split()[1] for line in data.splitlines() if line.split()[:1] == [b"count:"])
    assert parse_pcp_bytes(data) == sum(map(int, counts)) * PAGE


def test_swaps() -> None:
    areas = parse_swaps(
        b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        b"/dev/zram0                              partition\t1024\t\t512\t\t100\n"
        b"/swap\\040file                           file\t\t4096\t\t0\t\t-2\n"
        b"/dev/zramble partition 1 0 5\n"
        b"cut off\n"
    )
    assert [(area.zram, area.size_bytes, area.used_bytes) for area in areas] == [
        ("zram0", 1 << 20, 512 << 10),
        ("", 4 << 20, 0),
        ("", 1024, 0),
    ]
    assert areas[1].path == "/swap\\040file"
    assert parse_swaps(b"") == ()


def test_mm_stat() -> None:
    assert parse_mm_stat(b"  400  100  120   0   130  0 0 0 0\n") == Zram(400, 120, 0)
    for bad in (b"", b"1 2 3", b"a b c d", b"-1 2 3 4"):
        with pytest.raises(SensorError, match="mm_stat"):
            parse_mm_stat(bad)


def test_arcstats() -> None:
    head = b"13 1 0x01 147 39984 1 2\nname                            type data\n"
    arc = parse_arcstats(head + b"arc_size 4 7\nc_min  4    1000\nsize     4    5000\noverhead_size 4 1\n")
    assert arc == Arc(5000, 1000)
    assert arc.reclaimable_bytes == 4000
    smaller = parse_arcstats(head + b"size 4 5\nc_min 4 1000\n")
    assert smaller is not None
    assert smaller.reclaimable_bytes == 0


@pytest.mark.parametrize("data", [b"", b"x\nsize 4 5", b"x\nsize 4 five\n", b"x\nsize 4\n"])
def test_arcstats_without_a_size(data: bytes) -> None:
    assert parse_arcstats(data) is None


def test_arcstats_without_a_minimum_promise_nothing() -> None:
    arc = parse_arcstats(b"x\nsize 4 5000\n")
    assert arc is not None
    assert arc.reclaimable_bytes == 0
