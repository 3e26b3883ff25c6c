"""What all policies that ship have in common: a switch."""

from __future__ import annotations

from dataclasses import dataclass

from oomguardd.policies.base import Policy
from oomguardd.settings import setting


@dataclass(frozen=True, slots=True)
class SwitchedPolicy(Policy):
    """A policy that can be turned off."""

    enabled: bool = setting("true", bool, "Whether this policy is in force.")

    @property
    def in_force(self) -> bool:
        return self.enabled
