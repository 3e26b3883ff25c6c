"""Stalls for memory: the kernel's averages, and shares of time over windows of our own."""

from __future__ import annotations

import errno
from typing import ClassVar

from oomguardd.kernel.files import HeldFile, SensorError
from oomguardd.kernel.pressure import parse_pressure
from oomguardd.model import Ramp, Sample, Signal, Unit
from oomguardd.sensors.history import History

WINDOWS_S = (2, 10, 30)
"""avg10 shows two thirds of a step after 10 s. A window of 2 s shows all of it after 2 s, and forgets as
fast."""

_OBSERVED = 0.9
"""A window tells nothing before so much of it has been seen: its first tenth of a second might be the
only bad one."""

_KINDS = (("some", "at least one task waited"), ("full", "all tasks that could have run waited"))

SIGNALS = (
    *(
        Signal(
            f"psi_{kind}_avg{span}",
            Unit.PERCENT,
            f"Share of time in which {what} for memory; the kernel's average over {span} s",
            ramp=Ramp.WINDOW,
            window_s=span,
        )
        for kind, what in _KINDS
        for span in (10, 60)
    ),
    *(
        Signal(
            f"psi_{kind}_{span}s",
            Unit.PERCENT,
            f"Share of the last {span} s in which {what} for memory",
            ramp=Ramp.WINDOW,
            window_s=span,
        )
        for kind, what in _KINDS
        for span in WINDOWS_S
    ),
)

_WITHOUT = "Conditions on psi_* never hold, and no stall wakes the guard: it goes by memory and swap alone."


class PressureSensor:
    """/proc/pressure/memory, or memory.pressure of a cgroup. Without PSI it publishes nothing, and says
    so once.

    `path` is empty for a cgroup v1: it has no pressure of its own, and the machine's may be its
    neighbours'.
    """

    signals: ClassVar[tuple[Signal, ...]] = SIGNALS

    def __init__(self, path: str) -> None:
        self.missing: tuple[str, ...] = ()
        self._file: HeldFile | None = None
        self._windows = tuple(
            (f"psi_some_{span}s", f"psi_full_{span}s", History(span, _OBSERVED * span)) for span in WINDOWS_S
        )
        if not path:
            self.missing = (f"cgroup v1 has no pressure of its own. {_WITHOUT}",)
            return
        try:
            self._file = HeldFile(path, size=512)
            parse_pressure(self._file.read())
        except SensorError:
            return  # it is there, and may be better next time: counted when it is sampled
        except OSError as error:
            self.close()
            self.missing = (f"No pressure (PSI) from {path}: {_reason(error)}. {_WITHOUT}",)

    def sample(self, now_s: float, into: Sample) -> None:
        """SensorError, OSError."""
        if self._file is None:
            return
        some, full = parse_pressure(self._file.read())
        into["psi_some_avg10"], into["psi_some_avg60"] = some.avg10_pct, some.avg60_pct
        into["psi_full_avg10"], into["psi_full_avg60"] = full.avg10_pct, full.avg60_pct
        waited = (some.total_s, full.total_s)
        for some_name, full_name, history in self._windows:
            growth = history.growth(now_s, waited)
            if growth is not None:
                observed_s, (some_s, full_s) = growth
                into[some_name] = min(100.0, some_s / observed_s * 100)
                into[full_name] = min(100.0, full_s / observed_s * 100)

    def reset(self) -> None:
        """Start our windows anew. The kernel's averages are its own affair: it ages them over a suspend."""
        for _, _, history in self._windows:
            history.clear()

    def close(self) -> None:
        """May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _reason(error: OSError) -> str:
    if error.errno == errno.EOPNOTSUPP:
        return "switched off (psi=0; boot with psi=1)"
    if error.errno == errno.ENOENT:
        return "this kernel has none (needs 4.20 with CONFIG_PSI, perhaps psi=1 at boot)"
    return error.strerror or str(error)
