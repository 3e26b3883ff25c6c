"""Rules and protections, compiled: which one decides about a candidate, and what it says."""

from __future__ import annotations

from collections.abc import Iterable

from oomguardd.model import Adjustment, Candidate
from oomguardd.policies.clauses import describe_match
from oomguardd.policies.lookup import FirstMatch
from oomguardd.rules import Protect, Rule

NEVER = "never"


class RuleBook:
    """The administrator's rules in their order. Not for two threads at once."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Raises ValueError if a pattern cannot be compiled; the configuration's checks find that before."""
        self.rules = tuple(rules)
        self.reach = max((0.0, *(rule.points for rule in self.rules if rule.do != NEVER)))
        """The most points that a rule adds: only one of them ever does."""
        self._first = FirstMatch(rule.match for rule in self.rules)
        self.needs = self._first.needs
        """What has to be read of a candidate: exe, cmdline, ancestors."""
        self._adjustments = tuple(map(_adjustment, self.rules))

    def rule_of(self, c: Candidate) -> Rule | None:
        """The first one that matches: it alone decides."""
        index = self._first.first(c)
        return None if index is None else self.rules[index]

    def adjust(self, c: Candidate) -> Adjustment | None:
        """What the rule adds; None if it adds nothing."""
        index = self._first.first(c)
        return None if index is None else self._adjustments[index]

    def spare(self, c: Candidate) -> str:
        """Why it must not be killed; empty if no rule says so."""
        rule = self.rule_of(c)
        return f"rule {rule.name} says never" if rule is not None and rule.do == NEVER else ""

    def all_of(self, c: Candidate) -> tuple[Rule, ...]:
        """Every rule that matches, those that others stand above, too: for counting."""
        return tuple(self.rules[index] for index in self._first.all(c))

    def explain(self, c: Candidate) -> list[tuple[Rule, str]]:
        """Each rule in its order, with the first of its clauses that does not hold; empty if all do."""
        return list(zip(self.rules, self._first.failing(c), strict=True))


class ProtectBook:
    """The administrator's protections in their order; the first one that matches decides, as with rules."""

    def __init__(self, protects: Iterable[Protect] = ()) -> None:
        """Raises ValueError if a pattern cannot be compiled; the configuration's checks find that before."""
        self.protects = tuple(protects)
        self._first = FirstMatch(protect.match for protect in self.protects)
        self.needs = self._first.needs
        """What has to be read of a candidate: exe, cmdline, ancestors."""

    def protect_of(self, c: Candidate) -> Protect | None:
        """The first one that matches."""
        index = self._first.first(c)
        return None if index is None else self.protects[index]

    def all_of(self, c: Candidate) -> tuple[Protect, ...]:
        """Every one that matches, those that others stand above, too: for counting."""
        return tuple(self.protects[index] for index in self._first.all(c))

    def explain(self, c: Candidate) -> list[tuple[Protect, str]]:
        """Each in its order, with the first of its clauses that does not hold; empty if all do."""
        return list(zip(self.protects, self._first.failing(c), strict=True))


def _adjustment(rule: Rule) -> Adjustment | None:
    if rule.do == NEVER or not rule.points:
        return None
    return Adjustment(f"rule {rule.name}", rule.points, f"{rule.do}: {describe_match(rule.match)}")
