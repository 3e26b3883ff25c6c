"""The machine's readings, taken by the reporter itself while the guard looks less often than once a second.

The sensors are the guard's own, and need no privileges.
"""

from __future__ import annotations

import contextlib

from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.memcg import find_container
from oomguardd.model import Sample
from oomguardd.sensors import Sensor, container_sensors, machine_sensors


def make_sampler() -> Sampler | None:
    """Of the machine, or in a container of its limit. None where memory cannot be read: the guard says so."""
    try:
        container = find_container()
        return Sampler(machine_sensors() if container is None else container_sensors(container))
    except (OSError, SensorError):
        return None


class Sampler:
    """Call it for what can be read now. What fails is left out: the guard tells of that."""

    def __init__(self, sensors: tuple[Sensor, ...]) -> None:
        self._sensors = sensors

    def __call__(self) -> Sample:
        sample: Sample = {}
        now_s = monotonic_s()
        for sensor in self._sensors:
            with contextlib.suppress(OSError, SensorError, ValueError):
                sensor.sample(now_s, sample)
        return sample

    def close(self) -> None:
        """May be called twice."""
        for sensor in self._sensors:
            sensor.close()
