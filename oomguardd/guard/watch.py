"""One domain under watch: its sensors, what its triggers make of them, and its victims.

Rule of this file: a sensor that fails is told once per cause and left out of that sample; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oomguardd.engine.pace import Speeds, time_to_act
from oomguardd.engine.triggers import Assessment, Since, assess
from oomguardd.guard.strike import Look
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.files import SensorError
from oomguardd.model import Domain, Level, Sample, Signal, Totals, Trigger
from oomguardd.sensors import Sensor
from oomguardd.sensors.memory import ContainerMemorySensor, MemorySensor

Memory = MemorySensor | ContainerMemorySensor
"""The one sensor that a domain cannot do without."""


class Watch:
    """Senses and assesses one domain. `fault(where, error)` is told of every failure."""

    def __init__(
        self,
        domain: Domain,
        memory: Memory,
        others: tuple[Sensor, ...],
        triggers: tuple[Trigger, ...],
        speeds: Speeds,
        fault: Callable[[str, Exception], None],
    ) -> None:
        self.domain = domain
        self.sensors: tuple[Sensor, ...] = (memory, *others)
        self.triggers = triggers
        self.speeds = speeds
        self.signals: Mapping[str, Signal] = {s.name: s for sensor in self.sensors for s in sensor.signals}
        self._memory = memory
        self._totals = memory.totals()
        self._total_of = {s.name: s.total for s in self.signals.values()}
        self._fault = fault
        self._since: Since = {}

    def look(self) -> Look:
        """Sense and assess. Before anything is ordered, memory that hides in per-CPU lists is counted too."""
        now_s = monotonic_s()
        sample = self._sense(now_s)
        assessment = self._assess(sample, now_s)
        hidden = 0.0
        if assessment.level >= Level.TERM:
            hidden = self._count_hidden(sample)
            assessment = self._assess(sample, now_s)
        self._since = assessment.since
        return Look(sample, assessment, hidden)

    def totals(self) -> Totals:
        """What the kernel measures badness against, now: swap may be added and removed at any time."""
        try:
            self._totals = self._memory.totals()
        except (OSError, SensorError) as error:
            self._fault("totals", error)
        return self._totals

    def time_to_act(self, sample: Sample) -> float:
        """Seconds before anybody could have to be killed."""
        return time_to_act(self.triggers, self.signals, sample, self.speeds)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the sensors do not find here, and what that costs."""
        return tuple(sentence for sensor in self.sensors for sentence in sensor.missing)

    def retune(self, triggers: tuple[Trigger, ...], fill: float | None, swap: float) -> None:
        """Other triggers and speeds from now on; `fill` None keeps what was measured."""
        self.triggers = triggers
        self.speeds = Speeds(fill or self.speeds.fill, swap)

    def reset(self) -> None:
        """Forget what was seen before a gap in time: neither a window nor a `for` goes across it."""
        self._since = {}
        for sensor in self.sensors:
            sensor.reset()

    def restart_holds(self) -> None:
        """What has to hold for a time starts again: it was not watched. Windows of pressure go on: they
        are made of the kernel's own running total."""
        self._since = {}

    def close(self) -> None:
        for sensor in self.sensors:
            sensor.close()

    def _sense(self, now_s: float) -> Sample:
        sample: Sample = {}
        for sensor in self.sensors:
            try:
                sensor.sample(now_s, sample)
            except (OSError, SensorError, ValueError) as error:  # noqa: PERF203  # one must not spoil the others
                self._fault(type(sensor).__name__, error)
        return sample

    def _assess(self, sample: Sample, now_s: float) -> Assessment:
        return assess(self.triggers, sample, self._total_of, self._since, now_s)

    def _count_hidden(self, sample: Sample) -> float:
        """Adds free memory in per-CPU lists to what is available; how much that was."""
        hidden = float(self._memory.hidden_bytes())
        if "mem_available" not in sample:
            return 0.0
        before = sample["mem_available"]
        sample["mem_available"] = min(before + hidden, sample["mem_total"])
        return sample["mem_available"] - before
