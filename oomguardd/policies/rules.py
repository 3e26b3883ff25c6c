"""Rules, compiled: which one decides about a candidate, and what it says."""

from __future__ import annotations

from collections.abc import Iterable

from oomguardd.model import Adjustment, Candidate
from oomguardd.rules import Rule


class RuleBook:
    """The administrator's rules in their order."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self.reach = max((rule.points for rule in self.rules), default=0.0)
        """The most points that a rule adds: only one of them ever does."""
        self.needs: frozenset[str] = frozenset()
        """What has to be read of a candidate: exe, cmdline, ancestors."""

    def rule_of(self, c: Candidate) -> Rule | None:
        """The first one that matches."""
        return None

    def adjust(self, c: Candidate) -> Adjustment | None:
        return None

    def spare(self, c: Candidate) -> str:
        return ""
