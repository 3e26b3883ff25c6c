"""Who is growing now, and who has held what it holds for long; measured by engine/tenure.py."""

from __future__ import annotations

from dataclasses import dataclass

from oomguardd.model import Adjustment, Candidate
from oomguardd.policies.base import Scene
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.settings import setting
from oomguardd.units import format_bytes, parse_duration_s, parse_percent


@dataclass(frozen=True, slots=True)
class GrowthPolicy(SwitchedPolicy):
    """Memory that a process has held for a while, and that does not grow, counts less than what was taken
    lately: a database of a stable size lives, and the leak beside it goes, even while it is still smaller.
    """

    share_pct: float = setting(
        "90%",
        parse_percent,
        "So much of what has been held for a while does not count. Some of it always does: among those that"
        " do not grow, the largest still goes first.",
        high="95%",
    )
    horizon_s: float = setting(
        "60s",
        parse_duration_s,
        "A process that would double within this time, as fast as it grows now, is spared nothing; one that"
        " would grow by half, half as much.",
        low="1s",
        high="1h",
    )
    name = "growth"

    def adjust(self, c: Candidate, scene: Scene) -> Adjustment | None:
        settled = c.settled_bytes
        if settled <= 0 or not self.share_pct:
            return None
        if c.memcg is not None:
            # The policy `cgroup` has taken off what memory.low protects. Were the same memory taken off
            # twice, it would pay to hold more of it.
            settled = int(settled * (1 - c.memcg.protected_share))
        growing = min(1.0, max(0.0, c.growth_bytes_per_s) * self.horizon_s / max(1, c.held_bytes))
        points = -scene.points(settled) * self.share_pct / 100 * (1 - growing)
        if not points:
            return None
        rate = f" (it grows by {format_bytes(c.growth_bytes_per_s)}/s)" if growing > 0 else ""
        share = 100 - self.share_pct * (1 - growing)
        return Adjustment(
            self.name, points, f"{format_bytes(settled)} of it held for a while count {share:.0f}% only{rate}"
        )
