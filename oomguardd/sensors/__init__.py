"""What the guard feels: each sensor publishes named signals with units into one sample.

A new sensor is one file, and its class in SENSORS and its table in SIGNALS.
"""

from __future__ import annotations

from collections.abc import Mapping

from oomguardd.kernel.memcg import Container
from oomguardd.model import Signal
from oomguardd.sensors import memory, pressure, reclaim
from oomguardd.sensors.base import Sensor
from oomguardd.sensors.memory import ContainerMemorySensor, MemorySensor
from oomguardd.sensors.pressure import PressureSensor
from oomguardd.sensors.reclaim import ContainerReclaimSensor, ReclaimSensor

SENSORS: tuple[type[Sensor], ...] = (MemorySensor, PressureSensor, ReclaimSensor)
SIGNALS: tuple[Signal, ...] = memory.SIGNALS + pressure.SIGNALS + reclaim.SIGNALS
"""Every signal that a trigger may name, whatever this machine has."""
SIGNAL_OF: Mapping[str, Signal] = {signal.name: signal for signal in SIGNALS}
"""By name."""

__all__ = ["SENSORS", "SIGNALS", "SIGNAL_OF", "Sensor", "container_sensors", "machine_sensors"]


def machine_sensors(
    proc_root: str = "/proc", sys_root: str = "/sys"
) -> tuple[MemorySensor, PressureSensor, ReclaimSensor]:
    """The machine's. SensorError or OSError without a usable /proc/meminfo or vmstat."""
    return (
        MemorySensor(proc_root, sys_root),
        PressureSensor(f"{proc_root}/pressure/memory"),
        ReclaimSensor(f"{proc_root}/vmstat"),
    )


def container_sensors(
    container: Container, proc_root: str = "/proc", sys_root: str = "/sys"
) -> tuple[ContainerMemorySensor, PressureSensor, ContainerReclaimSensor]:
    """The same signals, of what a cgroup's limit leaves. SensorError, OSError."""
    return (
        ContainerMemorySensor(container, MemorySensor(proc_root, sys_root), proc_root),
        PressureSensor(container.pressure and f"{container.directory}/{container.pressure}"),
        ContainerReclaimSensor(container),
    )
