"""Which of many matches is the first that holds for a candidate, without asking each of them.

Rule of this file: the answer is that of trying them in their order, one clause after the other. Those that
name all values of a key are found through a table instead; answers are remembered by every field that any
clause looks at, so that nothing else can change them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, NamedTuple

from oomguardd.model import Candidate
from oomguardd.policies.clauses import (
    FIELDS,
    KEYS,
    Compiled,
    Getter,
    Test,
    compile_clause,
    describe_clause,
    haystack,
)
from oomguardd.rules import Clause

Match = tuple[Clause, ...]

TABLED = (
    "exe",
    "name",
    "unit",
    "user_unit",
    "container",
    "pod",
    "job",
    "cgroup",
    "app",
    "user",
    "group",
    "slice",
    "qos",
    "runtime",
)
"""Keys that a table may be made of; the ones that few candidates share go first."""

REMEMBERED = 128
"""Answers. Each may hold a command line of 4096 characters."""


class _Entry(NamedTuple):
    """A match that a table leads to, and what is left to be tested, the cheapest first."""

    number: int
    tests: tuple[Test, ...]


class _Open(NamedTuple):
    """A match that no table leads to. Most candidates lack its needle, which is the fastest way to know.

    With several needles it is there once for each.
    """

    number: int
    haystack: int
    """Which of the texts that are looked through has to have the needle."""
    needle: str
    tests: tuple[Test, ...]


class FirstMatch:
    """Matches in their order, compiled. Not for two threads at once."""

    def __init__(self, matches: Iterable[Match]) -> None:
        """Raises ValueError if a text cannot be compiled."""
        self._matches = tuple(tuple(map(compile_clause, match)) for match in matches)
        """In the order of the file, for explanations."""
        self._count = len(self._matches)
        tables: dict[str, dict[Any, list[_Entry]]] = {}
        others: list[_Open] = []
        haystacks: dict[str, int] = {}
        for number, match in enumerate(self._matches):
            tabled = _tabled(match)
            if tabled is None:
                others += _opened(number, match, haystacks)
                continue
            entry = _Entry(number, _tests(one for one in match if one is not tabled))
            for value in tabled.values or ():
                tables.setdefault(tabled.clause.key, {}).setdefault(value, []).append(entry)
        self._others = tuple(others)
        self._haystacks = tuple(map(haystack, haystacks))
        self._tables = tuple(
            (attrgetter(FIELDS[key]), {value: tuple(entries) for value, entries in table.items()})
            for key, table in tables.items()
        )
        clauses = [one.clause for match in self._matches for one in match]
        self._fingerprint = _fingerprint(clauses)
        self._remembered: dict[object, int | None] = {}
        self.needs = frozenset(needs for clause in clauses if (needs := KEYS[clause.key].needs))
        """What has to be read of a candidate: exe, cmdline, ancestors."""

    def first(self, c: Candidate) -> int | None:
        """The number of the first one that holds; None if none does."""
        if not self._count:
            return None
        fingerprint = self._fingerprint(c)
        try:
            return self._remembered[fingerprint]
        except KeyError:
            pass
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        found = self._find(c)
        self._remembered[fingerprint] = found
        return found

    def _find(self, c: Candidate) -> int | None:
        best = self._count
        for get, table in self._tables:
            for number, tests in table.get(get(c), ()):
                if number >= best:
                    break
                if all(test(c) for test in tests):
                    best = number
                    break
        texts = [look(c) for look in self._haystacks]
        for number, which, needle, tests in self._others:
            if needle not in texts[which]:
                continue
            if number >= best:
                break
            for test in tests:
                if not test(c):
                    break
            else:
                return number
        return best if best < self._count else None

    def all(self, c: Candidate) -> list[int]:
        """The numbers of those that hold, whatever their order."""
        return [number for number, failing in enumerate(self.failing(c)) if not failing]

    def failing(self, c: Candidate) -> list[str]:
        """Of each match, in words, the first clause that does not hold; empty if all do."""
        return [
            next((describe_clause(one.clause) for one in match if not one.test(c)), "")
            for match in self._matches
        ]


def _tabled(match: tuple[Compiled, ...]) -> Compiled | None:
    """The clause by which it is found; None if it has to be tried each time."""
    counted = [one for one in match if one.values is not None and one.clause.key in TABLED]
    return min(counted, key=lambda one: TABLED.index(one.clause.key), default=None)


def _opened(number: int, match: tuple[Compiled, ...], haystacks: dict[str, int]) -> list[_Open]:
    """With the needles of the cheapest clause that has some; its key is added to the haystacks."""
    first = min((one for one in match if one.needles), key=lambda one: one.cost, default=None)
    which = haystacks.setdefault(first.clause.key if first else "name", len(haystacks))
    tests = _tests(match)
    return [_Open(number, which, needle, tests) for needle in (first.needles if first else ("",))]


def _tests(match: Iterable[Compiled]) -> tuple[Test, ...]:
    return tuple(one.test for one in sorted(match, key=lambda one: one.cost))


def _fingerprint(clauses: list[Clause]) -> Getter:
    """All that the answer depends on; of an age only between which bounds it is."""
    fields = sorted({FIELDS[clause.key] for clause in clauses} - {"age_s"})
    bounds = {bound for one in clauses if one.key == "age" for bound in (one.low, one.high)}
    ages = sorted(bound for bound in bounds if bound is not None)
    values: Getter = attrgetter(*fields) if fields else _nothing
    if not ages:
        return values
    return lambda c: (values(c), bisect_left(ages, c.age_s), bisect_right(ages, c.age_s))


def _nothing(c: Candidate) -> None:
    return None
