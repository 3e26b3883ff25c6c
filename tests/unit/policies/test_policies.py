"""What each policy says about whom."""

from __future__ import annotations

import pytest

from oomguardd.model import Candidate, Memcg, Owner, Totals
from oomguardd.policies import Policy
from oomguardd.policies.age import AgePolicy
from oomguardd.policies.base import Scene
from oomguardd.policies.cgroup import CgroupPolicy
from oomguardd.policies.growth import GrowthPolicy
from oomguardd.policies.kubernetes import KubernetesPolicy
from oomguardd.policies.nice import NicePolicy
from oomguardd.policies.protect import ProtectPolicy, protected_words
from oomguardd.policies.slurm import SlurmPolicy
from oomguardd.policies.users import UsersPolicy
from tests.shell.rig import candidate

MIB = 1 << 20
GIB = 1 << 30
SCENE = Scene(Totals(8 * GIB, 2 * GIB))
POD = Owner(runtime="containerd", pod="p", places=(("pod", "/kubepods/podp"),))


def points(policy: Policy, c: Candidate, scene: Scene = SCENE) -> float:
    adjustment = policy.adjust(c, scene)
    if adjustment is None:
        return 0.0
    assert adjustment.why
    assert adjustment.policy == policy.name
    assert adjustment.points <= policy.reach + 1e-9
    return adjustment.points


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"nice": 0}, 0.0),
        ({"nice": 19}, 95.0),
        ({"nice": -20}, -100.0),
        ({"sched": "batch"}, 20.0),
        ({"sched": "idle"}, 100.0),
        ({"sched": "idle", "nice": 19}, 100.0),
    ],
)
def test_nice(fields: dict[str, object], expected: float) -> None:
    assert points(NicePolicy(), candidate(5, **fields)) == expected


def test_age() -> None:
    assert points(AgePolicy(), candidate(5, age_s=3599.0)) == 0
    assert points(AgePolicy(), candidate(5, age_s=3600.0)) == -20


def test_a_stable_database_counts_less_than_a_leak() -> None:
    policy = GrowthPolicy()
    database = candidate(5, rss_anon_bytes=5 * GIB, settled_bytes=5 * GIB)
    leak = candidate(6, rss_anon_bytes=1 * GIB, settled_bytes=100 * MIB, growth_bytes_per_s=30.0 * MIB)
    assert points(policy, database) == pytest.approx(-450)
    assert points(policy, leak) == 0
    assert 500 + points(policy, database) < 100 + points(policy, leak)


def test_what_shrinks_is_not_growing() -> None:
    c = candidate(5, rss_anon_bytes=GIB, settled_bytes=GIB, growth_bytes_per_s=-1e9)
    assert points(GrowthPolicy(), c) == pytest.approx(-90)


@pytest.mark.parametrize(
    ("memcg", "expected"),
    [
        (None, 0.0),
        (Memcg(), 0.0),
        (Memcg(preference="avoid"), -300.0),
        (Memcg(preference="avoid", preference_uid=1000), 0.0),
        (Memcg(protected_share=0.5), -50.0),
        (Memcg(over_high_bytes=512 * MIB), 50.0),
        (Memcg(over_high_bytes=64 * GIB), 100.0),
    ],
)
def test_cgroup(memcg: Memcg | None, expected: float) -> None:
    c = candidate(5, rss_anon_bytes=GIB, memcg=memcg)
    assert points(CgroupPolicy(), c) == pytest.approx(expected)


def test_omit_exempts_if_root_says_so() -> None:
    policy = CgroupPolicy()
    assert "omit" in policy.spare(candidate(5, memcg=Memcg(preference="omit")), SCENE)
    assert not policy.spare(candidate(5, memcg=Memcg(preference="omit", preference_uid=1000)), SCENE)


def test_pods_go_by_their_class() -> None:
    policy = KubernetesPolicy()
    besteffort = candidate(5, rss_anon_bytes=GIB, oom_score_adj=1000, owner=POD._replace(qos="besteffort"))
    within = candidate(6, rss_anon_bytes=GIB, oom_score_adj=500, owner=POD._replace(qos="burstable"))
    over = candidate(7, rss_anon_bytes=4 * GIB, oom_score_adj=950, owner=POD._replace(qos="burstable"))
    guaranteed = candidate(8, rss_anon_bytes=GIB, oom_score_adj=-997, owner=POD._replace(qos="guaranteed"))
    found = [points(policy, c) for c in (besteffort, over, within, guaranteed)]
    assert found == sorted(found, reverse=True)
    assert found[0] == 200
    assert found[-1] == -300
    assert points(policy, candidate(9, oom_score_adj=1000, rss_anon_bytes=GIB)) == 0
    assert KubernetesPolicy(kill="pod").kill_unit(besteffort) == "pod"
    assert policy.kill_unit(besteffort) == ""


def test_slurm() -> None:
    c = candidate(5, owner=Owner(runtime="slurm", job="7"))
    assert points(SlurmPolicy(), c) == 50
    assert SlurmPolicy().kill_unit(c) == "job"
    assert SlurmPolicy(kill="process").kill_unit(c) == ""
    assert SlurmPolicy().kill_unit(candidate(6)) == ""


def test_who_holds_more_than_a_share_goes_first() -> None:
    policy = UsersPolicy(enabled=True)
    scene = SCENE._replace(users={1000: 6 * GIB, 1001: GIB, 33: 2 * GIB})
    assert points(policy, candidate(5, uid=1000, rss_anon_bytes=GIB), scene) > 0
    assert points(policy, candidate(6, uid=1001, rss_anon_bytes=GIB), scene) <= 0
    assert points(policy, candidate(7, uid=33, rss_anon_bytes=GIB), scene) == 0
    assert not UsersPolicy().in_force


@pytest.mark.parametrize(
    ("exe", "uid", "fields", "kept"),
    [
        ("/usr/sbin/sshd", 0, {}, True),
        ("/usr/lib/openssh/sshd-session", 1000, {}, True),
        ("/usr/lib/systemd/systemd-journald", 0, {}, True),
        ("/usr/bin/containerd-shim-runc-v2", 0, {}, True),
        ("/usr/bin/gnome-shell", 1000, {}, True),
        ("/usr/bin/dockerd", 1000, {}, False),
        ("/home/eve/sshd", 1000, {}, False),
        ("/tmp/usr/sbin/sshd", 1000, {}, False),
        (None, 1000, {"comm": "sshd"}, False),
        ("/usr/bin/python3", 1000, {"comm": "sshd"}, False),
        ("/usr/sbin/sshd", 0, {"owner": Owner(runtime="docker")}, False),
        ("/usr/sbin/sshd", 0, {"rss_anon_bytes": 3 * GIB}, False),
        ("/usr/bin/bash", 1000, {"sid": 5, "terminal": True}, True),
        ("/usr/bin/bash", 1000, {"sid": 4, "terminal": True}, False),
        ("/usr/bin/python3", 1000, {"sid": 5, "terminal": True}, False),
    ],
)
def test_what_keeps_a_machine_reachable(
    exe: str | None, uid: int, fields: dict[str, object], kept: bool
) -> None:
    c = candidate(5, exe=exe, uid=uid, **{"rss_anon_bytes": 20 * MIB, **fields})
    assert bool(ProtectPolicy().spare(c, SCENE)) is kept


def test_the_list_can_be_printed() -> None:
    lines = protected_words()
    assert any("sshd" in line for line in lines)
    assert all(":" in line for line in lines)
