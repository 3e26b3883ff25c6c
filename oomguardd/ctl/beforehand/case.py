"""One process before the judge: all that decides about it, as values.

Rule of this file: pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from oomguardd.ctl.beforehand.advice import Advice, to_lift, to_spare
from oomguardd.ctl.beforehand.company import party_of
from oomguardd.ctl.beforehand.counts import does
from oomguardd.ctl.beforehand.ranking import party_fields
from oomguardd.ctl.beforehand.world import World
from oomguardd.ctl.terms import to_points, weighed_fields
from oomguardd.engine.select import weigh
from oomguardd.engine.together import Keep
from oomguardd.model import PAGE_BYTES, Candidate, Party, Weighed
from oomguardd.policies.clauses import describe_match
from oomguardd.sections import Config


class RuleWord(NamedTuple):
    """What one rule has to do with it."""

    name: str
    does: str
    decides: bool
    fails: str
    """The first of its clauses that does not hold; empty if all do."""
    match: str


class PolicyWord(NamedTuple):
    """What one policy in force says of it."""

    name: str
    spares: str
    """Why it exempts it; empty if it does not."""
    points: float
    why: str


@dataclass(frozen=True, slots=True)
class Case:
    """A process that could be read, and the world around it."""

    world: World
    weighed: Weighed
    """For an exempt one what it would weigh."""
    exempt: str
    """Why it will not be killed; empty if it may be."""
    rank: int
    """1 for the victim; for an exempt one the place that it would have."""
    party: Party
    """Who would die with it, if it were the victim."""
    with_victim: Party | None
    """The victim's party, if this one is in it without being the victim."""
    rules: tuple[RuleWord, ...]
    policies: tuple[PolicyWord, ...]
    advice: Advice

    @property
    def candidate(self) -> Candidate:
        return self.weighed.candidate

    @property
    def distance_pages(self) -> int | None:
        """To the victim, or of the victim to the next one; None if there is nobody else."""
        others = [w for w in self.world.ranked if w.candidate.identity != self.candidate.identity]
        return abs(others[0].pages - self.weighed.pages) if others else None

    def fields(self) -> dict[str, object]:
        """For programs."""
        totals, victim = self.world.totals, self.world.verdict.victim
        distance = self.distance_pages
        return {
            "verdict": "exempt" if self.exempt else "victim" if self.rank == 1 else "candidate",
            "exempt": self.exempt,
            "dies_with_victim": self.with_victim is not None,
            "rank": self.rank,
            "of": len(self.world.ranked),
            "process": weighed_fields(self.weighed, totals) | party_fields(self.party),
            "victim": None if victim is None else weighed_fields(victim, totals),
            "distance_points": None if distance is None else round(to_points(distance, totals), 3),
            "distance_bytes": None if distance is None else distance * PAGE_BYTES,
            "rules": [word._asdict() for word in self.rules],
            "policies": [word._asdict() for word in self.policies],
            "advice": self.advice._asdict(),
        }


def case_of(c: Candidate, world: World, keep: Keep, config: Config) -> Case:
    """`c` is one of the world's, perhaps with more read of it."""
    scene = world.scene
    exempt = next((why for other, why in world.exempt if other.identity == c.identity), "")
    ranked = [w for w in world.ranked if w.candidate.identity == c.identity]
    w = ranked[0] if ranked else weigh(c, world.totals, world.limits, scene)
    rank = 1 + sum(1 for other in world.ranked if other.pages > w.pages)
    if ranked:
        rank = 1 + world.ranked.index(w)
    book = world.limits.policies.rules
    deciding = book.rule_of(c)
    rules = tuple(
        RuleWord(rule.name, does(rule), rule is deciding, fails, describe_match(rule.match))
        for rule, fails in book.explain(c)
    )
    policies = []
    for policy in world.limits.policies.policies:
        adjustment = policy.adjust(c, scene)
        points, why = (0.0, "") if adjustment is None else (adjustment.points, adjustment.why)
        policies.append(PolicyWord(policy.name, policy.spare(c, scene), points, why))
    spares = "" if deciding is None else deciding.name
    advice = to_lift(c, world, config) if exempt else to_spare(c, spares)
    return Case(
        world=world,
        weighed=w,
        exempt=exempt,
        rank=rank,
        party=party_of(w, world.processes, keep),
        with_victim=_with_victim(c, world, keep),
        rules=rules,
        policies=tuple(policies),
        advice=advice,
    )


def _with_victim(c: Candidate, world: World, keep: Keep) -> Party | None:
    victim = world.verdict.victim
    if victim is None or victim.candidate.identity == c.identity:
        return None
    party = party_of(victim, world.processes, keep)
    return party if any(member.pid == c.pid for member in party.members) else None
