"""The short form, on the kernels of Debian 11 to 13 and unstable.

Only when asked for by name: python3 -m pytest tests/vm/test_kernels.py
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from . import image
from .batch import Batch
from .checks import assert_badness, assert_result
from .conftest import Running
from .guest.scenarios import pairs

DAEMON = os.environ.get("OOMGUARD_VM_DAEMON") or "oomguardd"
OURS = DAEMON == "oomguardd"
SHORT = ["fast-leak", "swap"]
pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module", params=image.KERNEL_SUITES)
def running(request: pytest.FixtureRequest, start_batch: Callable[[Batch], Running]) -> Running:
    runs, checks = tuple(pairs([DAEMON], SHORT)), ("badness",) * OURS
    return start_batch(Batch(runs, request.param, image.KERNELS, checks))


@pytest.mark.skipif(not OURS, reason="compares oomguardd's own badness")
def test_badness_is_the_kernels(running: Running) -> None:
    assert_badness(running.result("badness"))


@pytest.mark.parametrize("scenario", SHORT)
def test_scenario(running: Running, scenario: str) -> None:
    assert_result(running.result(scenario, DAEMON))
