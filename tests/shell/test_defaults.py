"""The built-in triggers on machines of every kind: whom they leave alone, and when they do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oomguardd.config import load
from oomguardd.engine.triggers import Assessment, assess
from oomguardd.model import Level, Sample
from oomguardd.sensors import SIGNALS, machine_sensors
from tests.fakes import GIB, MIB, PAGE, FakeProc

STEP_S = 0.5
TOTAL_OF = {signal.name: signal.total for signal in SIGNALS}


class Weather:
    """A machine whose clock is a number: pressure and reclaim go on at a given rate, memory stays."""

    def __init__(self, proc: FakeProc, nowhere: Path) -> None:
        self.triggers = load(None, SIGNALS, str(nowhere), default_path=str(nowhere)).triggers
        self.proc = proc
        self.now_s = 1000.0
        self.sensors = machine_sensors(proc.proc_root, proc.sys_root)
        self._last = Assessment(Level.CALM, (), {})

    def go_on(self, for_s: float, *, full: float = 0.0, scan: float = 0.0) -> set[Level]:
        """All levels of that time. `full`: share of it in which everybody waits; `scan`: bytes/s."""
        levels = set()
        for _ in range(round(for_s / STEP_S)):
            self.now_s += STEP_S
            now = self.proc.now
            self.proc.machine(
                psi_full_total_s=now.psi_full_total_s + full * STEP_S,
                psi_some_total_s=now.psi_some_total_s + full * STEP_S,
                pgscan_kswapd=now.pgscan_kswapd + int(scan * STEP_S / PAGE),
            )
            sample: Sample = {}
            for sensor in self.sensors:
                sensor.sample(self.now_s, sample)
            self._last = assess(self.triggers, sample, TOTAL_OF, self._last.since, self.now_s)
            levels.add(self._last.level)
        return levels

    @property
    def holding(self) -> list[str]:
        return [trigger.name for trigger in self._last.holding]

    def close(self) -> None:
        for sensor in self.sensors:
            sensor.close()


@pytest.fixture
def weather(proc: FakeProc, tmp_path: Path) -> Iterator[Weather]:
    made = Weather(proc, tmp_path / "nothing.toml")
    yield made
    made.close()


def percent(proc: FakeProc, available: float, swap: float | None, total: int = GIB) -> None:
    """So much of memory and swap is left; swap None: there is none."""
    swap_total = 0 if swap is None else total // 2
    left = int(total * available / 100)
    proc.machine(
        mem_total=total,
        mem_available=left,
        mem_free=left // 2,
        swap_total=swap_total,
        swap_free=int(swap_total * (swap or 0) / 100),
    )


@pytest.mark.parametrize("scan_mib", [0, 300])
@pytest.mark.parametrize("available", [25, 60])
def test_a_compile_job_with_free_memory_is_never_shot(
    proc: FakeProc, weather: Weather, available: float, scan_mib: int
) -> None:
    """Everybody waits most of the time, and the page cache is turned over: but there is memory."""
    percent(proc, available, 0)
    assert weather.go_on(60, full=0.8, scan=scan_mib * MIB) == {Level.CALM}


MEMORY_AND_SWAP: list[Any] = [
    (60, 100, Level.CALM),
    (30, 0, Level.CALM),  # swap is full, and nobody suffers
    (4, 60, Level.CALM),  # there is swap, and the machine is slow but alive
    (14, 14, Level.WARN),
    (9, 14, Level.WARN),
    (9, 5, Level.TERM),
    (4, 9, Level.TERM),
    (4, 4, Level.KILL),
    (14, None, Level.WARN),
    (9, None, Level.TERM),
    (4, None, Level.KILL),
]


@pytest.mark.parametrize("psi", [True, False])
@pytest.mark.parametrize(("available", "swap", "level"), MEMORY_AND_SWAP)
def test_memory_and_swap(
    proc: FakeProc, weather: Weather, available: float, swap: float | None, level: Level, psi: bool
) -> None:
    """At once, and with or without PSI."""
    proc.machine(psi=psi)
    percent(proc, available, swap)
    assert weather.go_on(STEP_S) == {level}
    assert weather.go_on(20) == {level}


@pytest.mark.parametrize(
    ("available", "level"),
    [(14, Level.CALM), (9, Level.WARN), (6, Level.TERM), (4, Level.TERM), (3, Level.KILL)],
)
def test_on_a_large_machine_gigabytes_count(
    proc: FakeProc, weather: Weather, available: float, level: Level
) -> None:
    """A tenth of 64 GiB is no shortage."""
    percent(proc, available, None, total=64 * GIB)
    assert weather.go_on(20) == {level}


def test_thrashing_without_swap_left_or_with(proc: FakeProc, weather: Weather) -> None:
    percent(proc, 15, 80)
    levels = weather.go_on(20, full=0.6, scan=50 * MIB)
    assert levels == {Level.CALM, Level.TERM}
    assert weather.holding == ["thrashing"]


def test_hard_thrashing_is_an_emergency_after_a_while(proc: FakeProc, weather: Weather) -> None:
    percent(proc, 12, 80)
    assert weather.go_on(13, full=0.9, scan=50 * MIB) == {Level.CALM, Level.TERM}
    assert weather.go_on(5, full=0.9, scan=50 * MIB) >= {Level.KILL}
    assert "hard-thrashing" in weather.holding


@pytest.mark.parametrize(
    ("available", "full", "scan_mib"),
    [(15, 0.6, 0), (15, 0.3, 50), (25, 0.6, 50)],
    ids=["nothing is reclaimed", "little pressure", "memory is there"],
)
def test_thrashing_needs_all_three(
    proc: FakeProc, weather: Weather, available: float, full: float, scan_mib: int
) -> None:
    percent(proc, available, 80)
    assert weather.go_on(40, full=full, scan=scan_mib * MIB) == {Level.CALM}


def test_one_burst_of_pressure_is_no_thrashing(proc: FakeProc, weather: Weather) -> None:
    percent(proc, 15, 80)
    levels = weather.go_on(20, scan=50 * MIB)
    levels |= weather.go_on(3, full=1.0, scan=500 * MIB)
    levels |= weather.go_on(20, scan=50 * MIB)
    assert levels == {Level.CALM}
