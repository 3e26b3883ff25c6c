"""Runs the guests for the tests: each scenario's test waits for its own result, while the guest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import table
from .batch import Batch, Result, run

RESULTS = pytest.StashKey[list[Result]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = []
    config.addinivalue_line("markers", "vm: boots virtual machines")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The other kernels take their time: only where their file is asked for by name."""
    if collection_path.name == "test_kernels.py" and not any("test_kernels" in word for word in config.args):
        return True
    return None


class Running:
    """A batch whose results are asked for by name."""

    def __init__(self, batch: Batch, config: pytest.Config) -> None:
        self._coming = run(batch, _teller(config))
        self._all = config.stash[RESULTS]
        self._known: dict[tuple[str, str], Result] = {}

    def result(self, scenario: str, daemon: str = "") -> Result:
        """The result of that scenario with that daemon, or of the check of that name, when it is there."""
        while (scenario, daemon) not in self._known:
            result = next(self._coming, None)
            if result is None:
                pytest.fail(f"no guest has a result for {scenario} with {daemon}")
            self._known[result.get("scenario") or result["check"], result.get("daemon", "")] = result
            if "scenario" in result:
                self._all.append(result)
        result = self._known[scenario, daemon]
        if "error" in result:
            pytest.fail(result["error"], pytrace=False)
        return result

    def close(self) -> None:
        self._coming.close()


@pytest.fixture(scope="module")
def start_batch(pytestconfig: pytest.Config) -> Iterator[Callable[[Batch], Running]]:
    """Starts a batch; its guest ends with the module at the latest."""
    started: list[Running] = []

    def start(batch: Batch) -> Running:
        started.append(Running(batch, pytestconfig))
        return started[-1]

    yield start
    for running in started:
        running.close()


def asked(request: pytest.FixtureRequest, parameter: str = "") -> set[str]:
    """What this run asks of the test module (-k and the like): the values of that parameter, or the names of
    the tests without one.
    """
    tests = [
        t for t in request.session.items if isinstance(t, pytest.Function) and t.module is request.module
    ]
    if not parameter:
        return {test.name for test in tests}
    return {str(test.callspec.params[parameter]) for test in tests if hasattr(test, "callspec")}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if results := config.stash[RESULTS]:
        terminalreporter.section("memory scenarios in the virtual machine")
        terminalreporter.write_line(table.text(results))


def _teller(config: pytest.Config) -> Callable[[str], None]:
    """Writes to the terminal as it happens, past pytest's capture."""
    capture = config.pluginmanager.getplugin("capturemanager")
    reporter = config.pluginmanager.getplugin("terminalreporter")

    def tell(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(line)

    return tell
