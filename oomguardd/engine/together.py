"""Who dies together: from what was asked for to a party without anybody in it who must live.

Rule of this file: who must live is never a member, whatever was asked for. A cgroup is killed as a whole or
not at all: if one of those in it must live, or others depend on one of them, the victim's tree is killed
instead, and if there is none, the victim alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from oomguardd.engine.badness import NEVER
from oomguardd.engine.select import Limits
from oomguardd.model import Candidate, Member, Party, Totals, Weighed
from oomguardd.policies.base import Scene
from oomguardd.policies.set import NO_POLICIES, PolicySet

SWARM_SIZE = 2
"""Nobody in a swarm holds more than so many times what its victim does, which is the largest of those that
were weighed as one."""

_SCREEN = "draws a screen"
_LOGIN = "keeps a login"
SESSION_KEEPERS = {
    "systemd": "manages a user's units",
    **dict.fromkeys(("sshd", "sshd-session", "sshd-auth", "dropbear"), _LOGIN),
    **dict.fromkeys(("Xorg", "Xwayland", "gnome-shell", "kwin_x11", "kwin_wayland", "mutter"), _SCREEN),
    **dict.fromkeys(("weston", "sway", "labwc", "wayfire", "river", "niri", "Hyprland"), _SCREEN),
    **dict.fromkeys(("cosmic-comp", "cage", "gamescope"), _SCREEN),
}
"""Programs whose end ends a session: no group is killed whole with one of them in it, with or without the
policy `protect`, which has many more."""


class Keep(NamedTuple):
    """Who must live, and how many may die."""

    policies: PolicySet = NO_POLICIES
    scene: Scene = Scene(Totals(0, 0))
    untouchable: Collection[int] = ()
    """Pids: ourselves and our ancestors."""
    inside: bool = False
    """Nobody outside of our own part of the cgroup tree."""
    only_uid: int | None = None
    """The one user whose processes may be signalled; None without such a limit."""
    max_processes: int = 1000


def keep_of(limits: Limits, totals: Totals, max_processes: int) -> Keep:
    """The same bounds that the victim was chosen within."""
    return Keep(
        limits.policies, Scene(totals), limits.untouchable, limits.inside, limits.only_uid, max_processes
    )


class Ask(NamedTuple):
    """Something that may be killed together with a victim."""

    unit: str
    """tree, swarm, or one of KILL_UNITS that is a place in the cgroup tree."""
    cgroup: str = ""
    """Empty for a place: the victim is in none."""
    why: str = ""

    @property
    def name(self) -> str:
        """`unit build.scope`."""
        return f"{self.unit} {self.cgroup.rpartition('/')[2] or '/'}"


class Kin(NamedTuple):
    """A descendant of the victim."""

    parent: int
    """The pid by which it was found, which may have ended since."""
    candidate: Candidate


def asked_for(victim: Weighed, oom_group: str) -> Iterator[Ask]:
    """What to kill, and then what to kill instead if that may not be; after the last one the victim alone.

    `oom_group` is the topmost cgroup with memory.oom.group=1: the kernel would kill all of it, so less than
    that is never asked for.
    """
    c, unit, why = victim.candidate, victim.kill, victim.kill_why
    in_cgroup = unit not in ("process", "tree", "swarm")
    place = _place(c, unit) if in_cgroup else ""
    if oom_group and not (place and within(oom_group, place)):
        yield Ask("cgroup", oom_group, f"memory.oom.group=1 of {oom_group}")
    if in_cgroup:
        yield Ask(unit, place, why)
        yield Ask("tree", "", why)
    elif unit != "process":
        yield Ask(unit, c.cgroup if unit == "swarm" else "", why)


def _place(c: Candidate, unit: str) -> str:
    return c.owner.place(unit) or (c.cgroup if unit == "cgroup" else "")


def within(cgroup: str, other: str) -> bool:
    """Whether it is the other one or below it."""
    return cgroup == other or cgroup.startswith(f"{other.rstrip('/')}/")


def must_live(c: Candidate, keep: Keep) -> str:
    """Why it may not be killed together with anybody; empty if it may."""
    return _barred(c, keep) or (f"oom_score_adj {NEVER}" if c.oom_score_adj == NEVER else "")


def _barred(c: Candidate, keep: Keep) -> str:
    if c.kernel_thread:
        return "kernel thread"
    if c.pid == 1:
        return "init"
    if c.pid in keep.untouchable:
        return "the guard itself or one of its ancestors"
    if keep.inside and c.cgroup.startswith("/.."):
        return "outside of this container"
    if keep.only_uid is not None and c.uid != keep.only_uid:
        return f"belongs to uid {c.uid}, which this guard may not signal"
    return keep.policies.spare(c, keep.scene)


def depended_on(c: Candidate) -> str:
    """What would end with it that nobody asked to end; empty if nothing would.

    Inside of a container or a job that is its own affair. A name counts only where the program's path cannot
    be read, so that nobody saves a unit by calling a process of theirs sshd.
    """
    if c.owner.runtime:
        return ""
    name = c.comm if c.exe is None else c.exe.rpartition("/")[2]
    if name in SESSION_KEEPERS:
        return SESSION_KEEPERS[name]
    return "leads a session on a terminal" if c.terminal and c.sid == c.pid else ""


def group(ask: Ask, victim: Candidate, found: Sequence[Candidate], keep: Keep) -> Party | str:
    """All of a cgroup, or why not. As with the kernel's, those with oom_score_adj -1000 are left."""
    if not ask.cgroup:
        return f"it is in no {ask.unit}"
    if len(found) > keep.max_processes:
        return too_many(len(found), keep)
    members: list[Candidate] = []
    here = left = False
    for c in found:
        if c.identity == victim.identity:
            here = True
            continue
        why = _barred(c, keep) or depended_on(c)
        if why:
            return f"{ask.name} also holds {c.comm}[{c.pid}] ({why})"
        if c.oom_score_adj == NEVER:
            left = True
        else:
            members.append(c)
    if not here:
        return f"it has left {ask.name}"
    return _party(ask, victim, members)._replace(whole=not left)


def tree(ask: Ask, victim: Candidate, found: Iterable[Kin], keep: Keep) -> Party | str:
    """The victim and its descendants, found parents first, or why not. Who must live is left with all that
    descend from it."""
    left: set[int] = set()
    members: list[Candidate] = []
    for parent, c in found:
        if parent in left or must_live(c, keep) or depended_on(c):
            left.add(c.pid)
        elif c.identity != victim.identity:
            members.append(c)
    if len(members) >= keep.max_processes:
        return too_many(len(members) + 1, keep)
    return _party(ask, victim, members)


def swarm(ask: Ask, victim: Candidate, found: Iterable[Candidate], keep: Keep) -> Party:
    """The victim and those like it; of too many the biggest."""
    members = _biggest(
        c for c in found if c.identity != victim.identity and alike(c, victim) and not must_live(c, keep)
    )
    party = _party(ask, victim, members[: keep.max_processes - 1])
    if len(members) < keep.max_processes:
        return party
    most = keep.max_processes
    return party._replace(
        reduced=f"more than kill.max_processes ({most}): only the {most} biggest are killed"
    )


def alike(c: Candidate, victim: Candidate) -> bool:
    """Whether it belongs to the victim's swarm: who leads a session has started it, or answers for it."""
    return (
        (c.comm, c.uid, c.cgroup) == (victim.comm, victim.uid, victim.cgroup)
        and c.sid != c.pid
        and c.held_bytes <= SWARM_SIZE * victim.held_bytes
    )


def alone(victim: Candidate, reduced: str = "", why: str = "") -> Party:
    """The victim, and nobody else."""
    return Party(members=(member_of(victim),), why=why, reduced=reduced)


def with_sharers(party: Party, found: Iterable[Candidate], keep: Keep) -> Party:
    """The party with those that share the victim's memory, which would not come back without them: the
    kernel kills them too, even with oom_score_adj -1000. What they hold is counted with the victim."""
    sharers = {c.pid: member_of(c)._replace(held_bytes=0) for c in found if not _barred(c, keep)}
    if not sharers:
        return party
    victim, *others = party.members
    rest = [member for member in others if member.pid not in sharers]
    outside = len(rest) + len(sharers) > len(others)
    return party._replace(members=(victim, *sharers.values(), *rest), whole=party.whole and not outside)


def may_join(c: Candidate, unit: str, victim: Candidate, keep: Keep) -> bool:
    """Whether one that was found later, in the same place, dies with the rest: for it alone nothing is called
    off any more, so it is left if it must live."""
    if must_live(c, keep):
        return False
    return alike(c, victim) if unit == "swarm" else not depended_on(c)


def too_many(count: int, keep: Keep) -> str:
    return f"{count} processes, more than kill.max_processes ({keep.max_processes})"


def instead(reason: str, party: Party) -> str:
    """The reason with what it has led to, for `Party.reduced`."""
    if not reason or party.reduced:
        return party.reduced
    what = {"tree": "the process and what descends from it is", "swarm": "the swarm is"}.get(
        party.unit, f"{Ask(party.unit, party.cgroup).name} is"
    )
    return f"{reason}: only {'the process is' if len(party.members) == 1 else what} killed"


def member_of(c: Candidate) -> Member:
    return Member(c.pid, c.start_ticks, c.comm, c.held_bytes)


def _party(ask: Ask, victim: Candidate, members: Iterable[Candidate]) -> Party:
    everybody = (member_of(victim), *map(member_of, _biggest(members)))
    return Party(ask.unit, everybody, ask.cgroup, False, ask.why)


def _biggest(found: Iterable[Candidate]) -> list[Candidate]:
    return sorted(found, key=lambda c: (-c.held_bytes, c.identity))
