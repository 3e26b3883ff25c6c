"""A case in sentences.

Rule of this file: pure; what comes from a process passes `safe`.
"""

from __future__ import annotations

from collections.abc import Iterable

from oomguardd.ctl.beforehand.case import Case, RuleWord
from oomguardd.ctl.terms import Term, kernel_terms, owner_words, policy_terms, to_points
from oomguardd.ctl.text import bullets, fit, paragraph
from oomguardd.engine.words import counted, digits, duration, listed, path, safe, size, table
from oomguardd.model import PAGE_BYTES, Candidate, Owner

_MOST_MEMBERS = 12


def story_of(case: Case, width: int, user: str) -> list[str]:
    """Why it would or would not be chosen, and what to write to change that. `user`: its user's name."""
    lines = [
        *paragraph(_verdict(case), width),
        *paragraph(_person(case.candidate, user), width),
        "",
        *_sum(case, width),
        "",
        *bullets(_distance(case), width, indent=0),
        *bullets(_rules(case), width, indent=0),
        *bullets(_policies(case), width, indent=0),
        *bullets(_company(case), width, indent=0),
        "",
        *paragraph(case.advice.why, width),
    ]
    # Not cut: it is to be copied.
    return lines + ["", *(f"    {line}" for line in case.advice.toml.splitlines())] * bool(case.advice.toml)


def _name(c: Candidate) -> str:
    return f"{safe(c.comm)}[{c.pid}]"


def _verdict(case: Case) -> str:
    name, of = _name(case.candidate), len(case.world.ranked)
    if case.exempt:
        said = f"{name} would not be killed: {safe(case.exempt)}."
    elif case.rank == 1:
        return f"{name} would be killed now, if memory ran out: it is the worst of {_candidates(of)}."
    else:
        number = f"it is number {case.rank} of {_candidates(of)}"
        said = f"{name} would not be killed now, if memory ran out: {number}."
    victim, party = case.world.verdict.victim, case.with_victim
    if party is None or victim is None:
        return said
    return f"{said} But it would die with {_name(victim.candidate)}, as one of its {party.unit}."


def _candidates(number: int) -> str:
    return "one candidate" if number == 1 else f"{number} candidates"


def _person(c: Candidate, user: str) -> str:
    terminal = ", on a terminal" if c.terminal else ""
    nice = f", nice {c.nice}" if c.nice else ""
    sched = f", SCHED_{c.sched.upper()}" if c.sched != "other" else ""
    program = safe(c.exe) if c.exe else "a program that cannot be seen from here"
    who = f"{safe(user)} (uid {c.uid})" if user else f"uid {c.uid}"
    words = owner_words(c.owner)
    place = f" in {safe(words)}" if words else ""
    return (
        f"It runs {program} as {who}{place} for {duration(c.age_s)}: state {safe(c.state)},"
        f" {counted(c.threads, 'thread')}{nice}{sched}{terminal}; cgroup {path(safe(c.cgroup)) or 'none'}."
        f"{_owner(c.owner)}"
    )


def _owner(owner: Owner) -> str:
    known = (
        ("runtime", owner.runtime),
        ("container", owner.container),
        ("pod", owner.pod),
        ("QoS class", owner.qos),
        ("job", owner.job),
        ("session", owner.session),
        ("app", owner.app),
    )
    words = [f"{what} {safe(value)}" for what, value in known if value]
    return f" It belongs to {', '.join(words)}." if words else ""


def _sum(case: Case, width: int) -> list[str]:
    totals, w = case.world.totals, case.weighed
    kernel = [_row(term) for term in kernel_terms(w.candidate, totals) if term.points or term.size_bytes]
    policies = [_row(term) for term in policy_terms(w, totals)]
    swap = f" + {size(totals.swap_bytes)} swap" if totals.swap_bytes else ""
    rows = [
        *kernel,
        ("=", digits(to_points(w.kernel_pages, totals)), _pages(w.kernel_pages), "the kernel's badness"),
        *policies,
        ("=", digits(to_points(w.pages, totals)), _pages(w.pages), "what candidates are ranked by"),
    ]
    would = "would be" if case.exempt else "are"
    lines = [f"Its points, in thousandths of {size(totals.ram_bytes)} RAM{swap}, {would}:"]
    lines += [f"  {line}" for line in table(rows, left=(0, 3))]
    return [fit(line, width) for line in lines]


def _row(term: Term) -> tuple[str, str, str, str]:
    sign = "-" if term.points < 0 else "+"
    held = "" if term.size_bytes is None else size(term.size_bytes)
    memory = term.size_bytes is not None or term.name == "oom_score_adj"
    words = term.why if memory else f"{safe(term.name)}: {safe(term.why)}"
    return sign, digits(abs(term.points)), held, words


def _pages(pages: int) -> str:
    return size(pages * PAGE_BYTES)


def _distance(case: Case) -> Iterable[str]:
    distance, ranked, totals = case.distance_pages, case.world.ranked, case.world.totals
    if case.exempt:
        if ranked:
            yield f"Were it not exempt, it would be number {case.rank} of {_candidates(len(ranked) + 1)}."
        return
    if distance is None:
        yield "There is no other candidate."
        return
    other = ranked[1] if case.rank == 1 else ranked[0]
    points = digits(to_points(other.pages, totals))
    apart = f"{digits(to_points(distance, totals))} points, {_pages(distance)}"
    if case.rank == 1:
        yield f"Next is {_name(other.candidate)} with {points} points: {apart} behind."
    else:
        yield f"{_name(other.candidate)} would be killed now, with {points} points: {apart} ahead of it."


def _rules(case: Case) -> Iterable[str]:
    if not case.rules:
        yield "There are no rules."
        return
    deciding = [word for word in case.rules if word.decides]
    if not deciding:
        yield "No rule matches it."
    for word in deciding:
        yield f'Rule "{safe(word.name)}" decides about it: {word.does}, for {safe(word.match)}.'
    decided = False
    for word in case.rules:
        if word.decides:
            decided = True
        else:
            yield _other_rule(word, decided)


def _other_rule(word: RuleWord, decided: bool) -> str:
    head = f'Rule "{safe(word.name)}" ({word.does})'
    if word.fails:
        return f"{head} does not match: not {safe(word.fails)}."
    return f"{head} matches, too, but stands below." if decided else f"{head} matches."


def _policies(case: Case) -> Iterable[str]:
    silent = []
    for word in case.policies:
        if word.spares:
            yield f"Policy {word.name} exempts it: {safe(word.spares)}."
        elif word.why:
            sign = "+" if word.points > 0 else ""
            yield f"Policy {word.name}: {sign}{digits(word.points)} points, {safe(word.why)}."
        else:
            silent.append(word.name)
    if silent:
        yield f"Nothing to say about it have the policies {', '.join(silent)}."


def _company(case: Case) -> Iterable[str]:
    party = case.party
    others = party.members[1:]
    if not others:
        why = f" ({safe(party.why)})" if party.why else ""
        yield f"If it were killed, it would die alone{why}."
    else:
        names = [f"{safe(member.comm)}[{member.pid}]" for member in others]
        place = f" {path(safe(party.cgroup))}" if party.cgroup else ""
        why = f", because of {safe(party.why)}" if party.why else ""
        yield (
            f"If it were killed, {counted(len(others), 'other process')} of its {party.unit}{place} would die"
            f" with it{why}:"
            f" {listed(names, _MOST_MEMBERS)}; {size(party.held_bytes)} in all."
        )
    if party.reduced:
        yield f"Not more, because {safe(party.reduced)}."
