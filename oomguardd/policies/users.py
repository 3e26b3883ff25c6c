"""Shares between the people on one machine."""

from __future__ import annotations

from dataclasses import dataclass

from oomguardd.model import Adjustment, Candidate
from oomguardd.policies.accounts import is_person
from oomguardd.policies.base import Scene
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.settings import setting
from oomguardd.units import format_bytes


@dataclass(frozen=True, slots=True)
class UsersPolicy(SwitchedPolicy):
    """For a machine that several people work on: whoever holds more than an equal share of what they all hold
    together loses a process first, and many small ones do not get around it. Services' users (uid below 1000)
    neither count nor are counted against.
    """

    enabled: bool = setting("false", bool, "Whether this policy is in force.")
    points: float = setting(
        "200.0",
        float,
        "Added to the processes of a user all of whose memory is over an equal share; in proportion where"
        " only a part of it is.",
        low="0",
        high="1000",
    )
    name = "users"
    compares = True

    @property
    def reach(self) -> float:
        return self.points

    def adjust(self, c: Candidate, scene: Scene) -> Adjustment | None:
        held = scene.users.get(c.uid, 0)
        if held <= 0 or not is_person(c.uid):
            return None
        totals = [size for uid, size in scene.users.items() if size > 0 and is_person(uid)]
        share = sum(totals) / len(totals)
        points = self.points * (1 - share / held)
        if points <= 0:
            return None
        why = f"uid {c.uid} holds {format_bytes(held)}, and an equal share is {format_bytes(share)}"
        return Adjustment(self.name, points, why)
