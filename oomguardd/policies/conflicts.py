"""Rules that can never match, and rules that never get to decide.

Rule of this file: only what is certain is said. Two patterns that are merely alike may differ on some text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from oomguardd.policies import pattern
from oomguardd.policies.clauses import EVERYBODY_HAS, HOST, KEYS, key_of
from oomguardd.policies.pattern import Pattern
from oomguardd.rules import Clause, Kind, Rule

NAME_BYTES = 15
"""TASK_COMM_LEN of include/linux/sched.h, without the byte that ends it."""
DOMAINS = {"nice": (-20.0, 19.0), "oom_score_adj": (-1000.0, 1000.0), "age": (0.0, float("inf"))}
ONLY_IN = {"container": "a container", "pod": "a pod", "qos": "a pod", "job": "a Slurm job"}
"""Keys of what nothing on the host itself has."""
compile_glob = lru_cache(maxsize=4096)(pattern.compile_glob)
compile_regex = lru_cache(maxsize=1024)(pattern.compile_regex)
UNKNOWN = "\0"
"""Stands for whatever a star may stand for: no text has it."""


def never_matches(rule: Rule) -> tuple[str, str] | None:
    """The key of a clause that cannot hold, alone or beside the others, and why; None if all may."""
    for clause in rule.match:
        why = _impossible(clause)
        if why:
            return key_of(clause), why
    runtimes = next((c.texts for c in rule.match if c.key == "runtime"), ())
    for clause in rule.match:
        if clause.key in ONLY_IN and runtimes == (HOST,):
            return key_of(clause), f'only {ONLY_IN[clause.key]} has one, and runtime is "host"'
        if clause.key == "job" and runtimes and "slurm" not in runtimes:
            return key_of(clause), f'only runtime "slurm" has jobs, and runtime is {", ".join(runtimes)}'
    return _exclude_each_other(rule.match)


def shadowed_by(rules: Sequence[Rule]) -> list[tuple[int, int]]:
    """Pairs (index, index of an earlier one): whatever matches the first of them matches the second, too."""
    found = []
    for index, rule in enumerate(rules):
        for by in range(index):
            if all(any(_implies(mine, theirs) for mine in rule.match) for theirs in rules[by].match):
                found.append((index, by))
                break
    return found


def _impossible(clause: Clause) -> str:
    if clause.key in DOMAINS:
        least, most = DOMAINS[clause.key]
        low = least if clause.low is None else clause.low
        high = most if clause.high is None else clause.high
        if low > high:
            return f"{low:g} is more than {high:g}"
        if high < least or low > most:
            return f"it is always from {least:g} to {most:g}"
    if clause.regex or not clause.texts:
        return ""
    if clause.key == "name":
        long = [text for text in clause.texts if _least_bytes(text) > NAME_BYTES]
        if len(long) == len(clause.texts):
            return f"the kernel cuts names to {NAME_BYTES} bytes (write {long[0][:NAME_BYTES]}, or use exe)"
    if clause.key in ("exe", "cgroup") and all(text[:1] not in "/*?[\\^" for text in clause.texts):
        return "it is a whole path and begins with / (write */ in front of it)"
    return ""


def _least_bytes(glob: str) -> int:
    """The fewest bytes that can match."""
    pieces = compile_glob(glob).pieces
    return 0 if pieces is None else sum(len(piece.encode()) for piece in pieces)


def _exclude_each_other(match: Sequence[Clause]) -> tuple[str, str] | None:
    """The same key twice, as a list of literals and as a pattern that none of them matches."""
    for clause in match:
        for other in match:
            if other is clause or other.key != clause.key or KEYS[clause.key].kind is not Kind.TEXT:
                continue
            literals = _literals(clause)
            if literals and not any(p.matches(text) for p in _patterns(other) for text in literals):
                return key_of(clause), f"{key_of(other)} matches none of it"
    return None


def _implies(narrow: Clause, wide: Clause) -> bool:
    """Whether `wide` holds wherever `narrow` does."""
    if narrow.key != wide.key:
        return _everybody(wide)
    kind = KEYS[wide.key].kind
    if kind is Kind.FLAG:
        return narrow.flag is wide.flag
    if kind in (Kind.RANGE, Kind.AGE):
        return _contained(narrow, wide)
    if kind in (Kind.USER, Kind.GROUP):
        return bool(narrow.numbers) and set(narrow.numbers) <= set(wide.numbers)
    if kind is Kind.WORD:
        return bool(narrow.texts) and set(narrow.texts) <= set(wide.texts)
    return all(_covered(text, narrow.regex, wide) for text in narrow.texts)


def _everybody(clause: Clause) -> bool:
    return not clause.regex and clause.key in EVERYBODY_HAS and "*" in clause.texts


def _contained(narrow: Clause, wide: Clause) -> bool:
    above = wide.low is None or (narrow.low is not None and narrow.low >= wide.low)
    below = wide.high is None or (narrow.high is not None and narrow.high <= wide.high)
    return above and below


def _covered(text: str, regex: bool, wide: Clause) -> bool:
    if regex == wide.regex and text in wide.texts:
        return True
    if not wide.regex and "*" in wide.texts:
        return True
    pieces = None if regex else compile_glob(text).pieces
    if pieces is None:
        return False
    # What a star stands for is unknown, so that only a star can match it.
    sample = UNKNOWN.join(pieces)
    return any((len(pieces) == 1 or p.pieces is not None) and p.matches(sample) for p in _patterns(wide))


def _literals(clause: Clause) -> tuple[str, ...]:
    """What can match at all; empty if that is not a list of texts."""
    if clause.regex:
        return ()
    found = tuple(compile_glob(text).literal for text in clause.texts)
    return () if None in found else tuple(text for text in found if text is not None)


def _patterns(clause: Clause) -> tuple[Pattern, ...]:
    return tuple(compile_regex(text) if clause.regex else compile_glob(text) for text in clause.texts)
