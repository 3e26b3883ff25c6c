"""Laws of the decoder of kernel logs: whatever the log is, it ends, does not fail, and invents nothing."""

from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguardd.oomlog import Decoder, Report, decode, explain, to_json
from oomguardd.oomlog.prefix import parse_line
from tests.oomlogs import NAMES, STYLES, lines_of, mutated

MUTANTS = 50_000

unhurried = settings(deadline=None)

words = st.sampled_from(
    (
        "oom-killer",
        "x invoked oom-killer: gfp_mask=0x",
        "oom-kill:constraint=",
        ",task=a,pid=1,uid=",
        "Out of memory: ",
        "Killed process ",
        "Kill process 1 (",
        "total-vm:",
        "kB",
        "[ pid ] uid tgid total_vm rss",
        "[  1]  0  1  1  1",
        "Node 0 DMA free:",
        "Node 0 Normal: 1*4kB ",
        "Memory cgroup stats for /a:",
        "memory: usage 1kB, limit 1kB, failcnt ",
        "Task in /a killed as a result of limit of ",
        "oom_reaper: reaped process 1 (a), now ",
        "Free swap  = ",
        " pages RAM",
        "Tasks in / are going to be killed",
        "Mem-Info:",
        "[   1.5] ",
        "Jan  1 00:00:00 h kernel: ",
        "4,1,1,-;",
        "<4>",
        "CPU: 0 PID: 1 Comm: x Not tainted 6.1",
        "\n",
        " ",
        "(",
        ")",
        "0",
        "9" * 30,
        "-",
        ":",
        ",",
    )
)
texts = st.lists(st.one_of(words, st.text(max_size=8)), max_size=12).map("".join)


def assert_sound(report: Report) -> None:
    """It can be told, and as data, and what it says is possible."""
    lines = explain(report)
    assert lines
    assert all(line.isprintable() for line in lines)
    json.dumps(to_json(report), allow_nan=False)
    pids = [victim.pid for victim in report.victims]
    assert len(set(pids)) == len(pids)
    assert len({task.pid for task in report.tasks}) == len(report.tasks)
    sizes = [size for task in report.tasks for size in (task.rss_bytes, task.total_vm_bytes, task.held_bytes)]
    assert min(sizes, default=0) >= 0


def short(name: str) -> list[str]:
    """A report without most of its stack, registers and statistics."""
    lines = [line for line in lines_of(name) if "+0x" not in line and ": 0000" not in line]
    few = [
        line for at, line in enumerate(lines) if at % 6 == 0 or "kB" in line or "oom" in line or "pid" in line
    ]
    return few[-45:]


@pytest.mark.timeout(600)
def test_mutants_neither_crash_nor_hang() -> None:
    rng = random.Random(4)
    bases = [short(name) for name in NAMES]
    dresses = list(STYLES.values())
    found, slowest_s = 0, 0.0
    for at in range(MUTANTS):
        lines = mutated(bases[at % len(bases)], rng)
        dress = rng.choice(dresses)
        begun_s = time.process_time()
        for report in decode(map(dress, lines)):
            found += 1
            if at % 8 == 0:
                assert_sound(report)
        slowest_s = max(slowest_s, time.process_time() - begun_s)
    assert found > MUTANTS // 2
    assert slowest_s < 1


@given(st.lists(texts, max_size=30))
@unhurried
def test_any_lines_end_in_reports_or_none(lines: list[str]) -> None:
    for report in decode(lines):
        assert_sound(report)


@given(st.lists(texts, max_size=20), st.integers(1, 5))
@unhurried
def test_flushing_loses_nothing(lines: list[str], often: int) -> None:
    """A victim is handed out once, however often somebody asks."""
    decoder, found = Decoder(), []
    for at, line in enumerate(lines):
        found += decoder.feed(line)
        if at % often == 0:
            found += decoder.flush()
    found += decoder.finish()
    assert decoder.finish() == []
    for report in found:
        assert_sound(report)


@given(texts.filter(lambda text: "kernel" not in text), st.sampled_from(sorted(set(STYLES) - {"bare"})))
@unhurried
def test_a_prefix_takes_nothing_from_the_text(text: str, style: str) -> None:
    line = parse_line(STYLES[style](f"[   12.345678] x{text}"))
    assert not line.foreign
    assert line.text.startswith("x")


@given(st.sampled_from(NAMES), st.data())
@unhurried
def test_half_a_report_says_nothing_else(name: str, data: st.DataObject) -> None:
    """Victims of a part are victims of the whole."""
    lines = lines_of(name)
    start = data.draw(st.integers(0, len(lines)))
    end = data.draw(st.integers(start, len(lines)))
    whole = {victim.pid for report in decode(lines) for victim in report.victims}
    part = {victim.pid for report in decode(lines[start:end]) for victim in report.victims}
    assert part <= whole


@pytest.mark.parametrize(
    "line",
    [
        "Killed process 1 (" * 4000,
        "Kill process 1 (" * 4000,
        "Task in " * 4000,
        "a invoked oom-killer: gfp_mask=0x1(" * 2000,
        "oom-kill:constraint=" + ",task=,pid=" * 4000,
        "oom_reaper: reaped process 1 (" * 3000,
        "Node 0 DMA free:" + "a" * 60000,
        "active_anon:" + "1 a:" * 20000,
        "Memory cgroup stats for " + ": a" * 20000,
        "Tasks in " + "are going to be " * 4000,
        " cpuset=" * 8000 + "mems_allowed=",
        "> " * 30000,
        "Jan 1 " * 20000,
        "[" * 60000,
        "[ 1.5]" * 10000,
        "kernel: " * 10000,
        "1 " * 30000,
        "#012" * 20000,
    ],
    ids=lambda line: line[:20],
)
def test_long_lines_cost_no_more_than_their_length(line: str) -> None:
    begun_s = time.process_time()
    for _ in range(20):
        for report in decode([line, line]):
            assert_sound(report)
    assert time.process_time() - begun_s < 4
