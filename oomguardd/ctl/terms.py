"""A candidate's points, term by term, and everything about it for programs.

Rule of this file: pure; the terms add up to the pages that candidates are ranked by.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.model import PAGE_BYTES, Candidate, Owner, Totals, Weighed

MEMORY_TERMS = (
    ("anon", "rss_anon_bytes", "anonymous memory"),
    ("file", "rss_file_bytes", "mapped files"),
    ("shmem", "rss_shmem_bytes", "shared memory"),
    ("swap", "swap_bytes", "in swap"),
    ("tables", "pagetables_bytes", "page tables"),
)
"""Short name, field of Candidate, name in a sentence."""


class Term(NamedTuple):
    """One part of the sum."""

    name: str
    """anon, file, shmem, swap, tables, oom_score_adj, or the policy's."""
    points: float
    size_bytes: int | None
    """What of its memory that is; None for what is no memory."""
    why: str


def to_points(pages: float, totals: Totals) -> float:
    """Thousandths of RAM and swap."""
    return 1000 * pages / max(1, totals.pages)


def kernel_terms(c: Candidate, totals: Totals) -> tuple[Term, ...]:
    """The kernel's own."""
    memory = (
        Term(name, to_points(getattr(c, field) / PAGE_BYTES, totals), getattr(c, field), words)
        for name, field, words in MEMORY_TERMS
    )
    adj = Term(
        "oom_score_adj",
        to_points(c.oom_score_adj * totals.point_pages, totals),
        None,
        f"oom_score_adj {c.oom_score_adj}",
    )
    return (*memory, adj)


def policy_terms(w: Weighed, totals: Totals) -> tuple[Term, ...]:
    """What policies, rules and settings add, each rounded to the pages that it really is."""
    return tuple(
        Term(a.policy, to_points(int(a.points * totals.point_pages), totals), None, a.why)
        for a in w.adjustments
    )


def owner_words(owner: Owner) -> str:
    """Who runs it, the most telling first; empty for a process of which the cgroup path tells nothing."""
    if owner.job:
        return f"job {owner.job}" + (f" step {owner.step}" if owner.step else "")
    if owner.pod:
        qos = f" ({owner.qos})" if owner.qos else ""
        return f"pod {owner.pod}{qos}"
    if owner.container:
        return f"{owner.runtime or 'container'} {owner.container[:12]}"
    return owner.user_unit or owner.unit or owner.slice


def owner_fields(owner: Owner) -> dict[str, object]:
    """For programs: only what is known."""
    known = owner._asdict()
    del known["places"]
    return {name: value for name, value in known.items() if value not in ("", None)}


def candidate_fields(c: Candidate) -> dict[str, object]:
    """For programs: a process as it was read."""
    fields: dict[str, object] = {
        "pid": c.pid,
        "ppid": c.ppid,
        "start_ticks": c.start_ticks,
        "comm": c.comm,
        "exe": c.exe,
        "cmdline": c.cmdline,
        "uid": c.uid,
        "gid": c.gid,
        "state": c.state,
        "age_s": round(c.age_s, 1),
        "nice": c.nice,
        "sched": c.sched,
        "threads": c.threads,
        "terminal": c.terminal,
        "cgroup": c.cgroup,
        "owner": owner_fields(c.owner),
        "held_bytes": c.held_bytes,
        "settled_bytes": c.settled_bytes,
    }
    fields.update({field: getattr(c, field) for _, field, _ in MEMORY_TERMS})
    fields["oom_score_adj"] = c.oom_score_adj
    return fields


def weighed_fields(w: Weighed, totals: Totals) -> dict[str, object]:
    """For programs: a candidate with every term of its points."""
    terms = (*kernel_terms(w.candidate, totals), *policy_terms(w, totals))
    return candidate_fields(w.candidate) | {
        "points": round(to_points(w.pages, totals), 3),
        "pages": w.pages,
        "kernel_pages": w.kernel_pages,
        "terms": [[t.name, round(t.points, 3), t.size_bytes, t.why] for t in terms],
        "rule": w.rule,
        "kill": w.kill,
        "kill_why": w.kill_why,
    }
