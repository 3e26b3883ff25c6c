"""/proc/meminfo: somebody's life hangs on every number, so no half of one is believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from oomguardd.kernel.files import SensorError
from oomguardd.kernel.meminfo import parse_meminfo
from tests.fakes import GIB, MIB, Machine, meminfo

MACHINE = Machine(
    mem_total=8 * GIB,
    mem_available=3 * GIB,
    mem_free=1 * GIB,
    swap_total=2 * GIB,
    swap_free=1 * GIB,
    shmem=64 * MIB,
    anon=4 * GIB,
    hugetlb=512 * MIB,
    zswap=16 * MIB,
)


def test_by_name_in_bytes() -> None:
    info = parse_meminfo(meminfo(MACHINE))
    assert (info.total, info.available, info.free) == (8 * GIB, 3 * GIB, 1 * GIB)
    assert (info.swap_total, info.swap_free) == (2 * GIB, 1 * GIB)
    assert (info.shmem, info.anon, info.hugetlb) == (64 * MIB, 4 * GIB, 512 * MIB)
    assert (info.zswap, info.zswapped) == (16 * MIB, 48 * MIB)
    assert (info.active_file, info.inactive_file) == (1 * GIB, 1 * GIB)
    assert not info.available_is_estimate


def test_another_order_and_lines_of_the_future() -> None:
    lines = meminfo(MACHINE).splitlines(keepends=True)
    mixed = b"GPUActive:      12 kB\n" + b"".join(reversed(lines)) + b"Odd\n"
    assert parse_meminfo(mixed) == parse_meminfo(meminfo(MACHINE))


def test_a_kernel_without_mem_available() -> None:
    lines = meminfo(MACHINE).splitlines(keepends=True)
    info = parse_meminfo(b"".join(line for line in lines if not line.startswith(b"MemAvailable")))
    assert info.available_is_estimate
    assert info.available == info.free + info.active_file + info.inactive_file + info.slab_reclaimable


def test_a_kernel_without_the_hugetlb_line() -> None:
    lines = meminfo(MACHINE).splitlines(keepends=True)
    info = parse_meminfo(b"".join(line for line in lines if not line.startswith(b"Hugetlb")))
    assert info.hugetlb == 512 * MIB


@pytest.mark.parametrize("name", [b"MemTotal", b"MemFree", b"SwapTotal", b"SwapFree"])
def test_without_a_vital_line_it_is_useless(name: bytes) -> None:
    lines = meminfo(MACHINE).splitlines(keepends=True)
    with pytest.raises(SensorError, match=name.decode()):
        parse_meminfo(b"".join(line for line in lines if not line.startswith(name + b":")))


@pytest.mark.parametrize("bad", [b"-1", b"x", b"", b"9" * 30, b"1 2"])
def test_a_bad_value_is_not_taken_for_a_missing_line(bad: bytes) -> None:
    with pytest.raises(SensorError, match="MemAvailable"):
        parse_meminfo(
            b"MemTotal: 5 kB\nMemFree: 1 kB\nMemAvailable: " + bad + b" kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
        )


def test_wherever_it_is_cut_no_half_number_is_believed() -> None:
    whole = meminfo(MACHINE)
    known = parse_meminfo(whole)
    for end in range(len(whole)):
        try:
            cut = parse_meminfo(whole[:end])
        except SensorError:
            continue
        assert (cut.total, cut.free, cut.available) == (known.total, known.free, known.available)
        assert (cut.swap_total, cut.swap_free) == (known.swap_total, known.swap_free)


def test_the_live_kernel() -> None:
    info = parse_meminfo(Path("/proc/meminfo").read_bytes())
    assert 0 < info.free <= info.total
    assert 0 < info.available <= info.total
    assert info.anon > MIB
    assert info.swap_free <= info.swap_total
