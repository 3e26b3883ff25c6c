"""Who would die together with a victim, out of everybody that was read.

Rule of this file: pure. The guard asks the kernel again at that moment (census/muster.py); here it is what
was seen. That some share the victim's memory without being its threads is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from oomguardd.engine.together import Ask, Keep, Kin, alone, asked_for, group, instead, swarm, tree, within
from oomguardd.model import Candidate, Party, Weighed

NEEDS = frozenset({"exe", "memcg"})
"""What has to be read for it."""


def party_of(w: Weighed, processes: Sequence[Candidate], keep: Keep) -> Party:
    """The victim with those who die with it."""
    victim, reason = w.candidate, ""
    oom_group = victim.memcg.oom_group if victim.memcg else ""
    for ask in asked_for(w, oom_group):
        party = _gather(ask, victim, processes, keep)
        if isinstance(party, Party):
            return party._replace(reduced=instead(reason, party))
        reason = reason or party
    party = alone(victim, why=w.kill_why)
    return party._replace(reduced=instead(reason, party))


def _gather(ask: Ask, victim: Candidate, processes: Sequence[Candidate], keep: Keep) -> Party | str:
    if ask.unit == "tree":
        return tree(ask, victim, descendants(victim.pid, processes), keep)
    if ask.unit == "swarm":
        return swarm(ask, victim, processes, keep)
    return group(ask, victim, [c for c in processes if within(c.cgroup, ask.cgroup)], keep)


def descendants(pid: int, processes: Sequence[Candidate]) -> list[Kin]:
    """Of that process, parents first."""
    children: dict[int, list[Candidate]] = {}
    for c in processes:
        children.setdefault(c.ppid, []).append(c)
    found: list[Kin] = []
    ahead = [pid]
    seen = {pid}
    for parent in ahead:
        for c in children.get(parent, ()):
            if c.pid not in seen:
                seen.add(c.pid)
                found.append(Kin(parent, c))
                ahead.append(c.pid)
    return found
