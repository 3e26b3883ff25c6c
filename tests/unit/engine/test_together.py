"""Who dies together: what is asked for, what comes of it, and who is never among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from oomguardd.engine.select import Limits
from oomguardd.engine.together import (
    Ask,
    Keep,
    Kin,
    alike,
    alone,
    asked_for,
    depended_on,
    group,
    instead,
    keep_of,
    may_join,
    member_of,
    must_live,
    swarm,
    tree,
    with_sharers,
    within,
)
from oomguardd.model import Candidate, Owner, Party, Totals, Weighed
from oomguardd.policies.base import Policy, Scene
from oomguardd.policies.set import PolicySet
from tests.shell.rig import candidate

SCOPE = "/user.slice/user-1000.slice/session-3.scope"
ASK = Ask("unit", SCOPE, "rule builds")
PLACES = (("unit", SCOPE), ("cgroup", f"{SCOPE}/leaf"))


class Treasure(Policy):
    """Spares who is called so."""

    name: ClassVar[str] = "treasure"

    def spare(self, c: Candidate, scene: Scene) -> str:
        return "is a treasure" if c.comm == "treasure" else ""


KEEP = Keep(policies=PolicySet((Treasure(),)), max_processes=10)


def one(pid: int, **fields: Any) -> Candidate:
    return candidate(pid, **{"cgroup": SCOPE, "rss_anon_bytes": pid << 20, **fields})


def weighed(c: Candidate, kill: str = "process", why: str = "") -> Weighed:
    return Weighed(c, 0, (), 0, kill=kill, kill_why=why)


def pids(party: Party | str) -> list[int]:
    assert isinstance(party, Party)
    return [member.pid for member in party.members]


VICTIM = one(50, owner=Owner(unit="session-3.scope", places=PLACES))


@pytest.mark.parametrize(
    ("kill", "oom_group", "units"),
    [
        ("process", "", []),
        ("tree", "", ["tree"]),
        ("swarm", "", ["swarm"]),
        ("unit", "", ["unit", "tree"]),
        ("container", "", ["container", "tree"]),
        ("process", SCOPE, ["cgroup"]),
        ("tree", SCOPE, ["cgroup", "tree"]),
        ("swarm", SCOPE, ["cgroup", "swarm"]),
        ("cgroup", SCOPE, ["cgroup", "cgroup", "tree"]),  # the leaf is less than the kernel would kill
        ("unit", SCOPE, ["unit", "tree"]),
        ("unit", f"{SCOPE}/leaf", ["unit", "tree"]),
        ("unit", "/user.slice", ["cgroup", "unit", "tree"]),
    ],
)
def test_what_is_asked_for_and_then_less(kill: str, oom_group: str, units: list[str]) -> None:
    assert [ask.unit for ask in asked_for(weighed(VICTIM, kill, "rule builds"), oom_group)] == units


def test_a_place_that_the_victim_is_not_in() -> None:
    (first, _) = asked_for(weighed(VICTIM, "pod", "rule builds"), "")
    assert first == Ask("pod", "", "rule builds")
    assert group(first, VICTIM, [], KEEP) == "it is in no pod"


def test_the_cgroup_of_a_process_needs_no_owner() -> None:
    (first, _) = asked_for(weighed(one(50), "cgroup"), "")
    assert first.cgroup == SCOPE


def test_all_of_a_unit() -> None:
    party = group(ASK, VICTIM, [one(51), VICTIM, one(60)], KEEP)
    assert pids(party) == [50, 60, 51]
    assert party == Party("unit", tuple(map(member_of, (VICTIM, one(60), one(51)))), SCOPE, True, ASK.why)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"comm": "treasure"}, "treasure[51] (is a treasure)"),
        ({"comm": "sshd"}, "sshd[51] (keeps a login)"),
        ({"comm": "gnome-shell"}, "draws a screen"),
        ({"comm": "systemd"}, "manages a user's units"),
        ({"comm": "bash", "sid": 51, "terminal": True}, "bash[51] (leads a session on a terminal)"),
        ({"kernel_thread": True}, "kernel thread"),
        ({"uid": 7}, "belongs to uid 7"),
        ({"cgroup": "/../elsewhere"}, "outside of this container"),
    ],
)
def test_a_unit_that_holds_one_who_must_live_is_not_killed_whole(other: dict[str, Any], why: str) -> None:
    found = group(ASK, VICTIM, [VICTIM, one(51, **other)], KEEP._replace(inside=True, only_uid=1000))
    assert isinstance(found, str)
    assert found.startswith("unit session-3.scope also holds ")
    assert why in found


@pytest.mark.parametrize("pid", [1, 51])
def test_neither_init_nor_ourselves(pid: int) -> None:
    found = group(ASK, VICTIM, [VICTIM, one(pid)], KEEP._replace(untouchable={51}))
    assert isinstance(found, str)


def test_with_adj_minus_1000_one_is_left_and_the_rest_dies() -> None:
    party = group(ASK, VICTIM, [VICTIM, one(51, oom_score_adj=-1000), one(52)], KEEP)
    assert isinstance(party, Party)
    assert pids(party) == [50, 52]
    assert not party.whole


def test_who_must_live_is_not_outvoted_by_adj_minus_1000() -> None:
    found = group(ASK, VICTIM, [VICTIM, one(51, comm="treasure", oom_score_adj=-1000)], KEEP)
    assert isinstance(found, str)


def test_the_victim_may_lead_a_session_itself() -> None:
    """`ssh -t host hog`, or a pane of tmux: it dies anyway."""
    leader = replace(VICTIM, sid=50, terminal=True)
    assert pids(group(ASK, leader, [leader, one(51)], KEEP)) == [50, 51]


def test_a_session_inside_of_a_container_is_its_own_affair() -> None:
    inside = Owner(runtime="docker", container="ab12")
    shell = one(51, comm="sshd", sid=51, terminal=True, owner=inside)
    assert depended_on(shell) == ""
    assert pids(group(ASK, VICTIM, [VICTIM, shell], KEEP)) == [50, 51]


def test_a_name_counts_only_where_the_program_is_not_known() -> None:
    assert depended_on(one(51, comm="sshd", exe=None))
    assert depended_on(one(51, comm="sshd: me [priv", exe="/usr/sbin/sshd"))
    assert depended_on(one(51, comm="sshd", exe="/home/me/bomb")) == ""


def test_more_than_may_die() -> None:
    many = [VICTIM, *(one(pid) for pid in range(100, 110))]
    assert group(ASK, VICTIM, many, KEEP) == "11 processes, more than kill.max_processes (10)"
    assert len(pids(group(ASK, VICTIM, many[:-1], KEEP))) == 10
    kin = [Kin(50, c) for c in many[1:]]
    assert tree(Ask("tree"), VICTIM, kin, KEEP) == "11 processes, more than kill.max_processes (10)"
    assert len(pids(tree(Ask("tree"), VICTIM, kin[1:], KEEP))) == 10


def test_a_victim_that_has_left_does_not_take_the_others_along() -> None:
    assert group(ASK, VICTIM, [one(51)], KEEP) == "it has left unit session-3.scope"
    reused = replace(VICTIM, start_ticks=VICTIM.start_ticks + 1)
    assert isinstance(group(ASK, VICTIM, [reused, one(51)], KEEP), str)


def test_a_tree_leaves_who_must_live_with_all_that_descend_from_it() -> None:
    found = [
        Kin(50, one(60)),
        Kin(50, one(61, comm="treasure")),
        Kin(60, one(62, oom_score_adj=-1000)),
        Kin(60, one(63)),
        Kin(61, one(64)),
        Kin(62, one(65)),
        Kin(64, one(66)),
        Kin(63, one(67, comm="bash", sid=67, terminal=True)),
    ]
    assert pids(tree(Ask("tree"), VICTIM, found, KEEP)) == [50, 63, 60]


def test_a_swarm_is_what_is_like_the_victim() -> None:
    shell = one(40, sid=40)
    others = [
        one(51),
        shell,
        one(52, uid=0),
        one(53, comm="other"),
        one(54, cgroup="/"),
        one(101),  # far bigger: worth a decision of its own
        one(55, oom_score_adj=-1000),
        one(1),
    ]
    assert pids(swarm(Ask("swarm", SCOPE), VICTIM, [VICTIM, *others], KEEP)) == [50, 51]
    assert not alike(shell, VICTIM)


def test_of_a_swarm_that_is_too_large_the_biggest_die() -> None:
    party = swarm(Ask("swarm"), one(99), [one(pid) for pid in range(20, 99)], KEEP)
    assert pids(party) == [99, *range(98, 89, -1)]
    assert party.reduced == "more than kill.max_processes (10): only the 10 biggest are killed"


def test_sharers_die_too_and_their_memory_counts_once() -> None:
    same = one(70, oom_score_adj=-1000)
    party = with_sharers(alone(VICTIM), [same], KEEP)
    assert pids(party) == [50, 70]
    assert party.held_bytes == VICTIM.held_bytes
    assert with_sharers(alone(VICTIM), [one(71, comm="treasure")], KEEP) == alone(VICTIM)


def test_sharers_that_are_in_the_party_already_do_not_make_it_less_than_whole() -> None:
    party = group(ASK, VICTIM, [VICTIM, one(51)], KEEP)
    assert isinstance(party, Party)
    both = with_sharers(party, [one(51)], KEEP)
    assert both.whole
    assert pids(both) == [50, 51]
    assert both.held_bytes == VICTIM.held_bytes
    assert not with_sharers(party, [one(70)], KEEP).whole


def test_why_it_is_less_is_said_with_what_came_of_it() -> None:
    reason = "unit session-3.scope also holds sshd[51] (keeps a login)"
    assert instead(reason, alone(VICTIM)) == f"{reason}: only the process is killed"
    both = tree(Ask("tree"), VICTIM, [Kin(50, one(60))], KEEP)
    assert isinstance(both, Party)
    assert instead(reason, both) == f"{reason}: only the process and what descends from it is killed"
    assert instead("", both) == ""


def test_one_that_comes_later_is_left_if_it_must_live() -> None:
    assert may_join(one(51), "unit", VICTIM, KEEP)
    assert may_join(one(51), "swarm", VICTIM, KEEP)
    assert not may_join(one(51, comm="other"), "swarm", VICTIM, KEEP)
    assert not may_join(one(51, comm="treasure"), "unit", VICTIM, KEEP)
    assert not may_join(one(51, comm="sshd"), "unit", VICTIM, KEEP)
    assert not may_join(one(51, oom_score_adj=-1000), "unit", VICTIM, KEEP)


@pytest.mark.parametrize(
    ("cgroup", "other", "expected"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/a", "/a/b", False),
        ("/a", "/", True),
    ],
)
def test_within(cgroup: str, other: str, expected: bool) -> None:
    assert within(cgroup, other) is expected


def test_the_same_bounds_as_for_the_victim() -> None:
    limits = Limits(1000, 0, (7,), (), True, 1000, KEEP.policies)
    keep = keep_of(limits, Totals(1 << 30, 0), 5)
    assert keep == Keep(KEEP.policies, Scene(Totals(1 << 30, 0)), (7,), True, 1000, 5)
    assert must_live(one(7), keep)
