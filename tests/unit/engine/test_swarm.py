"""Many small processes as one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from oomguardd.engine.select import Limits, weigh
from oomguardd.engine.swarm import Reader, find, outweighs
from oomguardd.model import Candidate, Totals
from oomguardd.policies.set import PolicySet
from oomguardd.rules import Clause, Rule
from tests.shell.rig import candidate

MIB = 1 << 20
TOTALS = Totals(1 << 30, 0)
LIMITS = Limits(100, 16 * MIB, frozenset(), frozenset())


def bomb(count: int, mib: float = 2.0, age_s: float = 5.0, first: int = 100) -> list[Candidate]:
    held = int(mib * MIB)
    return [
        candidate(pid, comm="bomb", cgroup="/x", rss_anon_bytes=held, age_s=age_s, sid=7)
        for pid in range(first, first + count)
    ]


def reader(people: Iterable[Candidate]) -> Reader:
    known = {c.pid: c for c in people}
    return Reader(
        lambda: list(known), lambda pid: known[pid].comm if pid in known else None, known.get, known.get
    )


def test_a_bomb_is_one_with_the_points_of_all() -> None:
    people = bomb(300)
    swarm = find(reader(people), 300, 32, LIMITS, TOTALS)
    assert swarm is not None
    assert (swarm.members, swarm.held_bytes, swarm.young) == (300, 600 * MIB, 300)
    assert swarm.weighed.kill == "swarm"
    alone = weigh(swarm.weighed.candidate, TOTALS, LIMITS).pages
    assert swarm.weighed.pages == pytest.approx(300 * alone, abs=1)
    assert sum(int(a.points * TOTALS.point_pages) for a in swarm.weighed.adjustments) == (
        swarm.weighed.pages - swarm.weighed.kernel_pages
    )


def test_a_few_are_no_swarm() -> None:
    assert find(reader(bomb(31)), 31, 32, LIMITS, TOTALS) is None


def test_the_shell_that_leads_the_session_is_not_part_of_it() -> None:
    shell = candidate(7, comm="bomb", cgroup="/x", rss_anon_bytes=3 * MIB, sid=7)
    swarm = find(reader([*bomb(40), shell]), 41, 32, LIMITS, TOTALS)
    assert swarm is not None
    assert swarm.members == 40


def test_those_that_a_rule_exempts_are_not_part_of_it() -> None:
    never = PolicySet((), [Rule("keep", (Clause("name", texts=("bomb",)),), "never")])
    assert find(reader(bomb(100)), 100, 32, LIMITS._replace(policies=never), TOTALS) is None


def test_a_big_single_one_goes_first_unless_the_swarm_is_the_cause() -> None:
    big = weigh(candidate(9, rss_anon_bytes=400 * MIB), TOTALS, LIMITS)
    for mib, age_s, wins in ((2.8, 5.0, True), (1.0, 5.0, False), (2.8, 3600.0, False)):
        swarm = find(reader(bomb(300, mib, age_s)), 300, 32, LIMITS, TOTALS)
        assert swarm is not None
        assert outweighs(swarm, big, LIMITS, TOTALS) is wins, (mib, age_s)
        assert outweighs(swarm, None, LIMITS, TOTALS), "where nobody else can be killed it goes"


def test_a_bomb_among_thousands_is_found_by_a_sample() -> None:
    crowd = [candidate(pid, comm=f"w{pid}", rss_anon_bytes=MIB // 4) for pid in range(10_000, 14_000)]
    swarm = find(reader([*crowd, *bomb(900)]), 4900, 32, LIMITS, TOTALS)
    assert swarm is not None
    assert swarm.members == 900
