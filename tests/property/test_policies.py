"""Laws of policies and rules: what no configuration and no population can change."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from oomguardd.engine.badness import kernel_pages
from oomguardd.engine.select import Limits, judge, weigh
from oomguardd.model import Candidate, Memcg, Owner, Totals
from oomguardd.policies import POLICIES, Policy
from oomguardd.policies.base import Scene
from oomguardd.policies.set import PolicySet
from oomguardd.rules import AVOID_POINTS, PREFER_POINTS, Clause, Rule
from tests.shell.rig import candidate

MIB = 1 << 20
TOTALS = Totals(16 << 30, 4 << 30)
NAMES = ("postgres", "chrome", "cc1plus", "sshd")
NICE_ONLY = tuple(policy() for policy in POLICIES if policy.name == "nice")
ALL = tuple(policy() for policy in POLICIES)

owners = st.sampled_from(
    [
        Owner(),
        Owner(unit="postgresql.service", slice="system.slice"),
        Owner(runtime="containerd", pod="1", qos="besteffort"),
        Owner(runtime="containerd", pod="2", qos="burstable"),
        Owner(runtime="containerd", pod="3", qos="guaranteed"),
        Owner(runtime="slurm", job="7", step="0"),
    ]
)
memcgs = st.none() | st.builds(
    Memcg,
    current_bytes=st.integers(0, 8 << 30),
    protected_share=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    over_high_bytes=st.sampled_from([0, 64 * MIB, 4 << 30]),
    preference=st.sampled_from(["", "avoid", "omit"]),
    preference_uid=st.sampled_from([0, 1000]),
)


@st.composite
def processes(draw: st.DrawFn) -> list[Candidate]:
    found = []
    for pid in draw(st.lists(st.integers(2, 40), unique=True, min_size=1, max_size=10)):
        held = draw(st.sampled_from([MIB, 15 * MIB, 16 * MIB, 300 * MIB, 4 << 30]))
        found.append(
            candidate(
                pid,
                comm=draw(st.sampled_from(NAMES)),
                uid=draw(st.sampled_from([0, 1000, 1001])),
                start_ticks=draw(st.integers(0, 3)),
                nice=draw(st.sampled_from([-20, 0, 5, 19])),
                sched=draw(st.sampled_from(["other", "batch", "idle"])),
                age_s=draw(st.sampled_from([1.0, 100.0, 1e6])),
                rss_anon_bytes=held,
                oom_score_adj=draw(st.sampled_from([-1000, -997, 0, 200, 500, 1000])),
                owner=draw(owners),
                memcg=draw(memcgs),
                exe=draw(st.sampled_from([None, "/usr/sbin/sshd", "/usr/bin/postgres", "/home/u/sshd"])),
                settled_bytes=draw(st.integers(0, held)),
                growth_bytes_per_s=draw(st.sampled_from([0.0, 1e6, 1e9])),
            )
        )
    return found


rules = st.lists(
    st.builds(
        lambda name, do, points, number: Rule(
            f"rule-{number}",
            (Clause("name", texts=(name,), written=name),),
            do,
            {"avoid": AVOID_POINTS, "prefer": PREFER_POINTS, "points": float(points)}.get(do, 0.0),
            "" if do else "tree",
        ),
        st.sampled_from([*NAMES, "*"]),
        st.sampled_from(["never", "avoid", "prefer", "points", ""]),
        st.integers(-1000, 1000),
        st.integers(0, 99),
    ),
    max_size=4,
)
sets = st.builds(PolicySet, st.sampled_from([(), NICE_ONLY, ALL]), rules)


def limits(policies: PolicySet) -> Limits:
    return Limits(100, 16 * MIB, frozenset(), frozenset(), policies=policies)


@given(processes(), sets, st.randoms(use_true_random=False))
def test_order_never_changes_the_verdict(
    found: list[Candidate], policies: PolicySet, chance: random.Random
) -> None:
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert judge(found, TOTALS, limits(policies), 9) == judge(shuffled, TOTALS, limits(policies), 9)


@given(processes(), sets)
def test_never_is_never_killed(found: list[Candidate], policies: PolicySet) -> None:
    verdict = judge(found, TOTALS, limits(policies), 99)
    for w in filter(None, (verdict.victim, *verdict.runners_up)):
        rule = next((r for r in policies.rules.rules if r in policies.rules.all_of(w.candidate)), None)
        assert rule is None or rule.do != "never"
        assert not policies.spare(w.candidate, Scene(TOTALS))


@given(processes(), sets)
def test_points_are_the_sum_of_what_is_explained(found: list[Candidate], policies: PolicySet) -> None:
    verdict = judge(found, TOTALS, limits(policies), 99)
    for w in filter(None, (verdict.victim, *verdict.runners_up)):
        added = sum(int(a.points * TOTALS.point_pages) for a in w.adjustments)
        assert w.pages == kernel_pages(w.candidate, TOTALS) + added
        assert all(a.why for a in w.adjustments)


@given(processes(), rules)
def test_a_rule_does_no_more_than_it_says(found: list[Candidate], given_rules: list[Rule]) -> None:
    with_rules = limits(PolicySet((), given_rules))
    without = limits(PolicySet((), ()))
    for c in found:
        step = weigh(c, TOTALS, with_rules).pages - weigh(c, TOTALS, without).pages
        first = with_rules.policies.rules.rule_of(c)
        said = 0.0 if first is None else first.points
        assert step in (0, int(said * TOTALS.point_pages))
        assert abs(step) <= 1000 * TOTALS.point_pages


@given(processes(), sets)
def test_nobody_gets_more_than_the_reach(found: list[Candidate], policies: PolicySet) -> None:
    scene = Scene(TOTALS, {1000: 8 << 30, 1001: 1 << 30})
    for c in found:
        assert sum(a.points for a in policies.adjust(c, scene)) <= policies.reach + 1e-9


@given(processes(), sets, st.sampled_from([4096, MIB, 64 * MIB, 2 << 30]))
def test_more_memory_never_saves(found: list[Candidate], policies: PolicySet, more: int) -> None:
    for c in found:
        bigger = replace(c, rss_anon_bytes=c.rss_anon_bytes + more)
        # What is rounded is a page for each opinion.
        slack = len(policies.policies) + 1
        assert (
            weigh(bigger, TOTALS, limits(policies)).pages >= weigh(c, TOTALS, limits(policies)).pages - slack
        )
        if not policies.spare(c, Scene(TOTALS)):
            assert not policies.spare(bigger, Scene(TOTALS))


def test_every_policy_has_a_switch() -> None:
    assert all(not policy(enabled=False).in_force for policy in POLICIES)  # type: ignore[call-arg]
    off: tuple[Policy, ...] = tuple(policy(enabled=False) for policy in POLICIES)  # type: ignore[call-arg]
    assert not PolicySet(off).reorders
