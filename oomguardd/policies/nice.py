"""nice, SCHED_BATCH and SCHED_IDLE. See sched(7)."""

from __future__ import annotations

from dataclasses import dataclass

from oomguardd.model import Adjustment, Candidate
from oomguardd.policies.base import Scene
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.settings import setting

_NICEST = 19


@dataclass(frozen=True, slots=True)
class NicePolicy(SwitchedPolicy):
    """What was started with a higher nice value, or as batch or idle work (chrt), goes earlier: somebody has
    said that it matters less. Below nice 0, which takes privileges, it goes later.
    """

    points_per_step: float = setting(
        "5.0", float, "Added for each step of nice: at 5.0, nice 19 is +95.", low="0", high="50"
    )
    batch_points: float = setting("20.0", float, "Added to what runs as SCHED_BATCH.", low="0", high="1000")
    idle_points: float = setting(
        "100.0",
        float,
        "Given to what runs as SCHED_IDLE, which comes after every nice value.",
        low="0",
        high="1000",
    )
    name = "nice"

    @property
    def reach(self) -> float:
        return max(_NICEST * self.points_per_step + self.batch_points, self.idle_points)

    def adjust(self, c: Candidate, scene: Scene) -> Adjustment | None:
        points, why = c.nice * self.points_per_step, f"nice {c.nice}"
        if c.sched == "idle":
            points, why = max(points, self.idle_points), "runs as SCHED_IDLE"
        elif c.sched == "batch":
            points, why = points + self.batch_points, f"{why}, runs as SCHED_BATCH"
        return Adjustment(self.name, points, why) if points else None
