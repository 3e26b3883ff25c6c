"""What oomguardd promises, on a machine that really runs out of memory.

Another daemon can be put in its place: OOMGUARD_VM_DAEMON=earlyoom.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from .batch import Batch
from .checks import assert_badness, assert_result
from .conftest import Running, asked
from .guest.scenarios import SCENARIOS, pairs
from .table import stall_s

DAEMON = os.environ.get("OOMGUARD_VM_DAEMON") or "oomguardd"
OURS = DAEMON == "oomguardd"
RUNS = pairs([DAEMON])
# Left to the kernel's own killer, this guest stalls for 35 s and more; this bound only says "not that", on
# a host that may be busy. How we stand against the peers is for the bench, which runs them side by side.
STALL_LIMIT_S = 30.0
pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, start_batch: Callable[[Batch], Running]) -> Running:
    names = asked(request, "scenario")
    runs = tuple((scenario, daemon) for scenario, daemon in RUNS if scenario.name in names)
    checks = ("badness",) if OURS and "test_badness_is_the_kernels" in asked(request) else ()
    return start_batch(Batch(runs, checks=checks))


@pytest.mark.skipif(not OURS, reason="compares oomguardd's own badness")
def test_badness_is_the_kernels(running: Running) -> None:
    assert_badness(running.result("badness"))


@pytest.mark.parametrize("scenario", [scenario.name for scenario, _ in RUNS])
def test_scenario(running: Running, scenario: str) -> None:
    result = running.result(scenario, DAEMON)
    log = "\n".join(result["log"])
    assert_result(result)
    stall = stall_s(result)
    assert stall is not None
    assert stall <= STALL_LIMIT_S, f"stalled for {stall} s: {result['canary']}\n{log}"
    if OURS:
        assert result["guard_majflt"] == 0, log
        assert result["decisions"] == 1 or not SCENARIOS[scenario].at_once, log
    if scenario == "guard-stalled":
        assert "the previous guard stalled" in log
        assert "the main loop was" in log, "the watchdog's evidence was lost"
