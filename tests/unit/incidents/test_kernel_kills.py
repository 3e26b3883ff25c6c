"""The kernel's own reports, as the watchers record them, become pages and advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from oomguardd.history.incident import Incident
from oomguardd.incidents.advice import advise
from oomguardd.incidents.page import page
from oomguardd.oomlog import decode
from oomguardd.reporter.watchers.docket import Movement
from oomguardd.reporter.watchers.records import movement_record, report_record
from tests.unit.incidents.scene import NOON_S, SIGNALS_BY_NAME
from tests.unit.incidents.test_page import Outline

LOGS = sorted((Path(__file__).parents[2] / "oomlogs").glob("*.log"))


def incidents_of(path: Path) -> list[Incident]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = []
    for report in decode(lines):
        if report.victim is not None:
            record = report_record(report, "kmsg", "boot", NOON_S, ())
            found.append(Incident("k", NOON_S, record, (record,), ()))
    return found


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_real_report_makes_a_page(path: Path) -> None:
    for incident in incidents_of(path):
        outline = Outline(page(incident, SIGNALS_BY_NAME))
        assert outline.stack == []
        assert str(incident.kill["comm"]) in outline.text
        assert "What the kernel said" in outline.text
        assert advise(incident)


def test_a_limit_that_was_reached_is_named_with_its_size() -> None:
    (incident,) = incidents_of(LOGS[0].parent / "lab-6.12.107-memcg_simple.log")
    text = Outline(page(incident, SIGNALS_BY_NAME)).text
    assert "The reason: the memory limit of" in text
    assert "Who could have been killed" in text
    assert advise(incident)[0].title == "Raise the limit, or find what grew"


def test_a_whole_group_is_shown_by_name() -> None:
    (incident,) = incidents_of(LOGS[0].parent / "lab-6.12.107-memcg_oom_group.log")
    text = Outline(page(incident, SIGNALS_BY_NAME)).text
    assert "Killed together: 2 processes" in text


def test_nothing_is_to_change_when_somebody_asked_for_it() -> None:
    (incident,) = incidents_of(LOGS[0].parent / "lab-6.12.107-sysrq_f.log")
    assert "SysRq-f" in advise(incident)[0].why


def test_a_kill_that_only_a_counter_tells_of_has_no_name() -> None:
    record = movement_record(Movement("vmstat", NOON_S, 3, 7), "boot", NOON_S, ["nobody knows more"])
    incident = Incident("k", NOON_S, record, (record,), ())
    text = Outline(page(incident, SIGNALS_BY_NAME)).text
    assert "The kernel killed 3 processes" in text
    assert "?" not in text.partition("What happened, in words")[0]
    assert advise(incident)[0].title == "Nothing to change"
