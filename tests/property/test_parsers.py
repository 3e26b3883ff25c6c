"""Laws of every parser: garbage and truncation end in a value, None or SensorError, and in nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguardd.kernel.capability import parse_effective
from oomguardd.kernel.files import SensorError, line_number
from oomguardd.kernel.memcg import available_bytes, parse_limit, parse_memcg_stat, parse_oom_kills
from oomguardd.kernel.meminfo import parse_meminfo
from oomguardd.kernel.pressure import parse_pressure
from oomguardd.kernel.process import parse_cgroup, parse_last_pid
from oomguardd.kernel.task_stat import parse_stat
from oomguardd.kernel.task_status import parse_status
from oomguardd.kernel.vmstat import parse_vmstat
from oomguardd.kernel.zfs import parse_arcstats
from oomguardd.kernel.zoneinfo import parse_pcp_bytes
from oomguardd.kernel.zram import parse_mm_stat, parse_swaps
from oomguardd.sensors.history import History
from tests.fakes import Machine, meminfo, pressure, vmstat, zoneinfo

STAT = b"42 (a b) S 1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 5 3 0 100 1 1 0 0 0 0\n"
STATUS = (
    b"Name:\tx\nState:\tS (sleeping)\nTgid:\t7\nUid:\t5\t5\t5\t5\nVmRSS:\t 100 kB\nRssAnon:\t 60 kB\n"
    b"RssFile:\t 40 kB\nRssShmem:\t 0 kB\nVmPTE:\t 8 kB\nVmSwap:\t 4 kB\nThreads:\t3\n"
    b"SigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\nCapEff:\t000001ffffffffff\n"
)
MEMCG = b"anon 10\nshmem 2\ninactive_file 30\nactive_file 20\nslab_reclaimable 10\npgscan 9\npgmajfault 6\n"

unhurried = settings(deadline=None)
"""A busy machine may take long over any one example; that is not what is tested."""

SAMPLES: dict[Callable[[bytes], object], bytes] = {
    parse_stat: STAT,
    parse_status: STATUS,
    parse_effective: STATUS,
    parse_meminfo: meminfo(Machine(swap_total=1 << 30)),
    parse_pressure: pressure(Machine(psi_some_avg10=12.5, psi_full_total_s=3.5)),
    parse_vmstat: vmstat(Machine(pgscan_direct=5, oom_kill=2)),
    parse_pcp_bytes: zoneinfo(100),
    parse_cgroup: b"4:memory:/a\n1:name=systemd:/b\n0::/c\n",
    parse_last_pid: b"0.00 0.01 0.05 1/99 4711\n",
    parse_swaps: b"Filename Type Size Used Priority\n/dev/zram0 partition 100 50 5\n",
    parse_mm_stat: b"400 100 120 0 130 0 0 0 0\n",
    parse_arcstats: b"13 1\nname type data\nc_min 4 10\nsize 4 50\n",
    parse_limit: b"4096\n",
    parse_memcg_stat: MEMCG,
    parse_oom_kills: b"oom 1\noom_kill 3\n",
    lambda data: line_number(data, b"\nkey "): b"x 1\nkey 22\n",
}

PARSERS = list(SAMPLES.items())
parsers = pytest.mark.parametrize(("parse", "good"), PARSERS, ids=[p.__name__ for p, _ in PARSERS])


def numbers_in(value: object) -> Iterator[float]:
    if isinstance(value, (int, float)):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from numbers_in(part)


def holds_for(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        value = parse(data)
    except SensorError as error:
        assert str(error)  # noqa: PT017 - the law is about what is raised, if anything is
    else:
        assert all(math.isfinite(number) for number in numbers_in(value))


@parsers
@unhurried
@given(data=st.binary(max_size=400))
def test_garbage(parse: Callable[[bytes], object], good: bytes, data: bytes) -> None:
    holds_for(parse, data)


@parsers
def test_every_truncation(parse: Callable[[bytes], object], good: bytes) -> None:
    for end in range(len(good)):
        holds_for(parse, good[:end])
        holds_for(parse, good[end:])
    assert parse(good) is not None


WORDS = st.sampled_from(
    [b"-1", b"9" * 25, b"9" * 5000, b"nan", b"inf", b"1e999", b"", b"\xff", b"kB", b"0x10", b"1_0"]
)


@parsers
@unhurried
@given(data=st.data())
def test_one_word_replaced(parse: Callable[[bytes], object], good: bytes, data: st.DataObject) -> None:
    words = good.split(b" ")
    words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.one_of(WORDS, st.binary(max_size=12)))
    holds_for(parse, b" ".join(words))


@parsers
@unhurried
@given(data=st.data())
def test_bytes_replaced(parse: Callable[[bytes], object], good: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 20)))
    holds_for(parse, good[:start] + data.draw(st.binary(max_size=20)) + good[end:])


@unhurried
@given(comm=st.binary(max_size=64).filter(lambda name: b"\0" not in name))
def test_no_name_changes_another_field(comm: bytes) -> None:
    stat = parse_stat(STAT.replace(b"a b", comm))
    assert stat is not None
    assert stat.comm == comm.decode(errors="replace")
    assert (stat.state, stat.ppid, stat.nice, stat.threads, stat.start_ticks) == ("S", 1, 5, 3, 100)


sizes = st.integers(0, 1 << 50)


@unhurried
@given(limit=sizes, current=sizes, cache=sizes, slab=sizes)
def test_what_is_left_is_between_nothing_and_the_limit(
    limit: int, current: int, cache: int, slab: int
) -> None:
    stat = parse_memcg_stat(b"active_file 0\ninactive_file %d\nslab_reclaimable %d\n" % (cache, slab))
    left = available_bytes(limit, current, stat)
    assert max(0, limit - current) <= left <= limit


steps = st.tuples(st.floats(0.001, 40), st.floats(0, 1))


@unhurried
@given(walk=st.lists(steps, max_size=60), span_s=st.floats(0.5, 30))
def test_no_window_shows_more_than_happened(walk: list[tuple[float, float]], span_s: float) -> None:
    """However we sleep, a counter that grows by no more than the time that passes never shows more than
    100%."""
    history = History(span_s, span_s * 0.9)
    now_s = total = 0.0
    for passed_s, share in walk:
        now_s += passed_s
        total += passed_s * share
        growth = history.growth(now_s, (total,))
        if growth is not None:
            observed_s, (grown,) = growth
            assert span_s * 0.9 <= observed_s <= span_s
            assert -1e-6 <= grown <= observed_s + 1e-6
