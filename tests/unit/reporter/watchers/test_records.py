"""Records of others' kills, from real reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oomguardd.engine.explain import describe
from oomguardd.oomlog import Report, decode
from oomguardd.reporter.watchers.docket import Movement
from oomguardd.reporter.watchers.records import (
    LONGEST_REPORT_BYTES,
    foreign_record,
    movement_record,
    report_record,
    surplus_record,
    trimmed,
)

LOGS = Path(__file__).parents[3] / "oomlogs"


def reports(name: str) -> list[Report]:
    return [each for each in decode((LOGS / name).read_text().splitlines()) if each.victims]


def test_a_simple_one() -> None:
    (report,) = reports("lab-6.12.107-memcg_simple.log")
    record = report_record(report, "kmsg", "0123abcd", 50.0, ["first"])
    assert record["pid"] == 155
    assert (record["cgroup"], record["limit_cgroup"], record["constraint"]) == ("/simple", "/simple", "memcg")
    assert record["held_bytes"] == (54200 + 0 + 5700) << 10
    assert (record["count"], record["oom_score_adj"]) == (1, 100)
    why = record["why"]
    assert isinstance(why, list)
    assert why[0] == "first"
    assert len(why) > 1
    again = report_record(report, "journal", "0123abcd", 51.0, [])
    assert again["key"] == record["key"], "whichever way it was read"


def test_a_group_is_one_record() -> None:
    (report,) = reports("lab-6.12.107-memcg_oom_group.log")
    record = report_record(report, "kmsg", "b", 50.0, [])
    assert record["count"] == 2
    members = record["members"]
    assert isinstance(members, list)
    assert members[0][:2] == [165, "python3"]
    assert "and 1 other" in describe(record)[0]


def test_the_whole_machine_has_no_limit() -> None:
    (report,) = reports("lab-6.12.107-global.log")
    record = report_record(report, "kmsg", "b", 50.0, [])
    assert record["constraint"] == "none"
    assert "limit_cgroup" not in record


def test_the_counters_place_a_bare_line() -> None:
    (report,) = decode(["[1.0] Memory cgroup out of memory: Killed process 5 (x) total-vm:1kB, anon-rss:1kB"])
    place = Movement("oom_control", 1.0, 1, 1, "/docker/" + "a" * 64, "/docker")
    record = report_record(report, "kmsg", "b", 50.0, [], place)
    assert (record["cgroup"], record["limit_cgroup"]) == (place.cgroup, "/docker")
    assert record["owner"] == "Docker container aaaaaaaaaaaa"


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.log")), ids=lambda path: path.name)
def test_every_real_report_makes_a_record_that_is_not_too_large(path: Path) -> None:
    for report in reports(path.name):
        record = report_record(report, "kmsg", "b", 50.0, [])
        assert len(json.dumps(record)) <= LONGEST_REPORT_BYTES + 12000
        assert all(line.isprintable() for line in describe(record))


def test_counters_only() -> None:
    record = movement_record(Movement("vmstat", 1.0, 2, 9), "b", 50.0, ["nobody was named"])
    assert record["count"] == 2
    assert record["key"] == "kernel:b:vmstat::9"
    assert "cgroup" not in record
    placed = movement_record(Movement("memory.events", 1.0, 1, 3, "/a.slice", "/a.slice"), "b", 50.0, [])
    assert (placed["owner"], placed["constraint"]) == ("slice a.slice", "memcg")


def test_what_came_too_fast() -> None:
    assert surplus_record(70, "b", 50.0, "/a")["count"] == 70


def test_another_daemons() -> None:
    record = foreign_record("earlyoom", 50.0, "b", 1, ["w"], pid=7, comm="tail", cgroup="")
    assert (record["by"], record["pid"], record["key"]) == ("earlyoom", 7, "foreign:b:earlyoom:7:50")
    assert "cgroup" not in record


def test_the_largest_rows_are_kept() -> None:
    tasks = [{"pid": pid, "rss_bytes": pid} for pid in range(1000)]
    cut = trimmed({"tasks": tasks, "text": "x" * 5000})
    kept = cut["tasks"]
    assert isinstance(kept, list)
    assert kept[0] == {"pid": 999, "rss_bytes": 999}
    assert len(kept) == 20
    huge = {"memory": {f"k{n}": ["y" * 300] * 20 for n in range(100)}, "cause": "global"}
    assert trimmed(huge) == {"cause": "global"}
