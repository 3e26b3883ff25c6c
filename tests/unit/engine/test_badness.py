"""oom_badness(), against the kernel that these tests run on and against values worked out by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oomguardd.engine.badness import divide, kernel_pages, oom_score
from oomguardd.kernel.process import glance, inspect, pids
from oomguardd.model import PAGE_BYTES, Totals
from oomguardd.sensors import machine_sensors
from tests.shell.rig import candidate

MIB = 1 << 20
THOUSAND = Totals(1000 * PAGE_BYTES * 1000, 0)
"""A point is exactly a thousand pages."""


@pytest.mark.parametrize(
    ("adj", "score"), [(0, 666), (500, 1000), (1000, 1333), (-500, 333), (-999, 0), (1, 667), (-1, 666)]
)
def test_score_of_an_empty_process(adj: int, score: int) -> None:
    c = candidate(1, oom_score_adj=adj)
    assert oom_score(kernel_pages(c, THOUSAND), THOUSAND) == score


def test_highest_score_where_ram_is_no_multiple_of_a_thousand_pages() -> None:
    """The kernel divides first: 1999 pages make points of one page, so that +1000 adds only half of them."""
    totals = Totals(1999 * PAGE_BYTES, 0)
    assert totals.point_pages == 1
    assert kernel_pages(candidate(1, oom_score_adj=1000), totals) == 1000
    assert oom_score(1000, totals) == 1000


def test_every_kind_of_memory_counts_in_pages() -> None:
    c = candidate(
        1,
        rss_anon_bytes=3 * PAGE_BYTES,
        rss_file_bytes=5 * PAGE_BYTES,
        rss_shmem_bytes=7 * PAGE_BYTES,
        swap_bytes=11 * PAGE_BYTES,
        pagetables_bytes=13 * PAGE_BYTES + 1,
    )
    assert kernel_pages(c, THOUSAND) == 39


def test_more_pages_than_there_are() -> None:
    """Shared file pages are counted in every mapper."""
    assert oom_score(3 * THOUSAND.pages, THOUSAND) == 2666


@pytest.mark.parametrize(
    ("a", "b", "quotient"), [(7, 2, 3), (-7, 2, -3), (-1, 1000, 0), (-1000, 1000, -1), (0, 3, 0), (-6, 2, -3)]
)
def test_division_is_c_and_not_pythons(a: int, b: int, quotient: int) -> None:
    assert divide(a, b) == quotient


def test_negative_total_is_truncated_towards_zero() -> None:
    """-1 page of a million: the kernel's -1000/1000000 is 0, where Python's // would make it -1."""
    assert oom_score(-1, THOUSAND) == 666
    assert oom_score(-1001, THOUSAND) == 666  # (1000 - 1) * 2 / 3
    assert oom_score(-2002, THOUSAND) == 665


def test_swap_enlarges_the_total() -> None:
    assert Totals(600 * PAGE_BYTES, 400 * PAGE_BYTES).pages == 1000


HOLDER = """
import os, sys
size, adj = int(sys.argv[1]), sys.argv[2]
fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
os.write(fd, adj.encode())
os.close(fd)
memory = bytearray(b"x" * size)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("size_mib", "adj"), [(0, 0), (64, 0), (48, 1), (16, 100), (32, 300), (1, 999), (0, 1000)]
)
def test_equals_this_kernel_for_a_child(size_mib: int, adj: int) -> None:
    if int(Path("/proc/self/oom_score_adj").read_text()) > adj:
        pytest.skip("oom_score_adj cannot be lowered here")
    command = [sys.executable, "-c", HOLDER, str(size_mib * MIB), str(adj)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert _agrees(child.pid)
        child.send_signal(signal.SIGKILL)


def test_equals_this_kernel_for_every_process_that_stands_still() -> None:
    """Those that move while they are read are tried again; others' may move all the time."""
    proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        seen = [pid for pid in pids(proc_fd) if pid != 1]
    finally:
        os.close(proc_fd)
    wrong = [pid for pid in seen if not _agrees(pid)]
    assert len(seen) >= 1
    assert len(wrong) <= len(seen) // 20, f"{len(wrong)} of {len(seen)} differ: {wrong[:10]}"


def _agrees(pid: int) -> bool:
    """Whether we compute what the kernel prints. Since 6.2 it ranks by an approximate count: up to 64 pages a
    processor and counter, which may cross one step of the score."""
    totals = machine_sensors_totals()
    slack = 4 * 64 * (os.cpu_count() or 1)
    proc_fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        for _ in range(20):
            before, c, after = glance(proc_fd, pid), inspect(proc_fd, pid, 0.0), glance(proc_fd, pid)
            if before is None or c is None or after is None or c.kernel_thread or c.oom_score_adj == -1000:
                return True
            pages = kernel_pages(c, totals)
            if oom_score(pages - slack, totals) <= before <= oom_score(pages + slack, totals):
                return True
        return after == 0  # ineligible for a reason of the kernel's own: between vfork and exec, or reaped
    finally:
        os.close(proc_fd)


def machine_sensors_totals() -> Totals:
    sensors = machine_sensors()
    try:
        return sensors[0].totals()
    finally:
        for sensor in sensors:
            sensor.close()
