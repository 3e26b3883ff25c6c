from __future__ import annotations

from typing import Any

import pytest

from oomguardd.config.conditions import parse_condition, parse_conditions
from oomguardd.config.files import Source
from oomguardd.config.triggers import TriggerReader
from oomguardd.model import Condition, Level, Signal, Trigger, Unit

SIGNALS = {
    signal.name: signal
    for signal in (
        Signal("mem_available", Unit.BYTES, "Available.", total="mem_total"),
        Signal("mem_total", Unit.BYTES, "All."),
        Signal("psi_full_10s", Unit.PERCENT, "Stall."),
        Signal("reclaim_scan_rate", Unit.BYTES_PER_S, "Scanned."),
        Signal("major_fault_rate", Unit.PER_S, "Faults."),
        Signal("oom_kills", Unit.COUNT, "Kills."),
    )
}


def read(*tables: list[Any] | dict[str, Any]) -> tuple[tuple[Trigger, ...], list[str]]:
    """The triggers and problems of files that each hold one of `tables`."""
    reader = TriggerReader(SIGNALS.values())
    reader.add([Source(f"f{number}", {"trigger": each}) for number, each in enumerate(tables, 1)])
    triggers = reader.finish()
    return triggers, [str(problem) for problem in reader.problems]


def table(**keys: Any) -> dict[str, Any]:
    return {"level": "kill", "mem_available": "<10%"} | keys


@pytest.mark.parametrize(
    ("signal", "text", "below", "bound", "relative"),
    [
        ("mem_available", "<10%", True, 10, True),
        ("mem_available", " < 1.5 GiB ", True, 3 << 29, False),
        ("mem_available", ">0.5%", False, 0.5, True),
        ("psi_full_10s", ">40%", False, 40, False),
        ("reclaim_scan_rate", ">10M", False, 10 << 20, False),
        ("reclaim_scan_rate", ">10M/s", False, 10 << 20, False),
        ("major_fault_rate", ">100", False, 100, False),
        ("major_fault_rate", ">100/s", False, 100, False),
        ("oom_kills", ">0", False, 0, False),
    ],
)
def test_a_condition(signal: str, text: str, below: bool, bound: float, relative: bool) -> None:
    assert parse_condition(SIGNALS[signal], text) == Condition(signal, below, bound, relative, text.strip())


@pytest.mark.parametrize(
    ("signal", "raw", "message"),
    [
        ("mem_available", "10%", 'has no comparison (write it like "<10%" or "<512M")'),
        ("mem_available", 10, 'has no comparison (write it like "<10%" or "<512M")'),
        ("mem_available", True, "has no comparison"),
        ("mem_available", "<=10%", '(write "<10%")'),
        ("mem_available", ">= 4G", '(write ">4G")'),
        ("mem_available", "<10", '"10" has no unit (write it like "<10%" or "<512M")'),
        ("mem_available", "<101%", "is more than 100%"),
        ("mem_available", "<", "has no unit"),
        ("mem_available", "<-1G", "is not a size"),
        ("mem_available", "<10M/s", "is not a size"),
        ("mem_total", "<10%", 'has no total to take a percentage of (write it like "<512M")'),
        ("psi_full_10s", ">4G", "is not a percentage"),
        ("psi_full_10s", ">40", "is not a percentage"),
        ("psi_full_10s", ">140%", "is more than 100%"),
        ("reclaim_scan_rate", ">10", "is a size without a unit"),
        ("reclaim_scan_rate", ">10%", "has no total"),
        ("major_fault_rate", ">10M", "is not a plain number"),
        ("oom_kills", ">1/s", "is not a plain number"),
        ("oom_kills", ">nan", "is not a number"),
        ("mem_available", {}, "a table is not a comparison"),
        ("mem_available", [["<10%"]], "a list is not a comparison"),
        ("mem_available", [], 'an empty list compares with nothing (write "<10%" or "<512M", or "off")'),
    ],
)
def test_a_wrong_condition_is_refused_with_the_remedy(signal: str, raw: object, message: str) -> None:
    with pytest.raises(ValueError, match=r"\(.*\)$") as caught:
        parse_conditions(SIGNALS[signal], raw)
    assert message in str(caught.value)


def test_a_list_tells_everything_that_is_wrong_in_it() -> None:
    with pytest.raises(ValueError, match=r"has no unit.*; .*has no comparison"):
        parse_conditions(SIGNALS["mem_available"], ["<5", "<4G", "4G"])


def test_all_keys_of_a_trigger() -> None:
    both = {"mem_available": ["<10%", "<4G"], "psi_full_10s": ">40%"}
    triggers, problems = read(
        [{"name": "my-own_1", "level": "terminate", "for": "10s", "enabled": True} | both]
    )
    assert problems == []
    assert triggers == (
        Trigger(
            "my-own_1",
            Level.TERM,
            (
                Condition("mem_available", True, 10.0, True, "<10%"),
                Condition("mem_available", True, 4 << 30, False, "<4G"),
                Condition("psi_full_10s", False, 40.0, False, ">40%"),
            ),
            10.0,
        ),
    )


def test_unnamed_triggers_are_numbered_over_all_files_around_names_that_are_taken() -> None:
    triggers, problems = read([table(), table(name="trigger-3")], [table(), table()])
    assert problems == []
    assert [trigger.name for trigger in triggers] == ["trigger-1", "trigger-3", "trigger-2", "trigger-4"]


def test_a_later_file_changes_only_the_keys_that_it_gives() -> None:
    before = table(name="a", psi_full_10s=">40%", **{"for": "3s"})
    triggers, problems = read([before], [{"name": "a", "mem_available": "<5%"}])
    assert problems == []
    assert (triggers[0].level, triggers[0].for_s) == (Level.KILL, 3.0)
    assert [condition.text for condition in triggers[0].conditions] == ["<5%", ">40%"]


def test_a_later_file_takes_a_condition_out_with_off() -> None:
    triggers, problems = read([table(name="a", psi_full_10s=">40%")], [{"name": "a", "psi_full_10s": "off"}])
    assert problems == []
    assert [condition.signal for condition in triggers[0].conditions] == ["mem_available"]


def test_a_trigger_is_removed_and_brought_back() -> None:
    assert read([table(name="a")], [{"name": "a", "enabled": False}]) == ((), [])
    triggers, _ = read([table(name="a")], [{"name": "a", "enabled": False}], [{"name": "a", "enabled": True}])
    assert [trigger.name for trigger in triggers] == ["a"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([table(name="a"), table(name="a")], "f1: trigger.a: is there twice (rename or join them)"),
        (
            [{"name": "a", "mem_available": "<5%"}],
            "f1: trigger.a: no such trigger to change or remove (a new one needs level =",
        ),
        ([{"name": "a", "level": "warn"}], "f1: trigger.a: has no condition (write one like"),
        ([table(mem_available="off")], "f1: trigger.trigger-1: has no condition"),
        ([table(level="maim")], 'f1: trigger.trigger-1.level: "maim" is not one of the choices'),
        ([table(level=3)], 'f1: trigger.trigger-1.level: "3" is not one of the choices'),
        ([table(enabled="no")], 'f1: trigger.trigger-1.enabled: "no" is text (write it like true)'),
        ([table(**{"for": 5})], 'f1: trigger.trigger-1.for: "5" is a duration without a unit'),
        ([table(**{"for": "2h"})], 'f1: trigger.trigger-1.for: "2h" is out of range (write at most 1h)'),
        ([table(name="A b")], 'f1: trigger.A b.name: "A b" is not a name (use a to z, 0 to 9, - and _)'),
        ([table(name="")], 'f1: trigger..name: "" is not a name'),
        ([table(name="é")], 'f1: trigger.é.name: "é" is not a name'),
        ([table(name=[1])], "f1: trigger.trigger-1.name: a list is not a name"),
        ([table(mem_avialable="<5%")], 'no such key or signal (did you mean "mem_available"?)'),
        ([table(leve="warn")], 'no such key or signal (did you mean "level"?)'),
        ([table(zzzzzz="<5%")], "no such key or signal (see the list of signals"),
        (table(), "f1: trigger: a table at a wrong place (write [[trigger]] and its keys below)"),
        ([5], "f1: trigger: a number at a wrong place (write [[trigger]] and its keys below)"),
    ],
)
def test_a_wrong_trigger_is_one_problem_with_its_place_and_remedy(tables: Any, message: str) -> None:
    _, problems = read(tables)
    assert len(problems) == 1
    assert message in problems[0]


def test_removing_a_misspelt_trigger_is_a_problem_because_the_meant_one_stays() -> None:
    _, problems = read([table(name="thrashing")], [{"name": "trashing", "enabled": False}])
    assert len(problems) == 1
    assert 'no such trigger to change or remove (did you mean "thrashing"?' in problems[0]


def test_all_problems_of_a_trigger_are_told() -> None:
    _, problems = read([{"level": "x", "for": 1, "mem_available": "1", "foo_bar_baz": 1}])
    assert len(problems) == 4
