"""What a configuration means for the processes of this moment: whom rules match, of whom policies speak.

Rule of this file: pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oomguardd.ctl.beforehand.world import World
from oomguardd.model import Candidate
from oomguardd.policies import Policy
from oomguardd.policies.clauses import describe_match
from oomguardd.policies.rules import ProtectBook, RuleBook
from oomguardd.rules import Protect, Rule
from oomguardd.sections import Config


class Count(NamedTuple):
    """One rule or protection, against everybody."""

    noun: str
    """rule or protect, as it is written in a file."""
    name: str
    does: str
    match: str
    origin: str
    matches: int
    decides: int
    """Of those that it matches, the ones that no other stands above for."""
    above: tuple[str, ...]
    """Who decides about the others, the one with most of them first."""

    @property
    def warning(self) -> str:
        """What is wrong with it on this machine now; empty if nothing is."""
        if not self.matches:
            return f"{self.noun} {self.name} matches no running process now: {self.match}"
        if not self.decides:
            return (
                f"{self.noun} {self.name} matches {self.matches} and decides about none:"
                f" {', '.join(self.above)} above it in the file already did"
            )
        return ""


class Voice(NamedTuple):
    """One policy, against everybody."""

    policy: Policy
    exempts: int
    lowers: int
    raises: int


def count_rules(config: Config, processes: Sequence[Candidate]) -> list[Count]:
    """In their order."""
    book = RuleBook(config.rules)
    found = [(book.rule_of(c), book.all_of(c)) for c in processes]
    return [
        _count("rule", rule.name, does(rule), describe_match(rule.match), config, found)
        for rule in config.rules
    ]


def count_protects(config: Config, processes: Sequence[Candidate]) -> list[Count]:
    """In their order."""
    book = ProtectBook(config.protects)
    found = [(book.protect_of(c), book.all_of(c)) for c in processes]
    return [
        _count(
            "protect",
            protect.name,
            f"oom_score_adj {protect.oom_score_adj}",
            describe_match(protect.match),
            config,
            found,
        )
        for protect in config.protects
    ]


def needs_of(config: Config) -> frozenset[str]:
    """What has to be read of everybody to count."""
    return RuleBook(config.rules).needs | ProtectBook(config.protects).needs


def does(rule: Rule) -> str:
    """What a rule says, in short: `never`, `-300 (avoid)`, `kills its unit`."""
    words = []
    if rule.do == "never":
        words.append("never")
    elif rule.points:
        words.append(f"{rule.points:+g}" + (f" ({rule.do})" if rule.do != "points" else ""))
    if rule.kill:
        words.append(f"kill {rule.kill}")
    return ", ".join(words)


def voices(world: World, policies: Iterable[Policy]) -> list[Voice]:
    """What each policy that is in force says about everybody."""
    scene = world.scene
    found = []
    for policy in policies:
        if not policy.in_force:
            continue
        spared = sum(1 for c in world.processes if policy.spare(c, scene))
        points = [a.points for c in world.processes if (a := policy.adjust(c, scene)) is not None]
        lowers, raises = sum(1 for p in points if p < 0), sum(1 for p in points if p > 0)
        found.append(Voice(policy, spared, lowers, raises))
    return found


Named = Rule | Protect


def _count(
    noun: str,
    name: str,
    done: str,
    match: str,
    config: Config,
    found: Sequence[tuple[Named | None, Sequence[Named]]],
) -> Count:
    first = [deciding for deciding, matching in found if any(one.name == name for one in matching)]
    above = Counter(one.name for one in first if one is not None and one.name != name)
    return Count(
        noun=noun,
        name=name,
        does=done,
        match=match,
        origin=config.origin(f"{noun}.{name}.match"),
        matches=len(first),
        decides=len(first) - sum(above.values()),
        above=tuple(other for other, _ in above.most_common(3)),
    )
