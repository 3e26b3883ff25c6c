"""What cgroups say about their memory: systemd's ManagedOOMPreference=, memory.min, memory.low, memory.high.
See systemd.resource-control(5), systemd-oomd.service(8), Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from oomguardd.model import Adjustment, Candidate, Memcg
from oomguardd.policies.base import Scene
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.rules import AVOID_POINTS
from oomguardd.settings import setting
from oomguardd.units import format_bytes

_ROOT = 0


@dataclass(frozen=True, slots=True)
class CgroupPolicy(SwitchedPolicy):
    """Listens to what is set for units and other cgroups (v2): ManagedOOMPreference=omit exempts and avoid
    takes 300 points off, if root has set it; memory that MemoryMin= or MemoryLow= protects does not count;
    what is over MemoryHigh= goes earlier. A preference that a user has set for a unit of theirs only decides
    between processes of that user.
    """

    high_points: float = setting(
        "100.0",
        float,
        "Added at most for being over memory.high: as much as the cgroup is over it.",
        low="0",
        high="1000",
    )
    name = "cgroup"
    needs = frozenset({"memcg"})

    @property
    def reach(self) -> float:
        return self.high_points

    def adjust(self, c: Candidate, scene: Scene) -> Adjustment | None:
        if c.memcg is None:
            return None
        terms = tuple(self._terms(c, c.memcg, scene))
        if not terms:
            return None
        return Adjustment(self.name, sum(points for points, _ in terms), "; ".join(why for _, why in terms))

    def spare(self, c: Candidate, scene: Scene) -> str:
        if c.memcg is not None and _of_root(c.memcg) == "omit":
            return "its unit has ManagedOOMPreference=omit"
        return ""

    def _terms(self, c: Candidate, memcg: Memcg, scene: Scene) -> Iterator[tuple[float, str]]:
        if _of_root(memcg) == "avoid":
            yield AVOID_POINTS, "its unit has ManagedOOMPreference=avoid"
        if memcg.protected_share > 0:
            why = f"memory.min and memory.low protect {memcg.protected_share:.0%} of it"
            yield -memcg.protected_share * scene.points(c.held_bytes), why
        if memcg.over_high_bytes > 0:
            over = scene.points(min(memcg.over_high_bytes, c.held_bytes))
            why = f"its cgroup is {format_bytes(memcg.over_high_bytes)} over memory.high"
            yield min(self.high_points, over), why


def _of_root(memcg: Memcg) -> str:
    """A preference that counts for everybody."""
    return memcg.preference if memcg.preference_uid == _ROOT else ""
