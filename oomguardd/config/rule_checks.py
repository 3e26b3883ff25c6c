"""Rules that can never match, contradict each other or never get to decide; protections as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oomguardd.policies.conflicts import never_matches, shadowed_by
from oomguardd.rules import MATCH_KEYS, Clause, Kind, Protect, Rule
from oomguardd.settings import toml_string

Finding = tuple[str, str]
"""A dotted key, and what is wrong with it with the remedy."""

_ACCOUNTS = {row.name for row in MATCH_KEYS if row.kind in (Kind.USER, Kind.GROUP)}


def as_rules(protects: Iterable[Protect]) -> tuple[Rule, ...]:
    """For the same checks: the first one that matches decides there, too."""
    return tuple(Rule(each.name, each.match, "protect", float(each.oom_score_adj)) for each in protects)


def contradictions_in(rules: Sequence[Rule], noun: str) -> list[Finding]:
    """What cannot be meant. `noun`: "rule" or "protect"."""
    found = []
    first: dict[object, Rule] = {}
    for rule in rules:
        never = None if _waits_for_account(rule) else never_matches(rule)
        if never is not None:
            key, reason = never
            remedy = "" if reason.endswith(")") else " (correct one of them, or remove it)"
            found.append((f"{noun}.{rule.name}.match.{key}", f"can never match: {reason}{remedy}"))
        other = first.setdefault(_meaning(rule), rule)
        if _contradict(other, rule):
            text = f"the same as that of {noun} {other.name}, and they contradict each other"
            remedy = f"{_says(other)} there, {_says(rule)} here: remove one of them"
            found.append((f"{noun}.{rule.name}.match", f"{text} ({remedy})"))
    return found


def warnings_in(rules: Sequence[Rule], noun: str) -> list[Finding]:
    """What never gets to decide."""
    return [
        (
            f"{noun}.{rules[index].name}.match",
            f"has no effect: {noun} {rules[by].name} stands above it and matches whatever it does"
            " (put this one first, or remove it)",
        )
        for index, by in shadowed_by(rules)
        if not _waits_for_account(rules[index])
    ]


def _waits_for_account(rule: Rule) -> bool:
    """A user or group in it does not exist (yet): already a warning."""
    return any(clause.key in _ACCOUNTS and not clause.numbers for clause in rule.match)


def _meaning(rule: Rule) -> frozenset[Clause]:
    """Equal for rules that match the same, however that was written."""
    return frozenset(
        clause._replace(
            texts=tuple(sorted(set(clause.texts))), numbers=tuple(sorted(set(clause.numbers))), written=""
        )
        for clause in rule.match
    )


def _contradict(one: Rule, two: Rule) -> bool:
    if one.do and two.do and (one.do, one.points) != (two.do, two.points):
        return True
    return bool(one.kill and two.kill and one.kill != two.kill)


def _says(rule: Rule) -> str:
    said = []
    if rule.do == "protect":
        said.append(f"oom_score_adj = {rule.points:.0f}")
    elif rule.do == "points":
        said.append(f"points = {rule.points:g}")
    elif rule.do:
        said.append(f"do = {toml_string(rule.do)}")
    if rule.kill:
        said.append(f"kill = {toml_string(rule.kill)}")
    return ", ".join(said)
