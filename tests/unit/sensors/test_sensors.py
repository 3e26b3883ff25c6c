"""The sensors on small trees, and on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.kernel.files import SensorError
from oomguardd.kernel.memcg import Container, container_v1, container_v2
from oomguardd.model import Ramp, Sample, Totals, Unit
from oomguardd.sensors import SENSORS, SIGNALS, Sensor, container_sensors, machine_sensors
from oomguardd.sensors.memory import ContainerMemorySensor, MemorySensor
from oomguardd.sensors.pressure import PressureSensor
from oomguardd.sensors.reclaim import ContainerReclaimSensor, ReclaimSensor
from tests.fakes import GIB, MIB, PAGE, FakeProc


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[FakeProc]:
    with FakeProc(tmp_path) as fake:
        yield fake


@pytest.fixture
def memory(proc: FakeProc) -> Iterator[MemorySensor]:
    sensor = MemorySensor(proc.proc_root, proc.sys_root)
    yield sensor
    sensor.close()


def look(sensor: Sensor, now_s: float = 0.0) -> Sample:
    into: Sample = {}
    sensor.sample(now_s, into)
    return into


# The table


def test_signals_are_named_once_and_refer_to_each_other() -> None:
    names = [signal.name for signal in SIGNALS]
    assert len(names) == len(set(names))
    assert all(signal.total in names for signal in SIGNALS if signal.total)
    assert all((signal.ramp is Ramp.WINDOW) == (signal.window_s > 0) for signal in SIGNALS)
    assert {signal.name for sensor in SENSORS for signal in sensor.signals} == set(names)


def test_what_limits_the_pace() -> None:
    ramps = {signal.name: signal.ramp for signal in SIGNALS}
    assert ramps["mem_available"] is ramps["mem_free"] is Ramp.FILL
    assert ramps["swap_free"] is Ramp.SWAP


def test_the_live_machine_publishes_only_what_the_table_names() -> None:
    units = {signal.name: signal.unit for signal in SIGNALS}
    sensors = machine_sensors()
    into: Sample = {}
    now_s = time.monotonic()
    opened = []
    for step in range(3):
        for sensor in sensors:
            sensor.sample(now_s + step, into)
        opened.append(len(os.listdir("/proc/self/fd")))
    assert set(into) <= set(units)
    assert all(value >= 0 for value in into.values())
    assert all(value <= 100 for name, value in into.items() if units[name] is Unit.PERCENT)
    assert 0 < into["mem_available"] <= into["mem_total"]
    assert {"oom_kills", "reclaim_scan_rate"} <= set(into)
    assert opened[1] == opened[2] == opened[0], "once all is open, no sample opens more"
    for sensor in sensors:
        sensor.close()
        sensor.close()


# Memory


def test_percentages_refer_to_memory_without_huge_pages(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(mem_total=8 * GIB, hugetlb=6 * GIB, mem_available=1 * GIB)
    sample = look(memory)
    assert sample["mem_total"] == 2 * GIB
    assert sample["hugetlb"] == 6 * GIB
    assert sample["mem_available"] == 1 * GIB
    assert memory.totals() == Totals(8 * GIB, 0), "the kernel weighs against all of it"


def test_available_never_exceeds_total(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(mem_total=GIB, mem_available=GIB, mem_free=GIB, hugetlb=GIB // 2)
    sample = look(memory)
    assert sample["mem_available"] == sample["mem_free"] == sample["mem_total"] == GIB // 2


def test_the_arc_counts_above_its_minimum(proc: FakeProc, memory: MemorySensor) -> None:
    assert look(memory, 0.0)["arc_reclaimable"] == 0
    proc.arc(size=100 * MIB, minimum=40 * MIB)
    assert look(memory, 9.0)["arc_reclaimable"] == 0, "the module is looked for every 10 s"
    sample = look(memory, 10.0)
    assert sample["arc_reclaimable"] == 60 * MIB
    assert sample["mem_available"] == 860 * MIB


def test_disk_swap_counts_as_it_is(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(swap_total=2 * GIB, swap_free=1 * GIB)
    assert look(memory)["swap_free"] == 1 * GIB


def test_zram_counts_what_it_would_gain(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(swap_total=4 * GIB, swap_free=3 * GIB)
    proc.zram(size=2 * GIB, used=1 * GIB, orig=1 * GIB, memory=256 * MIB)
    sample = look(memory)
    assert sample["zram_used"] == 256 * MIB
    assert sample["swap_free"] == 2 * GIB + 0.75 * GIB, "the disk's as it is, zram's at a quarter of its size"


def test_an_empty_zram_is_taken_for_two_to_one(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(swap_total=2 * GIB, swap_free=2 * GIB)
    proc.zram(size=2 * GIB, used=0, orig=4096, memory=90000)
    assert look(memory)["swap_free"] == 1 * GIB


def test_zram_that_does_not_compress_gains_nothing(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(swap_total=2 * GIB, swap_free=1 * GIB)
    proc.zram(size=2 * GIB, used=1 * GIB, orig=1 * GIB, memory=2 * GIB)
    assert look(memory)["swap_free"] == 0


def test_the_limit_of_zram(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(swap_total=2 * GIB, swap_free=1 * GIB)
    proc.zram(size=2 * GIB, used=1 * GIB, orig=1 * GIB, memory=512 * MIB, limit=600 * MIB)
    assert look(memory)["swap_free"] == 88 * MIB, "176 MiB fit in, and take 88"


def test_a_garbled_zram_is_an_ordinary_swap(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(swap_total=2 * GIB, swap_free=1 * GIB)
    proc.zram(size=2 * GIB, used=1 * GIB, orig=1 * GIB, memory=512 * MIB)
    Path(proc.sys_root, "block/zram0/mm_stat").write_bytes(b"?")
    sample = look(memory)
    assert (sample["swap_free"], sample["zram_used"]) == (1 * GIB, 0)


def test_zram_that_is_switched_off(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(swap_total=2 * GIB, swap_free=2 * GIB)
    proc.zram(size=2 * GIB, used=1 * GIB, orig=1 * GIB, memory=512 * MIB)
    assert look(memory, 0.0)["zram_used"] > 0
    proc.write("swaps", b"Filename Type Size Used Priority\n")
    sample = look(memory, 10.0)
    assert (sample["swap_free"], sample["zram_used"]) == (2 * GIB, 0)


def test_hidden_bytes(proc: FakeProc, memory: MemorySensor) -> None:
    proc.machine(pcp_pages=1000)
    assert memory.hidden_bytes() == 1000 * PAGE
    proc.write("zoneinfo", b"?")
    assert memory.hidden_bytes() == 0


def test_a_garbled_meminfo_is_an_error_until_it_is_well_again(proc: FakeProc, memory: MemorySensor) -> None:
    proc.write("meminfo", b"MemTotal:  12")
    with pytest.raises(SensorError, match="meminfo"):
        look(memory)
    proc.machine()
    assert look(memory)["mem_total"] == 1 * GIB


def test_without_meminfo_there_is_no_sensor(proc: FakeProc, tmp_path: Path) -> None:
    proc.write("meminfo", b"")
    with pytest.raises(SensorError):
        MemorySensor(proc.proc_root, proc.sys_root)
    with pytest.raises(OSError, match="No such file"):
        MemorySensor(str(tmp_path / "absent"), proc.sys_root)


def test_what_is_missing_is_said(proc: FakeProc) -> None:
    Path(proc.proc_root, "zoneinfo").unlink()
    sensor = MemorySensor(proc.proc_root, proc.sys_root)
    assert sensor.missing[0].startswith("No swap:")
    assert sensor.missing[0].endswith("(add zram or another swap, if that is not meant).")
    assert "zoneinfo" in sensor.missing[1]
    assert sensor.hidden_bytes() == 0
    sensor.close()
    proc.machine(swap_total=GIB)
    full = MemorySensor(proc.proc_root, proc.sys_root)
    assert not any("swap" in said for said in full.missing)
    full.close()


# Pressure


@pytest.fixture
def pressure(proc: FakeProc) -> Iterator[PressureSensor]:
    sensor = PressureSensor(f"{proc.proc_root}/pressure/memory")
    yield sensor
    sensor.close()


def test_the_kernels_averages(proc: FakeProc, pressure: PressureSensor) -> None:
    proc.machine(psi_some_avg10=12.5, psi_full_avg60=3.25)
    sample = look(pressure)
    assert sample == {
        "psi_some_avg10": 12.5,
        "psi_some_avg60": 0.0,
        "psi_full_avg10": 0.0,
        "psi_full_avg60": 3.25,
    }


def test_our_own_windows(proc: FakeProc, pressure: PressureSensor) -> None:
    sample: Sample = {}
    for step in range(320):
        now_s = step * 0.1
        proc.machine(psi_some_total_s=now_s * 0.5, psi_full_total_s=max(0.0, now_s - 30.0))
        sample = look(pressure, now_s)
        assert ("psi_some_2s" in sample) is (now_s >= 1.8)
        assert ("psi_some_10s" in sample) is (now_s >= 9.0)
        assert ("psi_some_30s" in sample) is (now_s >= 27.0)
    assert sample["psi_some_2s"] == pytest.approx(50.0)
    assert sample["psi_some_30s"] == pytest.approx(50.0)
    assert sample["psi_full_2s"] == pytest.approx(95.0, abs=1)
    assert sample["psi_full_10s"] == pytest.approx(19.0, abs=1)


def test_reset_forgets_what_was_before_a_suspend(proc: FakeProc, pressure: PressureSensor) -> None:
    look(pressure, 0.0)
    assert "psi_full_2s" in look(pressure, 2.0)
    proc.machine(psi_full_total_s=100.0)
    pressure.reset()
    assert "psi_full_2s" not in look(pressure, 2.1)
    assert look(pressure, 4.1)["psi_full_2s"] == 0


def test_without_psi_it_says_so_once_and_publishes_nothing(proc: FakeProc) -> None:
    proc.machine(psi=False)
    sensor = PressureSensor(f"{proc.proc_root}/pressure/memory")
    assert "psi=1" in sensor.missing[0]
    assert look(sensor) == {}
    sensor.close()


def test_garbled_pressure(proc: FakeProc) -> None:
    proc.write("pressure/memory", b"?")
    sensor = PressureSensor(f"{proc.proc_root}/pressure/memory")
    assert sensor.missing == ()
    with pytest.raises(SensorError, match="PSI"):
        look(sensor)
    proc.machine(psi_some_avg10=5.0)
    assert look(sensor)["psi_some_avg10"] == 5.0
    sensor.close()


# Reclaim


def test_rates_of_reclaim(proc: FakeProc) -> None:
    sensor = ReclaimSensor(f"{proc.proc_root}/vmstat")
    assert look(sensor, 0.0) == {"oom_kills": 0.0}
    proc.machine(
        pgscan_direct=1000, pgscan_kswapd=1000, pswpin=50, refault_file=10, pgmajfault=30, oom_kill=2
    )
    assert "swap_in_rate" not in look(sensor, 0.9)
    sample = look(sensor, 2.0)
    assert sample["oom_kills"] == 2
    assert sample["reclaim_scan_rate"] == 1000 * PAGE
    assert sample["direct_reclaim_rate"] == 500 * PAGE
    assert sample["swap_in_rate"] == 25 * PAGE
    assert sample["refault_rate"] == 5 * PAGE
    assert sample["major_fault_rate"] == 15
    assert sample["swap_out_rate"] == sample["reclaim_steal_rate"] == 0
    sensor.reset()
    assert look(sensor, 3.0) == {"oom_kills": 2.0}
    proc.write("vmstat", b"")
    with pytest.raises(SensorError, match="vmstat"):
        look(sensor, 4.0)
    sensor.close()


# A container


class FakeCgroup:
    def __init__(self, directory: Path, version: int) -> None:
        directory.mkdir()
        self.directory = directory
        self.container: Container = (container_v2 if version == 2 else container_v1)(str(directory))

    def write(self, **files: str) -> None:
        for field, text in files.items():
            (self.directory / getattr(self.container, field)).write_text(text + "\n")


@pytest.fixture
def v2(tmp_path: Path) -> FakeCgroup:
    group = FakeCgroup(tmp_path / "cgroup", 2)
    group.write(
        maximum=str(500 * MIB),
        current=str(400 * MIB),
        stat=f"anon {300 * MIB}\nshmem {MIB}\ninactive_file {50 * MIB}\nactive_file {50 * MIB}\n"
        "workingset_refault_file 0\npgmajfault 0\npgscan 0\npgsteal 0\npgscan_direct 0\npgsteal_direct 0\n"
        "pswpin 0\npswpout 0",
        events="oom 1\noom_kill 3",
        swap_max="max",
        swap_current=str(10 * MIB),
        pressure="some avg10=7.00 avg60=0.00 avg300=0.00 total=0\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0",
    )
    return group


def test_a_container_of_v2(proc: FakeProc, v2: FakeCgroup) -> None:
    proc.machine(swap_total=GIB, swap_free=GIB)
    sensors = container_sensors(v2.container, proc.proc_root, proc.sys_root)
    into: Sample = {}
    for now_s in (0.0, 2.0):
        for sensor in sensors:
            sensor.sample(now_s, into)
    assert into["mem_total"] == 500 * MIB
    assert into["mem_free"] == 100 * MIB
    assert into["mem_available"] == 195 * MIB
    assert (into["swap_total"], into["swap_free"]) == (GIB, GIB - 10 * MIB)
    assert (into["anon"], into["shmem"], into["oom_kills"]) == (300 * MIB, MIB, 3)
    assert into["psi_some_avg10"] == 7
    assert into["swap_in_rate"] == 0
    assert sensors[0].totals() == Totals(500 * MIB, GIB)
    assert [said for sensor in sensors for said in sensor.missing] == []
    for sensor in sensors:
        sensor.close()


def test_a_container_has_no_more_than_the_machine(proc: FakeProc, v2: FakeCgroup) -> None:
    proc.machine(mem_available=20 * MIB, mem_free=5 * MIB)
    sensor = ContainerMemorySensor(v2.container, MemorySensor(proc.proc_root, proc.sys_root), proc.proc_root)
    sample = look(sensor)
    assert (sample["mem_available"], sample["mem_free"]) == (20 * MIB, 5 * MIB)
    sensor.close()


def test_the_limit_may_be_changed_or_lifted(proc: FakeProc, v2: FakeCgroup) -> None:
    sensor = ContainerMemorySensor(v2.container, MemorySensor(proc.proc_root, proc.sys_root), proc.proc_root)
    assert look(sensor, 0.0)["mem_total"] == 500 * MIB
    v2.write(maximum=str(600 * MIB), swap_max="0")
    assert look(sensor, 10.0)["mem_total"] == 600 * MIB
    v2.write(maximum="max")
    assert look(sensor, 20.0)["mem_total"] == GIB
    assert sensor.hidden_bytes() == 0
    sensor.close()


@pytest.mark.parametrize("field", ["current", "stat", "swap_current"])
def test_a_garbled_container_leaves_the_sample_alone(proc: FakeProc, v2: FakeCgroup, field: str) -> None:
    sensor = ContainerMemorySensor(v2.container, MemorySensor(proc.proc_root, proc.sys_root), proc.proc_root)
    v2.write(**{field: "?"})
    into: Sample = {}
    with pytest.raises(SensorError):
        sensor.sample(0.0, into)
    assert into == {}, "the machine's figures would pass for the container's"
    sensor.close()


def test_a_container_of_v1(proc: FakeProc, tmp_path: Path) -> None:
    proc.machine(swap_total=GIB, swap_free=GIB)
    group = FakeCgroup(tmp_path / "memory", 1)
    group.write(
        maximum=str(500 * MIB),
        current=str(400 * MIB),
        stat=f"total_rss {MIB}\ntotal_inactive_file 0\ntotal_active_file 0\ntotal_pgmajfault 0",
        events="oom_kill_disable 0\nunder_oom 0\noom_kill 1",
        swap_max=str(600 * MIB),
        swap_current=str(430 * MIB),
    )
    sensors = container_sensors(group.container, proc.proc_root, proc.sys_root)
    into: Sample = {}
    for now_s in (0.0, 2.0):
        for sensor in sensors:
            sensor.sample(now_s, into)
    assert (into["mem_total"], into["mem_available"]) == (500 * MIB, 100 * MIB)
    assert (into["swap_total"], into["swap_free"]) == (100 * MIB, 70 * MIB)
    assert (into["oom_kills"], into["major_fault_rate"]) == (1, 0)
    assert "reclaim_scan_rate" not in into
    assert "cgroup v1" in sensors[1].missing[0]
    assert "reclaim_scan_rate" in sensors[2].missing[0]
    for sensor in sensors:
        sensor.close()


def test_a_container_without_events(v2: FakeCgroup) -> None:
    (v2.directory / "memory.events").unlink()
    sensor = ContainerReclaimSensor(v2.container)
    assert "memory.events" in sensor.missing[0]
    assert look(sensor) == {}
    sensor.close()
