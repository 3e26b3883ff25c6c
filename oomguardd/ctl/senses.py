"""The machine's readings, or in a container those of its limit: with the same sensors as the guard."""

from __future__ import annotations

from collections.abc import Mapping

from oomguardd.ctl.console import Trouble
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.memcg import Container, find_container
from oomguardd.model import Sample, Totals
from oomguardd.sensors import SIGNALS, Sensor, container_sensors, machine_sensors
from oomguardd.sensors.memory import ContainerMemorySensor, MemorySensor

TOTAL_OF: Mapping[str, str] = {signal.name: signal.total for signal in SIGNALS}
"""Signal -> the one that its percentages refer to."""


class Senses:
    """All sensors of one domain. Trouble where memory cannot be read at all."""

    def __init__(self) -> None:
        container = find_container()
        self.domain = "machine" if container is None else "container"
        self.inside = container is not None
        self._faults: dict[str, None] = {}
        try:
            self._memory, self._others = _sensors(container)
        except (OSError, SensorError) as error:
            raise Trouble(f"memory cannot be read: {error}; is /proc mounted?") from None

    def sample(self, now_s: float) -> Sample:
        """What can be read now; rates and windows need several looks."""
        sample: Sample = {}
        for sensor in (self._memory, *self._others):
            try:
                sensor.sample(now_s, sample)
            except (OSError, SensorError, ValueError) as error:  # noqa: PERF203  # one must not spoil the others
                self._faults[f"{type(sensor).__name__}: {error}"] = None
        return sample

    def totals(self) -> Totals:
        """What badness is measured against. SensorError, OSError."""
        return self._memory.totals()

    def hidden_bytes(self) -> int:
        """Free memory that MemAvailable does not count; the guard adds it before it acts."""
        return self._memory.hidden_bytes()

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not to be had here, in sentences."""
        absent = (sentence for sensor in (self._memory, *self._others) for sentence in sensor.missing)
        return (*absent, *self._faults)

    def close(self) -> None:
        for sensor in (self._memory, *self._others):
            sensor.close()


def _sensors(
    container: Container | None,
) -> tuple[MemorySensor | ContainerMemorySensor, tuple[Sensor, ...]]:
    if container is None:
        memory, stalls, reclaim = machine_sensors()
        return memory, (stalls, reclaim)
    limited, pressure, activity = container_sensors(container)
    return limited, (pressure, activity)
