"""How long a process has been running."""

from __future__ import annotations

from dataclasses import dataclass

from oomguardd.model import Adjustment, Candidate
from oomguardd.policies.base import Scene
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.settings import setting
from oomguardd.units import parse_duration_s

_SPANS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True, slots=True)
class AgePolicy(SwitchedPolicy):
    """Spares a little what has been running for long: it holds more work that would be lost, and what has
    begun to misbehave is more often new.
    """

    spare_after_s: float = setting("1h", parse_duration_s, "The age from which a process is spared.")
    points: float = setting("-20.0", float, "Added to such a process.", low="-1000", high="0")
    name = "age"

    def adjust(self, c: Candidate, scene: Scene) -> Adjustment | None:
        if c.age_s < self.spare_after_s or not self.points:
            return None
        return Adjustment(self.name, self.points, f"has been running for {_span(c.age_s)}")


def _span(age_s: float) -> str:
    """In one unit, rounded down."""
    seconds, unit = next((span for span in _SPANS if age_s >= span[0]), _SPANS[-1])
    return f"{int(age_s / seconds)} {unit}"
