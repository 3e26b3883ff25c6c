"""What a policy is: settings as fields, an opinion on one candidate as its answer.

Rule of this file: an opinion depends on the candidate and the scene alone, so that neither the order of
candidates nor what was judged before can change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from oomguardd.model import Adjustment, Candidate, Totals

LEAST_LIFTED_POINTS = 1.0
"""Nobody who holds less than this is ranked higher by a policy or a rule: a thousandth of RAM and swap is not
worth a preference, and what cannot be lifted need not be looked at."""


class Scene(NamedTuple):
    """What may be known besides the candidate."""

    totals: Totals
    users: Mapping[int, int] = {}  # never written to
    """uid -> bytes held by all of that user's candidates."""

    def points(self, size_bytes: float) -> float:
        """So much memory on the scale of oom_score_adj."""
        return 1000 * size_bytes / max(1, self.totals.ram_bytes + self.totals.swap_bytes)


def own_wish(c: Candidate) -> str:
    """ "avoid" or "omit" if its own user (not root, whose word counts for everybody) asks for that through
    systemd's ManagedOOMPreference=."""
    memcg = c.memcg
    if memcg is None or not memcg.preference or memcg.preference_uid == 0 or memcg.preference_uid != c.uid:
        return ""
    return memcg.preference


@dataclass(frozen=True, slots=True)
class Policy:
    """Overridden by each policy; what it does not override is no opinion."""

    name: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What it wants read of a candidate: exe, cmdline, ancestors, memcg."""
    compares: ClassVar[bool] = False
    """Whether it asks for `Scene.users`."""

    @property
    def in_force(self) -> bool:
        return True

    @property
    def reach(self) -> float:
        """The most points that it ever adds; 0 if it only takes away."""
        return 0.0

    def adjust(self, c: Candidate, scene: Scene) -> Adjustment | None:
        """Points to add (negative spares), with the reason in words."""
        return None

    def spare(self, c: Candidate, scene: Scene) -> str:
        """Why it must not be killed at all, alone or with others; empty if it may."""
        return ""

    def kill_unit(self, c: Candidate) -> str:
        """One of KILL_UNITS if it should not be killed alone; empty if this policy does not care."""
        return ""
