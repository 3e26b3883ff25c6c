"""All policies and rules that are in force, as one opinion.

Rule of this file: the first rule that matches decides, and no other rule is asked; policies all add up.
"""

from __future__ import annotations

from collections.abc import Iterable

from oomguardd.model import Adjustment, Candidate
from oomguardd.policies.base import LEAST_LIFTED_POINTS, Policy, Scene
from oomguardd.policies.rules import RuleBook
from oomguardd.rules import Rule


class PolicySet:
    """Asked about each candidate that was read in full."""

    def __init__(self, policies: Iterable[Policy] = (), rules: Iterable[Rule] = ()) -> None:
        self.policies = tuple(policy for policy in policies if policy.in_force)
        self.rules = RuleBook(rules)
        self.reach = sum(policy.reach for policy in self.policies) + self.rules.reach
        """No candidate gets more points than this on top of its badness."""
        self.needs = frozenset().union(self.rules.needs, *(policy.needs for policy in self.policies))

        self.reorders = bool(self.policies or self.rules.rules)
        """Whether somebody else than the kernel's choice may come first."""
        self.compares = any(policy.compares for policy in self.policies)

    def adjust(self, c: Candidate, scene: Scene) -> tuple[Adjustment, ...]:
        """Every opinion on it. Points are only added to what holds a thousandth of the machine."""
        found = [self.rules.adjust(c), *(policy.adjust(c, scene) for policy in self.policies)]
        small = scene.points(c.held_bytes) < LEAST_LIFTED_POINTS
        return tuple(a for a in found if a is not None and not (small and a.points > 0))

    def spare(self, c: Candidate, scene: Scene) -> str:
        """Why it must not be killed at all; empty if it may."""
        return self.rules.spare(c) or next(
            (why for policy in self.policies if (why := policy.spare(c, scene))), ""
        )

    def kill_unit(self, c: Candidate) -> tuple[str, str]:
        """What is killed with it (one of KILL_UNITS), and who says so; a rule goes first."""
        rule = self.rules.rule_of(c)
        if rule is not None and rule.kill:
            return rule.kill, f"rule {rule.name}"
        for policy in self.policies:
            unit = policy.kill_unit(c)
            if unit:
                return unit, f"policy {policy.name}"
        return "process", ""


NO_POLICIES = PolicySet()
