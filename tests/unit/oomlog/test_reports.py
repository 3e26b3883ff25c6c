"""Every real report, against what a reader of it would say; and the same in every logger's dress."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from oomguardd.oomlog import Decoder, Report, Usage, Victim, decode, explain, to_json
from tests.oomlogs import ANSWERS, COMPLETE, NAMES, STYLES, lines_of


def kb(size_bytes: int | None) -> int | None:
    return None if size_bytes is None else size_bytes >> 10


def usage_kb(usage: Usage | None) -> list[int | None] | None:
    return usage and [kb(usage.usage_bytes), kb(usage.limit_bytes), usage.failures]


def victim_facts(victim: Victim | None) -> dict[str, Any]:
    if victim is None:
        return {"victim_pid": None, "victim": None, "uid": None, "sizes_kb": None}
    sizes = [
        kb(victim.total_vm_bytes),
        kb(victim.rss_anon_bytes),
        kb(victim.rss_file_bytes),
        kb(victim.rss_shmem_bytes),
    ]
    return {
        "victim_pid": victim.pid,
        "victim": victim.comm,
        "uid": victim.uid,
        "sizes_kb": sizes if any(size is not None for size in sizes) else None,
        "pagetables_kb": kb(victim.pagetables_bytes),
        "victim_adj": victim.oom_score_adj,
        "score": victim.score,
        "reaped": victim.reaped is not None,
    }


def facts(report: Report) -> dict[str, Any]:
    """Everything that an answer may ask for, under its names."""
    trigger, memcg, announced = report.trigger, report.memcg, report.announced
    return {
        "cause": report.cause,
        "trigger": trigger and trigger.comm,
        "trigger_pid": trigger and trigger.pid,
        "trigger_adj": trigger and trigger.oom_score_adj,
        "trigger_oom_adj": trigger and trigger.oom_adj,
        "gfp_mask": report.gfp_mask,
        "gfp_flags": list(report.gfp_flags),
        "order": report.order,
        "constraint": report.constraint,
        "cpuset": report.cpuset,
        "mems_allowed": report.mems_allowed,
        "owner": memcg and memcg.owner,
        "victim_cgroup": memcg and memcg.victim,
        "group": memcg and memcg.group,
        "memory_kb": memcg and usage_kb(memcg.memory),
        "swap_kb": memcg and usage_kb(memcg.swap),
        "memory_and_swap_kb": memcg and usage_kb(memcg.memory_and_swap),
        "kernel_kb": memcg and usage_kb(memcg.kernel),
        "rows": len(report.tasks),
        "announced_pid": announced and announced.pid,
        "score_announced": announced and announced.score,
        "victims": len(report.victims),
        "kernel": report.kernel,
        "host": report.host,
        "stamp": report.stamp,
        "page_kb": report.page_bytes >> 10,
        "nobody_killable": report.nobody_killable,
        "allocating_task": report.allocating_task,
        "complete": report.complete,
        "pagetables_kb": None,
        "victim_adj": None,
        **victim_facts(report.victim),
    }


@pytest.mark.parametrize("name", NAMES)
def test_real_reports_say_what_they_say(name: str) -> None:
    reports = list(decode(lines_of(name)))
    assert len(reports) == len(ANSWERS[name])
    for report, answer in zip(reports, ANSWERS[name], strict=True):
        found = facts(report)
        assert {key: found[key] for key in answer} == answer


def bare(report: Report) -> Report:
    """Without what the logger adds."""
    return replace(report, uptime_s=None, stamp="", host="")


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("style", STYLES)
def test_the_logger_makes_no_difference(name: str, style: str) -> None:
    lines = lines_of(name)
    expected = [bare(report) for report in decode(lines)]
    found = list(decode(map(STYLES[style], lines)))
    assert [bare(report) for report in found] == expected
    if any(word in style for word in ("syslog", "rfc", "journal")):
        assert found[0].host == "web-7"


def test_time_and_place_are_kept() -> None:
    lines = lines_of("lab-6.12.107-global.log")
    (plain,) = decode(lines)
    (syslog,) = decode(map(STYLES["syslog"], lines))
    (iso,) = decode(map(STYLES["journal short-iso"], lines))
    (dated,) = decode(map(STYLES["dmesg -T"], lines))
    (kmsg,) = decode(map(STYLES["kmsg"], lines))
    assert (plain.uptime_s, plain.stamp, plain.host) == (117.207856, "", "")
    assert (syslog.uptime_s, syslog.stamp, syslog.host) == (117.207856, "Nov  3 03:54:03", "web-7")
    assert (iso.uptime_s, iso.stamp) == (None, "2025-11-03T03:54:03+0100")
    assert dated.stamp == "Mon Nov  3 03:54:57 2025"
    assert kmsg.uptime_s == plain.uptime_s


def test_memory_of_a_whole_machine() -> None:
    (report,) = decode(lines_of("lab-6.12.107-global.log"))
    memory = report.memory
    assert memory is not None
    assert (memory.ram_bytes, memory.reserved_bytes) == (130939 * 4096, 12049 * 4096)
    assert (memory.swap_total_bytes, memory.swap_free_bytes) == (524284 << 10, 0)
    assert memory.counters["slab_unreclaimable"] == 2135 * 4096
    assert memory.nodes[0]["kernel_stack"] == 1072 << 10
    dma, dma32 = memory.zones
    assert (dma.node, dma.name, dma.free_bytes, dma.min_bytes) == (0, "DMA", 1764 << 10, 92 << 10)
    assert (dma32.low_bytes, dma32.high_bytes, dma32.managed_bytes) == (3212 << 10, 3852 << 10, 460200 << 10)
    assert dma32.blocks[:3] == ((4096, 2), (8192, 0), (16384, 1))
    assert memory.hugepages_bytes == 0
    assert not report.page_assumed


def test_a_broken_zone_line_is_whole_again() -> None:
    (report,) = decode(lines_of("01-2.6.31-rc1.log"))
    memory = report.memory
    assert memory is not None
    dma, dma32 = memory.zones
    assert dma.managed_bytes == 15356 << 10  # its name was cut in two: prese/nt
    assert dma32.managed_bytes == 1018080 << 10
    for zone, total_kb in ((dma, 3940), (dma32, 5304)):
        assert sum(size_bytes * count for size_bytes, count in zone.blocks) == total_kb << 10


def test_every_sum_of_free_blocks_is_as_printed() -> None:
    checked = 0
    for name in NAMES:
        for report in decode(lines_of(name)):
            totals = [
                int(line.rpartition("= ")[2].removesuffix("kB"))
                for line in lines_of(name)
                if "*4kB" in line and line.endswith("kB")
            ]
            zones = report.memory.zones if report.memory else ()
            sums = [sum(size * count for size, count in zone.blocks) >> 10 for zone in zones]
            if totals and len(totals) == len(sums):
                assert sums == totals
                checked += 1
    assert checked >= 8


def test_the_table_is_read_by_its_header() -> None:
    (old,) = decode(lines_of("03-3.10.0-514.el7.log"))
    mysqld = next(task for task in old.tasks if task.comm == "mysqld")
    assert (mysqld.uid, mysqld.tgid, mysqld.total_vm_bytes) == (12345, 6576, 33914184 << 10)
    assert mysqld.rss_bytes == 5157063 * 4096
    assert mysqld.pagetables_bytes == 15483 * 4096
    assert mysqld.swap_bytes == 1527848 * 4096
    assert mysqld.rss_anon_bytes is None
    (new,) = decode(lines_of("17-6.12.0-211.el10.ppc64le-memcg-v2.log"))
    (task,) = new.tasks
    assert (task.total_vm_bytes, task.pagetables_bytes, task.swap_bytes) == (571 << 16, 51200, 96 << 16)
    (named,) = decode(lines_of("15-6.10.0-rc1.log"))
    assert [task.comm for task in named.tasks if task.pid in (1044, 2102)] == ["(sd-pam)", "531"]


def test_slabs_and_allocators() -> None:
    (report,) = decode(lines_of("15-6.10.0-rc1.log"))
    assert report.memory is not None
    assert report.memory.slabs[0] == ("kmemleak_object", 879281 << 10)
    assert report.memory.allocations[0] == ("mm/slub.c:2264 func:alloc_slab_page", 3176243200)


@pytest.mark.parametrize("name", NAMES)
def test_plain_data_is_json(name: str) -> None:
    for report in decode(lines_of(name)):
        plain = json.loads(json.dumps(to_json(report), allow_nan=False))
        assert plain["cause"] == report.cause
        assert len(plain["tasks"]) == len(report.tasks)


@pytest.mark.parametrize("name", NAMES)
def test_sentences_are_sentences(name: str) -> None:
    for report in decode(lines_of(name)):
        lines = explain(report)
        assert all(line.isprintable() and line.endswith(".") and line[0] == line[0].upper() for line in lines)


def test_a_growing_log_need_not_end() -> None:
    decoder = Decoder()
    lines = lines_of("lab-6.12.107-memcg_simple.log")
    early = [report for line in lines[:-1] for report in decoder.feed(line)]
    assert early + decoder.flush() == []  # it has no end yet
    assert decoder.feed(lines[-1]) == []  # the oom_reaper may have something to say
    (report,) = decoder.flush()
    assert report.victim is not None
    assert report.victim.pid == 155
    assert decoder.feed("[   12.6] oom_reaper: reaped process 155 (python3), now anon-rss:0kB") == []
    assert decoder.flush() + decoder.finish() == []  # it was handed out already
