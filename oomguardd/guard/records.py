"""What the guard tells, built from what it decided. Pure: the words are made from these by whoever shows
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oomguardd.engine.triggers import Assessment
from oomguardd.model import LEVEL_NAMES, PAGE_BYTES, Level, Party, Sample, Totals, Trigger, Verdict, Weighed

SPARED_MAX = 10
"""So many of those spared are named in a record, the biggest first."""

MEMBERS_MAX = 10
"""So many of those who die together are named, the victim and then the biggest."""

CGROUP_MAX = 256
"""A path may have 4096 bytes of anybody's choice, and a record names ten processes."""
COMM_MAX = 64

LEVEL_WORDS: Mapping[Level, str] = {
    Level.CALM: "calm",
    **{level: word for word, level in LEVEL_NAMES.items()},
}


def readings(sample: Sample) -> dict[str, float]:
    """The sample, with as many digits as mean something."""
    return {name: round(value, 3) for name, value in sample.items()}


def weighed(w: Weighed, totals: Totals) -> dict[str, object]:
    """One candidate with every term of its points."""
    c = w.candidate
    return {
        "pid": c.pid,
        "ppid": c.ppid,
        "comm": c.comm[:COMM_MAX],
        "uid": c.uid,
        "cgroup": _path(c.cgroup),
        "state": c.state,
        "age_s": round(c.age_s, 1),
        "nice": c.nice,
        "threads": c.threads,
        "oom_score_adj": c.oom_score_adj,
        "rss_anon_bytes": c.rss_anon_bytes,
        "rss_file_bytes": c.rss_file_bytes,
        "rss_shmem_bytes": c.rss_shmem_bytes,
        "swap_bytes": c.swap_bytes,
        "pagetables_bytes": c.pagetables_bytes,
        "held_bytes": c.held_bytes,
        "kernel_pages": w.kernel_pages,
        "pages": w.pages,
        "points": round(w.pages * 1000 / max(1, totals.pages), 1),
        "adjustments": [[a.policy, a.points, a.why] for a in w.adjustments],
    }


def verdict(v: Verdict) -> dict[str, object]:
    """The whole explanation of a choice."""
    return {
        "victim": weighed(v.victim, v.totals) if v.victim else None,
        "runners_up": [weighed(w, v.totals) for w in v.runners_up],
        "spared": [list(s) for s in v.spared[:SPARED_MAX]],
        "totals": {"ram_bytes": v.totals.ram_bytes, "swap_bytes": v.totals.swap_bytes},
        "page_bytes": PAGE_BYTES,
    }


def party(p: Party) -> dict[str, object]:
    """Who dies together, and who wants it so."""
    return {
        "unit": p.unit,
        "cgroup": _path(p.cgroup),
        "count": len(p.members),
        "held_bytes": p.held_bytes,
        "why": p.why[:CGROUP_MAX],
        "reduced": p.reduced[: 2 * CGROUP_MAX],
        "members": [[m.pid, m.comm[:COMM_MAX], m.held_bytes] for m in p.members[:MEMBERS_MAX]],
    }


def _path(cgroup: str) -> str:
    return cgroup if len(cgroup) <= CGROUP_MAX else f"...{cgroup[-CGROUP_MAX:]}"


def cause(a: Assessment) -> dict[str, object]:
    """Why something was done at all."""
    return {
        "level": LEVEL_WORDS[a.level],
        "triggers": [t.name for t in a.holding],
        "conditions": [f"{c.signal} {c.text}" for c in a.holding[0].conditions] if a.holding else [],
    }


def triggers(each: Iterable[Trigger]) -> list[dict[str, object]]:
    """Those in force; `bounds` has each condition's signal, whether it must be below, the number, and whether
    that is a percentage of the signal's total."""
    return [
        {
            "name": t.name,
            "level": LEVEL_WORDS[t.level],
            "conditions": [f"{c.signal} {c.text}" for c in t.conditions],
            "bounds": [[c.signal, c.below, c.bound, c.relative] for c in t.conditions],
            "for_s": t.for_s,
        }
        for t in each
    ]
