"""The short form, on the kernels of Debian 11 to 13 and unstable.

Only when asked for by name: python3 -m pytest tests/vm/test_kernels.py
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from . import image
from .batch import Batch
from .conftest import Running
from .guest.scenarios import pairs

DAEMON = os.environ.get("OOMGUARD_VM_DAEMON") or "oomguardd"
OURS = DAEMON == "oomguardd"
SHORT = ["fast-leak", "swap"]
pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module", params=image.KERNEL_SUITES)
def running(request: pytest.FixtureRequest, start_batch: Callable[[Batch], Running]) -> Running:
    return start_batch(Batch(tuple(pairs([DAEMON], SHORT)), request.param, image.KERNELS, badness=OURS))


@pytest.mark.skipif(not OURS, reason="compares oomguardd's own badness")
def test_badness_is_the_kernels(running: Running) -> None:
    check = running.result("badness")
    assert check["wrong"] == 0, check["rows"]
    assert check["exact"] >= 0.9 * check["compared"], check["rows"]
    assert check["swapped_mib"] > 100
    assert check["negative_adj"] > 0
    assert check["zombie_leaders"] > 0


@pytest.mark.parametrize("scenario", SHORT)
def test_scenario(running: Running, scenario: str) -> None:
    result = running.result(scenario, DAEMON)
    log = "\n".join(result["log"])
    assert result["runs"], f"{DAEMON} does not run\n{log}"
    assert result["right_victim"], f"{result}\n{log}"
    assert result["guard_survived"], f"{DAEMON} ended in the middle\n{log}"
    assert result["kernel_oom_kills"] == 0, f"the kernel had to kill\n{log}"
    assert result["canary"], "the canary was killed"
