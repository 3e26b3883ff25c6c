"""Rules that can never match, and rules that never get to decide.

Rule of this file: only what is certain is said. Two patterns that are merely alike may differ on some text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from oomguardd.policies.clauses import EVERYBODY_HAS, HOST, KEYS, key_of
from oomguardd.policies.pattern import Pattern, compile_glob, compile_regex
from oomguardd.rules import Clause, Kind, Rule

NAME_BYTES = 15
"""TASK_COMM_LEN of include/linux/sched.h, without the byte that ends it."""
WORKER = "kworker/"
"""Names of these threads are longer: fs/proc/array.c, proc_task_name()."""
DOMAINS = {"nice": (-20.0, 19.0), "oom_score_adj": (-1000.0, 1000.0), "age": (0.0, float("inf"))}
ONLY_IN = {"container": "a container", "pod": "a pod", "qos": "a pod", "job": "a Slurm job"}
"""Keys of what nothing on the host itself has."""
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
        return _outside(clause, *DOMAINS[clause.key])
    if clause.regex or not clause.texts:
        return ""
    whys = [_odd(clause.key, text) for text in clause.texts]
    return whys[0] if all(whys) else ""


def _outside(clause: Clause, least: float, most: float) -> str:
    low = least if clause.low is None else clause.low
    high = most if clause.high is None else clause.high
    if low > high:
        return f"{low:g} is more than {high:g}"
    return f"it is always from {least:g} to {most:g}" if high < least or low > most else ""


def _odd(key: str, glob: str) -> str:
    """Why no text that it matches is one of that key's."""
    pieces = _compiled(glob, False).pieces
    needed = "".join(pieces or ())
    if key in ("name", "ancestor") and not glob.startswith(WORKER):
        if len(needed.encode(errors="replace")) > NAME_BYTES:
            return f"the kernel cuts names to {NAME_BYTES} bytes (write {glob[:NAME_BYTES]}, or use exe)"
    elif key in ("exe", "cgroup"):
        if glob[:1] not in "/*?[\\^":
            return "it is a whole path and begins with / (write */ in front of it)"
        if pieces and pieces[-1].endswith("/") and needed != "/":
            return f"it is a whole path and does not end with / (write {glob}*)"
    elif key == "pod" and needed.strip("0123456789abcdef-"):
        return "it is the UID of a pod, not its name (kubectl get pod -o yaml shows it)"
    elif key == "job" and needed and not needed.isalnum():
        return "it is the number of a job (squeue -O JobID shows it)"
    return ""


def _exclude_each_other(match: Sequence[Clause]) -> tuple[str, str] | None:
    """The same key twice, as a list of literals and as a pattern that none of them matches."""
    for clause in match:
        for other in match:
            if other is clause or other.key != clause.key or not _has_one_text(clause.key):
                continue
            literals = _literals(clause)
            if literals and not any(p.matches(text) for p in _patterns(other) for text in literals):
                return key_of(clause), f"{key_of(other)} matches none of it"
    return None


def _has_one_text(key: str) -> bool:
    """A process has several ancestors: each clause may hold for another one."""
    return KEYS[key].kind is Kind.TEXT and key != "ancestor"


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
    """Whether it holds for all there are."""
    if clause.key in DOMAINS:
        least, most = DOMAINS[clause.key]
        return _contained(clause._replace(low=least, high=most), clause)
    return not clause.regex and clause.key in EVERYBODY_HAS and "*" in clause.texts


def _contained(narrow: Clause, wide: Clause) -> bool:
    least, most = DOMAINS[wide.key]
    low = least if narrow.low is None else max(least, narrow.low)
    high = most if narrow.high is None else min(most, narrow.high)
    return (wide.low is None or low >= wide.low) and (wide.high is None or high <= wide.high)


def _covered(text: str, regex: bool, wide: Clause) -> bool:
    if regex == wide.regex and text in wide.texts:
        return True
    if not wide.regex and "*" in wide.texts:
        return True
    pieces = _compiled(text, regex).pieces
    if pieces is None:
        return False
    # What a star stands for is unknown, so that only a star can match it.
    sample = UNKNOWN.join(pieces)
    return any((len(pieces) == 1 or p.pieces is not None) and p.matches(sample) for p in _patterns(wide))


def _literals(clause: Clause) -> tuple[str, ...]:
    """What can match at all; empty if that is not a list of texts."""
    if clause.regex:
        return ()
    found = tuple(_compiled(text, False).literal for text in clause.texts)
    return () if None in found else tuple(text for text in found if text is not None)


def _patterns(clause: Clause) -> tuple[Pattern, ...]:
    return tuple(_compiled(text, clause.regex) for text in clause.texts)


@lru_cache(maxsize=4096)
def _compiled(text: str, regex: bool) -> Pattern:
    """Every rule is compared with every other."""
    return compile_regex(text) if regex else compile_glob(text)
