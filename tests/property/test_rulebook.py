"""The book of rules against trying each rule, clause by clause, with Python's own matchers."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from oomguardd.model import Candidate, Owner
from oomguardd.policies.conflicts import never_matches, shadowed_by
from oomguardd.policies.rules import RuleBook
from oomguardd.rules import Clause, Rule
from tests.shell.rig import candidate

WORDS = ("a", "ab", "b", "ba", "/a", "/a/b", "a.service")
GLOBS = (*WORDS, "*", "a*", "*b", "*a*", "?", "/*", "[ab]", "[!a]*", "a?*")
REGEXES = ("a", "^a", "b$", "^(a|b)$", "a.*b", "(a|ab)", "[^a]")
TEXTS: dict[str, Callable[[Candidate], list[str]]] = {
    "name": lambda c: [c.comm],
    "exe": lambda c: [c.exe] if c.exe else [],
    "cmdline": lambda c: [c.cmdline] if c.cmdline else [],
    "cgroup": lambda c: [c.cgroup],
    "unit": lambda c: [c.owner.unit] if c.owner.unit else [],
    "slice": lambda c: [c.owner.slice] if c.owner.slice else [],
    "container": lambda c: [c.owner.container] if c.owner.container else [],
    "ancestor": lambda c: [name for name in c.ancestors if name],
}
NUMBERS: dict[str, Callable[[Candidate], float]] = {
    "nice": lambda c: c.nice,
    "oom_score_adj": lambda c: c.oom_score_adj,
    "age": lambda c: c.age_s,
}

texts = st.builds(
    lambda key, regex, values: Clause(key, regex, tuple(values[regex])),
    st.sampled_from(sorted(TEXTS)),
    st.booleans(),
    st.tuples(
        st.lists(st.sampled_from(GLOBS), min_size=1, max_size=3),
        st.lists(st.sampled_from(REGEXES), min_size=1, max_size=2),
    ),
)
bounds = st.none() | st.sampled_from([-20.0, -1.0, 0.0, 1.0, 19.0])
clauses = st.one_of(
    texts,
    st.builds(
        lambda key, low, high: Clause(key, low=low, high=high),
        st.sampled_from(sorted(NUMBERS)),
        bounds,
        bounds,
    ),
    st.builds(lambda ids: Clause("user", numbers=tuple(ids)), st.lists(st.integers(0, 2), max_size=2)),
    st.builds(
        lambda words: Clause("runtime", texts=tuple(words)),
        st.lists(st.sampled_from(["host", "docker", "slurm"]), min_size=1, max_size=2),
    ),
    st.builds(lambda flag: Clause("terminal", flag=flag), st.booleans()),
)
rules_ = st.lists(st.lists(clauses, max_size=3), max_size=8).map(
    lambda matches: [Rule(str(n), tuple(match), "points", float(n)) for n, match in enumerate(matches)]
)
words = st.sampled_from(["", *WORDS])
candidates = st.builds(
    lambda **fields: candidate(5, **fields),
    comm=words,
    exe=st.none() | words,
    cmdline=st.none() | words,
    cgroup=words,
    uid=st.integers(0, 2),
    nice=st.sampled_from([-20, -1, 0, 1, 19]),
    oom_score_adj=st.sampled_from([-1, 0, 1, 5]),
    age_s=st.sampled_from([0.0, 0.5, 1.0, 1.5, 19.0, 20.0]),
    terminal=st.booleans(),
    ancestors=st.lists(words, max_size=2).map(tuple),
    owner=st.builds(
        Owner,
        unit=words,
        slice=words,
        container=words,
        runtime=st.sampled_from(["", "docker", "slurm"]),
    ),
)


def holds(clause: Clause, c: Candidate) -> bool:
    """As the list of keys says it."""
    if clause.key in TEXTS:
        match: Callable[[str, str], Any] = re.search if clause.regex else _glob
        return any(match(pattern, text) for text in TEXTS[clause.key](c) for pattern in clause.texts)
    if clause.key in NUMBERS:
        value = NUMBERS[clause.key](c)
        above = clause.low is None or clause.low <= value
        return above and (clause.high is None or value <= clause.high)
    if clause.key == "user":
        return c.uid in clause.numbers
    if clause.key == "runtime":
        return (c.owner.runtime or "host") in clause.texts
    return c.terminal == clause.flag


def _glob(pattern: str, text: str) -> bool:
    return fnmatch.fnmatchcase(text, pattern)


@given(rules_, st.lists(candidates, max_size=6))
def test_it_is_the_first_all_of_whose_clauses_hold(rules: list[Rule], found: list[Candidate]) -> None:
    book = RuleBook(rules)
    for c in [*found, *reversed(found)]:
        matching = [rule for rule in rules if all(holds(clause, c) for clause in rule.match)]
        assert list(book.all_of(c)) == matching
        assert book.rule_of(c) == (matching[0] if matching else None)
        for rule, failing in book.explain(c):
            assert (not failing) == (rule in matching)


@given(rules_, candidates)
def test_no_rule_has_an_effect_beyond_what_it_declares(rules: list[Rule], c: Candidate) -> None:
    book = RuleBook(rules)
    rule, adjustment = book.rule_of(c), book.adjust(c)
    points = adjustment.points if adjustment else 0.0
    assert points == (rule.points if rule else 0.0)
    assert points <= book.reach


@given(rules_, st.lists(candidates, max_size=8))
def test_what_is_said_to_be_shadowed_never_decides(rules: list[Rule], found: list[Candidate]) -> None:
    book = RuleBook(rules)
    shadowed = {index for index, _ in shadowed_by(rules)}
    impossible = {index for index, rule in enumerate(rules) if never_matches(rule)}
    for c in found:
        rule = book.rule_of(c)
        assert rule is None or rules.index(rule) not in shadowed
        if c.exe in (None, "/a", "/a/b") and c.cgroup in ("/a", "/a/b"):  # what there may be
            assert not impossible & {rules.index(each) for each in book.all_of(c)}
