"""Each kill is told once, whether the log or the counters come first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguardd.reporter.watchers.docket import Docket, Movement, Valve


def machine(at_s: float, kills: int = 1) -> Movement:
    return Movement("vmstat", at_s, kills, 10)


def place(at_s: float, cgroup: str = "/a", kills: int = 1) -> Movement:
    return Movement("memory.events", at_s, kills, 3, cgroup, cgroup)


def test_a_report_explains_the_counter_that_moves_after_it() -> None:
    docket = Docket(machine_counts=True)
    assert docket.report([1], 1, ["/a"], 0.0)
    docket.moved(machine(1.0))
    docket.moved(place(1.0))
    assert docket.due(10.0) == []


def test_a_report_explains_the_counter_that_moved_before_it() -> None:
    docket = Docket(machine_counts=True)
    docket.moved(machine(0.0))
    docket.moved(place(0.0))
    assert docket.due(1.9) == []
    assert docket.report([1], 1, ["/a"], 1.9)
    assert docket.due(10.0) == []


def test_without_a_report_the_counters_tell_where() -> None:
    docket = Docket(machine_counts=True)
    docket.moved(machine(0.0, kills=3))
    docket.moved(place(0.1, "/a"))
    docket.moved(place(0.1, "/b"))
    assert docket.due(1.9) == []
    found = docket.due(2.0)
    assert [(each.source, each.cgroup, each.kills) for each in found] == [
        ("memory.events", "/a", 1),
        ("memory.events", "/b", 1),
        ("vmstat", "", 1),
    ]
    assert docket.due(20.0) == []


def test_a_report_that_explains_only_a_part() -> None:
    docket = Docket(machine_counts=True)
    docket.moved(machine(0.0, kills=2))
    docket.moved(place(0.0, "/a"))
    docket.moved(place(0.0, "/b"))
    assert docket.report([1], 1, ["/a"], 0.5)
    assert [(each.cgroup, each.kills) for each in docket.due(3.0)] == [("/b", 1)]


def test_a_kill_that_is_logged_twice_is_one() -> None:
    docket = Docket(machine_counts=True)
    assert docket.report([1, 2], 3, [], 0.0)
    assert not docket.report([1], 1, [], 5.0)
    assert docket.report([1, 3], 1, [], 5.0), "one of them is new"
    assert docket.report([1], 1, [], 20.0), "the pid is somebody else by now"


def test_a_group_counts_one_more_than_die() -> None:
    docket = Docket(machine_counts=True)
    assert docket.report([1, 2], 3, ["/a"], 0.0)
    docket.moved(machine(0.5, kills=3))
    assert docket.due(5.0) == []


def test_without_a_machines_counter_the_cgroups_count() -> None:
    docket = Docket(machine_counts=False)
    docket.moved(place(0.0))
    assert [each.cgroup for each in docket.due(2.0)] == ["/a"]
    assert docket.report([1], 1, ["/a"], 10.0)
    docket.moved(place(10.5))
    assert docket.due(20.0) == []


def test_an_old_report_explains_nothing_new() -> None:
    docket = Docket(machine_counts=True)
    docket.report([1], 1, ["/a"], 0.0)
    docket.moved(machine(4.0))
    assert [each.kills for each in docket.due(6.0)] == [1]


def test_a_bare_line_gets_its_cgroup_from_the_counters() -> None:
    docket = Docket(machine_counts=True)
    docket.report([1], 1, ["/a"], 0.0)
    docket.moved(place(0.1, "/a"))
    assert docket.place(1, 0.2) is None, "that one was explained"
    docket.report([2], 1, [], 0.3)
    docket.moved(place(0.3, "/b"))
    found = docket.place(1, 0.3)
    assert found is not None
    assert found.cgroup == "/b"
    assert docket.place(1, 0.3) is None, "given once"


def test_two_cgroups_are_not_clear() -> None:
    docket = Docket(machine_counts=True)
    docket.moved(place(0.0, "/a"))
    docket.moved(place(0.0, "/b"))
    assert docket.place(1, 0.1) is None


STEPS = st.lists(st.tuples(st.sampled_from(["report", "moved"]), st.floats(0, 0.5)), max_size=40)


@given(STEPS)
def test_no_kill_is_told_twice_and_none_is_forgotten(steps: list[tuple[str, float]]) -> None:
    """However they interleave, where both always come within the time that they have."""
    docket = Docket(machine_counts=True)
    reports = sum(kind == "report" for kind, _ in steps)
    moved = sum(kind == "moved" for kind, _ in steps)
    for number, (kind, at_s) in enumerate(sorted(steps, key=lambda step: step[1])):
        if kind == "report":
            docket.report([number + 1], 1, [], at_s)
        else:
            docket.moved(machine(at_s))
    assert sum(each.kills for each in docket.due(100.0)) == max(0, moved - reports)


def test_a_valve_lets_so_many_through_and_counts_the_rest() -> None:
    valve = Valve(2, 10.0)
    assert [valve.open(at_s) for at_s in (0.0, 1.0, 2.0)] == [True, True, False]
    assert not valve.open(3.0, kills=4)
    assert valve.rest(5.0) == 0
    assert valve.rest(10.0) == 5
    assert valve.rest(11.0) == 0
    assert valve.open(10.0)
