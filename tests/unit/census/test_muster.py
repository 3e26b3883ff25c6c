"""Looking for those who die together, in small trees of real files."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from oomguardd.census.muster import Muster
from oomguardd.engine.together import Keep
from oomguardd.kernel.cgroupfs import Cgroups, find_cgroups
from oomguardd.kernel.process import inspect
from oomguardd.model import Memcg, Owner, Party, Weighed
from oomguardd.policies.set import PolicySet
from oomguardd.rules import Clause, Rule
from tests.fakes import MIB, FakeCgroups, FakeProc

SCOPE = "/user.slice/build.scope"
NEVER = Rule("jewels", (Clause("exe", texts=("/opt/db",), written="/opt/db"),), "never")
KEEP = Keep(policies=PolicySet(rules=(NEVER,)), max_processes=20)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[tuple[FakeCgroups, Cgroups]]:
    fake = FakeCgroups(tmp_path / "cgroup")
    found = find_cgroups(str(fake.root))
    assert found is not None
    yield fake, found
    found.close()


def none_shared(one: int, other: int) -> bool | None:
    return None


def muster(
    proc: FakeProc, cgroups: Cgroups | None = None, share: Callable[[int, int], bool | None] = none_shared
) -> Muster:
    return Muster(proc.fd, cgroups, share=share)


def weighed(proc: FakeProc, pid: int, kill: str, place: str = SCOPE) -> Weighed:
    c = inspect(proc.fd, pid, 0.0)
    assert c is not None
    owner = Owner(unit="build.scope", places=((kill, place),))
    return Weighed(replace(c, owner=owner), 0, (), 0, kill=kill, kill_why="rule builds")


def family(proc: FakeProc, told: bool) -> None:
    """50 -> 51 -> 53, 50 -> 52 -> 54; `told`: as the kernel's own lists have it."""
    links = {50: (51, 52), 51: (53,), 52: (54,), 53: (), 54: ()}
    for pid, ppid in ((50, 1), (51, 50), (52, 50), (53, 51), (54, 52)):
        children = links[pid] if told else None
        proc.add(pid, f"make{pid}", ppid=ppid, rss=pid * MIB, cgroup=SCOPE, children=children)
    proc.add(60, "bystander", rss=60 * MIB, cgroup=SCOPE, children=() if told else None)


def pids(party: Party) -> list[int]:
    return [member.pid for member in party.members]


@pytest.mark.parametrize("told", [True, False], ids=["children files", "one pass over all"])
def test_a_tree(proc: FakeProc, told: bool) -> None:
    family(proc, told)
    party = muster(proc).gather(weighed(proc, 50, "tree"), KEEP)
    assert pids(party) == [50, 54, 53, 52, 51]
    assert (party.unit, party.why, party.reduced) == ("tree", "rule builds", "")
    assert party.held_bytes == (50 + 51 + 52 + 53 + 54) * MIB


@pytest.mark.parametrize("told", [True, False])
def test_a_tree_of_too_many(proc: FakeProc, told: bool) -> None:
    family(proc, told)
    party = muster(proc).gather(weighed(proc, 50, "tree"), KEEP._replace(max_processes=3))
    assert pids(party) == [50]
    assert "more than kill.max_processes (3): only the process is killed" in party.reduced


def test_a_cgroup_with_all_below_it(proc: FakeProc, tree: tuple[FakeCgroups, Cgroups]) -> None:
    family(proc, True)
    fake, cgroups = tree
    fake.add(SCOPE, (50, 51, 52))
    fake.add(f"{SCOPE}/sub", (53, 54))
    party = muster(proc, cgroups).gather(weighed(proc, 50, "unit"), KEEP)
    assert pids(party) == [50, 54, 53, 52, 51]
    assert party.whole
    assert (party.unit, party.cgroup) == ("unit", SCOPE)


def test_a_program_that_must_live_saves_the_group_and_not_the_tree(
    proc: FakeProc, tree: tuple[FakeCgroups, Cgroups]
) -> None:
    family(proc, True)
    proc.add(70, "db", rss=MIB, cgroup=SCOPE, uid=0, exe="/opt/db", children=())
    fake, cgroups = tree
    fake.add(SCOPE, (50, 51, 52, 53, 54, 70))
    party = muster(proc, cgroups).gather(weighed(proc, 50, "unit"), KEEP)
    assert pids(party) == [50, 54, 53, 52, 51]
    assert party.unit == "tree"
    assert party.reduced == (
        "unit build.scope also holds db[70] (rule jewels says never):"
        " only the process and what descends from it is killed"
    )


def test_memory_oom_group_is_honoured(proc: FakeProc, tree: tuple[FakeCgroups, Cgroups]) -> None:
    family(proc, True)
    fake, cgroups = tree
    fake.add(SCOPE, (50, 60), memory_oom_group=1)
    party = muster(proc, cgroups).gather(weighed(proc, 50, "process"), KEEP)
    assert pids(party) == [50, 60]
    assert (party.unit, party.why) == ("cgroup", f"memory.oom.group=1 of {SCOPE}")


def test_what_is_known_of_its_cgroup_is_not_read_again(
    proc: FakeProc, tree: tuple[FakeCgroups, Cgroups]
) -> None:
    family(proc, True)
    fake, cgroups = tree
    fake.add(SCOPE, (50, 60), memory_oom_group=1)
    w = weighed(proc, 50, "process")
    w = replace(w, candidate=replace(w.candidate, memcg=Memcg()))
    assert pids(muster(proc, cgroups).gather(w, KEEP)) == [50]


def test_who_is_dying_already_is_neither_killed_nor_in_the_way(
    proc: FakeProc, tree: tuple[FakeCgroups, Cgroups]
) -> None:
    family(proc, True)
    proc.add(70, "sshd", cgroup=SCOPE, kill_pending=True)
    proc.add(71, "sshd", cgroup=SCOPE, state="Z")
    fake, cgroups = tree
    fake.add(SCOPE, (50, 60, 70, 71, 999))
    party = muster(proc, cgroups).gather(weighed(proc, 50, "unit"), KEEP)
    assert pids(party) == [50, 60]
    assert party.whole


def test_without_cgroups_a_unit_is_a_tree(proc: FakeProc) -> None:
    family(proc, True)
    party = muster(proc).gather(weighed(proc, 50, "unit"), KEEP)
    assert party.unit == "tree"
    assert party.reduced.startswith("unit build.scope cannot be looked into")


def test_a_cgroup_that_cannot_be_listed_whole_is_not_killed_whole(
    proc: FakeProc, tree: tuple[FakeCgroups, Cgroups]
) -> None:
    """Somebody may be in there whom we do not see."""
    family(proc, True)
    fake, cgroups = tree
    deep = SCOPE + "/d" * 40
    fake.add(SCOPE, (50, 51))
    fake.add(deep, (60,))
    party = muster(proc, cgroups).gather(weighed(proc, 50, "unit"), KEEP)
    assert party.unit == "tree"
    assert party.reduced.startswith("unit build.scope cannot be looked into (")


def swarm(proc: FakeProc, count: int = 6) -> None:
    proc.add(40, "bomb", sid=40, rss=MIB, cgroup=SCOPE)
    for pid in range(100, 100 + count):
        proc.add(pid, "bomb", sid=40, ppid=40, rss=(pid - 90) * MIB, cgroup=SCOPE)
    proc.add(90, "other", sid=40, rss=MIB, cgroup=SCOPE)
    proc.add(91, "bomb", sid=40, rss=MIB, cgroup="/user.slice/other.scope")


@pytest.mark.parametrize("has_cgroups", [True, False])
def test_a_swarm(proc: FakeProc, tree: tuple[FakeCgroups, Cgroups], has_cgroups: bool) -> None:
    swarm(proc)
    fake, cgroups = tree
    fake.add(SCOPE, (40, 90, *range(100, 106)))
    party = muster(proc, cgroups if has_cgroups else None).gather(weighed(proc, 105, "swarm"), KEEP)
    assert pids(party) == [105, 104, 103, 102, 101, 100]
    assert (party.unit, party.cgroup, party.whole) == ("swarm", SCOPE, False)


def test_of_a_swarm_that_is_too_large_the_biggest(proc: FakeProc) -> None:
    swarm(proc, 30)
    party = muster(proc).gather(weighed(proc, 129, "swarm"), KEEP)
    assert pids(party) == list(range(129, 109, -1))
    assert "only the 20 biggest are killed" in party.reduced


def test_who_shares_its_memory(proc: FakeProc) -> None:
    """The parent, a child, and one that was hinted at; each is asked about once, and nobody else is."""
    asked: list[int] = []

    def share(one: int, other: int) -> bool | None:
        asked.append(other)
        return other in (49, 51, 70)

    proc.add(49, ppid=1, rss=80 * MIB, adj=-1000)
    proc.add(50, ppid=49, rss=80 * MIB, children=(51, 52))
    for pid in (51, 52, 70, 71):
        proc.add(pid, ppid=50, rss=80 * MIB)
    party = muster(proc, share=share).gather(weighed(proc, 50, "process"), KEEP, (70, 71, 50))
    assert sorted(asked) == [49, 51, 52, 70, 71]
    assert pids(party)[0] == 50
    assert sorted(pids(party)[1:]) == [49, 51, 70]
    assert party.held_bytes == 80 * MIB


def test_latecomers(proc: FakeProc, tree: tuple[FakeCgroups, Cgroups]) -> None:
    family(proc, True)
    fake, cgroups = tree
    fake.add(SCOPE, (50, 51))
    room = muster(proc, cgroups)
    w = weighed(proc, 50, "unit")
    party = room.gather(w, KEEP)
    assert room.latecomers(w.candidate, party, KEEP) == ((), True)
    fake.add(SCOPE, (50, 51, 52, 60))
    late = room.latecomers(w.candidate, party, KEEP)
    assert [member.pid for member in late.members] == [60, 52]
    assert late.clear
    proc.add(70, "db", rss=MIB, cgroup=SCOPE, uid=0, exe="/opt/db")
    fake.add(SCOPE, (50, 51, 52, 70))
    late = room.latecomers(w.candidate, party, KEEP)
    assert [member.pid for member in late.members] == [52]
    assert not late.clear


def test_who_was_started_later_is_none_of_them(proc: FakeProc) -> None:
    swarm(proc)
    room = muster(proc)
    w = weighed(proc, 105, "swarm")
    party = room.gather(w, KEEP)
    proc.add(110, "bomb", sid=40, rss=MIB, cgroup=SCOPE, start_ticks=150)
    proc.add(111, "bomb", sid=40, rss=MIB, cgroup=SCOPE, start_ticks=250)
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    late = room.latecomers(w.candidate, party, KEEP, born_by_s=200 / ticks_per_s)
    assert [member.pid for member in late.members] == [110]


def test_latecomers_of_a_tree_are_children_of_any_of_them(proc: FakeProc) -> None:
    family(proc, True)
    room = muster(proc)
    w = weighed(proc, 50, "tree")
    party = room.gather(w, KEEP)
    proc.add(53, "make53", ppid=51, rss=53 * MIB, cgroup=SCOPE, children=(55,))
    proc.add(55, "make55", ppid=53, rss=MIB, children=())
    assert [m.pid for m in room.latecomers(w.candidate, party, KEEP).members] == [55]


def test_no_more_than_may_die(proc: FakeProc) -> None:
    swarm(proc)
    room = muster(proc)
    w = weighed(proc, 105, "swarm")
    party = room.gather(w, KEEP)
    for pid in range(200, 230):
        proc.add(pid, "bomb", sid=40, rss=MIB, cgroup=SCOPE)
    late = room.latecomers(w.candidate, party, KEEP)
    assert len(late.members) == KEEP.max_processes - len(party.members)
    assert not late.clear


def test_without_a_descriptor_the_victim_dies_alone(proc: FakeProc) -> None:
    """And it is said."""
    family(proc, True)
    w = weighed(proc, 50, "tree")
    room = muster(proc)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        party = room.gather(w, KEEP)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert pids(party) == [50]
    assert "nobody else could be looked for" in party.reduced


def test_whether_a_cgroup_holds_somebody(proc: FakeProc, tree: tuple[FakeCgroups, Cgroups]) -> None:
    fake, cgroups = tree
    fake.add(SCOPE, (50,))
    assert muster(proc, cgroups).holds_any(SCOPE, (1, 50))
    assert not muster(proc, cgroups).holds_any(SCOPE, (1, 51))
    assert muster(proc).holds_any(SCOPE, ())
