"""Prometheus and promtool for the tests here; without them the tests are skipped, and say what to install."""

from __future__ import annotations

import pytest

from tests.prometheus.tools import MissingTools, Tools, ensure_tools


@pytest.fixture(scope="session")
def tools() -> Tools:
    try:
        return ensure_tools()
    except MissingTools as missing:
        pytest.skip(str(missing))
