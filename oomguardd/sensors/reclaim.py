"""How hard the kernel works to get memory back, as rates over the last two seconds."""

from __future__ import annotations

from typing import ClassVar

from oomguardd.kernel.files import HeldFile
from oomguardd.kernel.memcg import Container, parse_memcg_stat, parse_oom_kills, uncounted
from oomguardd.kernel.vmstat import Vmstat, parse_vmstat
from oomguardd.model import Ramp, Sample, Signal, Unit
from oomguardd.sensors.history import History

SPAN_S = 2.0
_LEAST_S = 1.0
"""Reclaim comes in bursts of tenths of a second; over less than this a rate says nothing."""

_RATES = (
    Signal("reclaim_scan_rate", Unit.BYTES_PER_S, "Memory that reclaim looks at", window_s=SPAN_S),
    Signal("reclaim_steal_rate", Unit.BYTES_PER_S, "Memory that reclaim gets back", window_s=SPAN_S),
    Signal(
        "direct_reclaim_rate",
        Unit.BYTES_PER_S,
        "Memory that processes look at themselves because they cannot wait for reclaim",
        window_s=SPAN_S,
    ),
    Signal(
        "refault_rate",
        Unit.BYTES_PER_S,
        "Memory that is read again soon after it was reclaimed: thrashing",
        window_s=SPAN_S,
    ),
    Signal("swap_in_rate", Unit.BYTES_PER_S, "Memory read back from swap", window_s=SPAN_S),
    Signal("swap_out_rate", Unit.BYTES_PER_S, "Memory written to swap", window_s=SPAN_S),
    Signal("major_fault_rate", Unit.PER_S, "Page faults that had to wait for a device", window_s=SPAN_S),
)
"""In the order of Vmstat's fields."""

SIGNALS = (
    *(signal._replace(ramp=Ramp.WINDOW) for signal in _RATES),
    Signal("oom_kills", Unit.COUNT, "Processes killed by the kernel's own OOM killer, in all"),
)

_RATE_NAMES = tuple(signal.name for signal in _RATES)


class ReclaimSensor:
    """The machine's, from /proc/vmstat. SensorError or OSError if there is none."""

    signals: ClassVar[tuple[Signal, ...]] = SIGNALS

    def __init__(self, path: str) -> None:
        self.missing: tuple[str, ...] = ()
        self._history = History(SPAN_S, _LEAST_S)
        self._file = HeldFile(path, size=16384, in_records=True)

    def sample(self, now_s: float, into: Sample) -> None:
        """SensorError, OSError."""
        counters = parse_vmstat(self._file.read())
        into["oom_kills"] = float(counters.oom_kills)
        _publish(self._history, now_s, counters, _RATE_NAMES, into)

    def reset(self) -> None:
        """Start the rates anew."""
        self._history.clear()

    def close(self) -> None:
        """May be called twice."""
        self._file.close()


class ContainerReclaimSensor:
    """A cgroup's, from memory.stat and memory.events. OSError if there is no memory.stat."""

    signals: ClassVar[tuple[Signal, ...]] = SIGNALS

    def __init__(self, container: Container) -> None:
        self.missing: tuple[str, ...] = ()
        self._history = History(SPAN_S, _LEAST_S)
        self._version = container.version
        self._events: HeldFile | None = None
        self._stat = HeldFile(f"{container.directory}/{container.stat}", size=16384)
        absent = uncounted(self._stat.read(), container.version)
        # Zero would claim that there is none of it.
        self._names = tuple(
            "" if field in absent else name for field, name in zip(Vmstat._fields, _RATE_NAMES, strict=False)
        )
        if absent:
            lost = ", ".join(name for name in _RATE_NAMES if name not in self._names)
            self.missing += (f"Not counted for cgroups here: {lost}. Conditions on them never hold.",)
        try:
            self._events = HeldFile(f"{container.directory}/{container.events}", size=1024)
        except OSError as error:
            self.missing += (f"No {container.events} ({error.strerror}): kills by the kernel go unnoticed.",)

    def sample(self, now_s: float, into: Sample) -> None:
        """SensorError, OSError."""
        counters = parse_memcg_stat(self._stat.read(), self._version).activity
        _publish(self._history, now_s, counters, self._names, into)
        if self._events is not None:
            into["oom_kills"] = float(parse_oom_kills(self._events.read()))

    def reset(self) -> None:
        """Start the rates anew."""
        self._history.clear()

    def close(self) -> None:
        """May be called twice."""
        self._stat.close()
        if self._events is not None:
            self._events.close()


def _publish(history: History, now_s: float, counters: Vmstat, names: tuple[str, ...], into: Sample) -> None:
    growth = history.growth(now_s, counters[: len(names)])
    if growth is None:
        return
    observed_s, grown = growth
    for name, amount in zip(names, grown, strict=True):
        if name:
            into[name] = amount / observed_s
