"""Laws of killing together: whoever must live is in no party, whatever was asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguardd.engine.together import (
    Ask,
    Keep,
    Kin,
    alone,
    depended_on,
    group,
    may_join,
    must_live,
    swarm,
    tree,
    with_sharers,
)
from oomguardd.model import Candidate, Owner, Party, Totals
from oomguardd.policies.base import Scene
from oomguardd.policies.rules import RuleBook
from oomguardd.policies.set import PolicySet
from oomguardd.rules import Clause, Rule
from tests.shell.rig import candidate

NEVER = Rule("jewels", (Clause("name", texts=("db",), written="db"),), "never")
RULES = RuleBook((NEVER,))
UNITS = ("cgroup", "unit", "container", "pod", "job")


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    ids = draw(st.lists(st.integers(1, 60), unique=True, min_size=1, max_size=14))
    return [
        candidate(
            pid,
            comm=draw(st.sampled_from(["bomb", "bomb", "bomb", "db", "sshd", "bash"])),
            exe=draw(st.sampled_from([None, "/usr/bin/bomb", "/usr/sbin/sshd"])),
            uid=draw(st.sampled_from([0, 1000, 1000])),
            cgroup=draw(st.sampled_from(["/a", "/a", "/a/b", "/../z"])),
            sid=draw(st.sampled_from([1, pid])),
            terminal=draw(st.booleans()),
            owner=Owner(runtime=draw(st.sampled_from(["", "docker"]))),
            rss_anon_bytes=draw(st.integers(0, 1 << 30)),
            oom_score_adj=draw(st.sampled_from([0, 0, 0, -1000])),
            kernel_thread=draw(st.sampled_from([False] * 9 + [True])),
        )
        for pid in ids
    ]


keeps = st.builds(
    Keep,
    policies=st.just(PolicySet(rules=(NEVER,))),
    scene=st.just(Scene(Totals(1 << 30, 0))),
    untouchable=st.sets(st.integers(2, 60), max_size=3),
    inside=st.booleans(),
    only_uid=st.sampled_from([None, 1000]),
    max_processes=st.integers(1, 20),
)


def parties(found: list[Candidate], keep: Keep, unit: str, links: list[int]) -> list[Party]:
    """Every way in which they could die with the first one."""
    victim = found[0]
    kin = [Kin(found[links[at] % at].pid, c) for at, c in enumerate(found) if at > 0]
    made = [
        group(Ask(unit, "/a"), victim, found, keep),
        tree(Ask("tree"), victim, kin, keep),
        swarm(Ask("swarm", "/a"), victim, found, keep),
    ]
    return [party for party in made if isinstance(party, Party)]


many_links = st.lists(st.integers(0, 60), min_size=14, max_size=14)


@given(candidates(), keeps, st.sampled_from(UNITS), many_links)
def test_who_must_live_never_dies_with_another(
    found: list[Candidate], keep: Keep, unit: str, links: list[int]
) -> None:
    by_pid = {c.pid: c for c in found}
    for party in parties(found, keep, unit, links):
        assert party.members[0].pid == found[0].pid
        assert len({member.pid for member in party.members}) == len(party.members) <= keep.max_processes
        for member in party.members[1:]:
            c = by_pid[member.pid]
            assert not must_live(c, keep)
            assert not RULES.spare(c)
            assert c.comm != "db"
            assert c.pid != 1
            assert c.pid not in keep.untouchable
            assert c.oom_score_adj > -1000
            assert not c.kernel_thread
            if party.unit != "swarm":
                assert not depended_on(c)


@given(candidates(), keeps, st.sampled_from(UNITS))
def test_a_whole_group_holds_nobody_else(found: list[Candidate], keep: Keep, unit: str) -> None:
    """Because the kernel kills whoever is in it, in one step."""
    party = group(Ask(unit, "/a"), found[0], found, keep)
    if isinstance(party, Party) and party.whole:
        assert {member.pid for member in party.members} == {c.pid for c in found}


@given(candidates(), keeps)
def test_sharers_are_spared_by_nothing_but_a_word_of_ours(found: list[Candidate], keep: Keep) -> None:
    victim, *others = found
    party = with_sharers(alone(victim), others, keep)
    for c in others:
        inside = c.pid in {member.pid for member in party.members}
        bare = not must_live(candidate(c.pid, comm=c.comm, uid=c.uid, cgroup=c.cgroup), keep)
        assert inside is (bare and not c.kernel_thread)
    assert party.held_bytes == victim.held_bytes


@given(candidates(), keeps, st.sampled_from([*UNITS, "swarm", "tree"]))
def test_nor_does_one_that_comes_later(found: list[Candidate], keep: Keep, unit: str) -> None:
    victim, *others = found
    for c in others:
        if may_join(c, unit, victim, keep):
            assert not must_live(c, keep)


@given(candidates(), keeps, st.sampled_from(UNITS))
def test_the_order_in_which_they_are_found_changes_nothing(
    found: list[Candidate], keep: Keep, unit: str
) -> None:
    victim, *others = found
    backwards = [victim, *reversed(others)]
    for ask in (Ask(unit, "/a"), Ask("swarm", "/a")):
        make = swarm if ask.unit == "swarm" else group
        one, two = make(ask, victim, found, keep), make(ask, victim, backwards, keep)
        assert isinstance(one, Party) is isinstance(two, Party)
        if isinstance(one, Party):
            assert one == two
