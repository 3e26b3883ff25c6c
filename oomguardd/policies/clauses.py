"""Clauses, compiled: whether a candidate has the value that one key of a `match` asks for.

Rule of this file: what is not known does not match. Text that is empty means that the candidate has none (no
unit, no container, arguments that cannot be read), so that not even a star matches it; only a process's name
and its cgroup are texts that everybody has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, NamedTuple

from oomguardd.model import Candidate
from oomguardd.policies.pattern import Pattern, compile_glob, compile_regex
from oomguardd.rules import MATCH_KEYS, REGEX_ENDING, Clause, Kind

Test = Callable[[Candidate], bool]
Getter = Callable[[Candidate], Any]

KEYS = {key.name: key for key in MATCH_KEYS}

FIELDS: dict[str, str] = {
    "name": "comm",
    "exe": "exe",
    "cmdline": "cmdline",
    "user": "uid",
    "group": "gid",
    "cgroup": "cgroup",
    "unit": "owner.unit",
    "user_unit": "owner.user_unit",
    "slice": "owner.slice",
    "app": "owner.app",
    "runtime": "owner.runtime",
    "container": "owner.container",
    "pod": "owner.pod",
    "qos": "owner.qos",
    "job": "owner.job",
    "ancestor": "ancestors",
    "nice": "nice",
    "oom_score_adj": "oom_score_adj",
    "age": "age_s",
    "terminal": "terminal",
}
"""Where a candidate has what a key is about."""

EVERYBODY_HAS = frozenset({"name", "cgroup"})
"""Keys of which even an empty text is one."""

MOST_NEEDLES = 4
"""Of one clause; more of them take as long as the clause."""

HOST = "host"
"""The word for no runtime at all."""


def key_of(clause: Clause) -> str:
    """As it is written in a file."""
    return f"{clause.key}{REGEX_ENDING}" if clause.regex else clause.key


def describe_clause(clause: Clause) -> str:
    """In words: `exe "/usr/bin/x"`."""
    return f"{key_of(clause)} {clause.written or _value(clause)}"


def describe_match(match: Iterable[Clause]) -> str:
    """All clauses; never empty."""
    return ", ".join(map(describe_clause, match)) or "every process"


def _value(clause: Clause) -> str:
    kind = KEYS[clause.key].kind
    if kind is Kind.FLAG:
        return "true" if clause.flag else "false"
    if kind in (Kind.RANGE, Kind.AGE):
        low, high = ("" if bound is None else f"{bound:g}" for bound in (clause.low, clause.high))
        return f"{low}..{high}"
    return ", ".join(map(str, clause.texts or clause.numbers))


class Compiled(NamedTuple):
    """A clause, ready to be asked."""

    clause: Clause
    test: Test
    values: frozenset[Any] | None
    """Texts or numbers that match, if they can be counted; None if not."""
    cost: int
    """How long the test takes compared with those of others, in no unit."""
    needles: tuple[str, ...] = ()
    """One of them is in the candidate's haystack() whenever the clause holds; empty if none is known."""


def compile_clause(clause: Clause) -> Compiled:
    """Raises ValueError if its text cannot be compiled."""
    kind = KEYS[clause.key].kind
    if kind is Kind.TEXT:
        return _text(clause)
    get: Getter = attrgetter(FIELDS[clause.key])
    if kind in (Kind.RANGE, Kind.AGE):
        return Compiled(clause, _between(get, clause.low, clause.high), None, 0)
    if kind is Kind.FLAG:
        flag = clause.flag
        return Compiled(clause, lambda c: get(c) is flag, None, 0)
    values: frozenset[Any] = frozenset(clause.numbers)
    if kind is Kind.WORD:
        values = frozenset("" if word == HOST else word for word in clause.texts)
    return Compiled(clause, lambda c: get(c) in values, values, 0)


def compile_patterns(clause: Clause) -> tuple[Pattern, ...]:
    """Of a TEXT. Raises ValueError if one cannot be compiled."""
    return tuple(map(compile_regex if clause.regex else compile_glob, clause.texts))


def _text(clause: Clause) -> Compiled:
    key, patterns = clause.key, compile_patterns(clause)
    get: Getter = attrgetter(FIELDS[key])
    literals = frozenset(text for each in patterns if (text := each.literal) or text == "")
    others = [each for each in patterns if each.literal is None]
    if not others and key != "ancestor":
        values = literals if key in EVERYBODY_HAS else literals - {""}
        return Compiled(clause, lambda c: get(c) in values, values, 1)
    accepts = _any_of(literals, others) if others else literals.__contains__
    cost = sum(1 + each.cost for each in patterns) * {"cmdline": 8, "ancestor": 4}.get(key, 2)
    needles = tuple(dict.fromkeys(needle for each in patterns for needle in each.needles))
    known = all(each.needles for each in patterns) and len(needles) <= MOST_NEEDLES
    return Compiled(clause, _matching(key, get, accepts), None, cost, needles if known else ())


def haystack(key: str) -> Getter:
    """The text that a TEXT is about, or all of them; empty if there is none."""
    if key == "ancestor":
        return lambda c: "\n".join(c.ancestors)
    get: Getter = attrgetter(FIELDS[key])
    return lambda c: get(c) or ""


def _matching(key: str, get: Getter, accepts: Callable[[Any], bool]) -> Test:
    if key == "ancestor":
        return lambda c: any(name and accepts(name) for name in c.ancestors)
    if key in EVERYBODY_HAS:
        return lambda c: accepts(get(c))
    return lambda c: bool(text := get(c)) and accepts(text)


def _between(get: Getter, low: float | None, high: float | None) -> Test:
    least = float("-inf") if low is None else low
    most = float("inf") if high is None else high
    return lambda c: bool(least <= get(c) <= most)


def _any_of(literals: frozenset[str], others: list[Pattern]) -> Callable[[Any], bool]:
    searches = tuple(each.matches for each in sorted(others, key=lambda each: each.cost))
    if len(searches) == 1 and not literals:
        return searches[0]
    return lambda text: text in literals or any(matches(text) for matches in searches)
