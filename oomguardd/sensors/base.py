"""What every sensor is."""

from __future__ import annotations

from typing import ClassVar, Protocol

from oomguardd.model import Sample, Signal


class Sensor(Protocol):
    """Publishes named signals into one sample. Its files stay open, and a sample allocates next to
    nothing."""

    signals: ClassVar[tuple[Signal, ...]]
    """All that it may publish; a sample holds those that could be read."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Sentences for the start-up log: what this machine does not have, and what that costs."""

    def sample(self, now_s: float, into: Sample) -> None:
        """Add what can be read now. SensorError or OSError if a file is bad; what was added before stays
        true."""

    def reset(self) -> None:
        """Forget what was seen: after a suspend or a jump of the clock no rate over that gap means
        anything."""

    def close(self) -> None:
        """Close its files; may be called twice."""
