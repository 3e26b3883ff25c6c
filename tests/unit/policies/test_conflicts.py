"""Rules that can never match or decide."""

from __future__ import annotations

import pytest

from oomguardd.policies.conflicts import never_matches, shadowed_by
from oomguardd.rules import Clause, Rule


def text(key: str, *texts: str, regex: bool = False) -> Clause:
    return Clause(key, regex, texts, written=" ".join(texts))


def rule(*clauses: Clause, do: str = "never") -> Rule:
    return Rule("r", clauses, do)


@pytest.mark.parametrize(
    ("clauses", "key"),
    [
        ((Clause("nice", low=5, high=1),), "nice"),
        ((Clause("nice", low=20),), "nice"),
        ((Clause("oom_score_adj", high=-1001),), "oom_score_adj"),
        ((Clause("age", high=-1.0),), "age"),
        ((text("name", "systemd-networkd-wait"),), "name"),
        ((text("exe", "usr/bin/x"),), "exe"),
        ((text("qos", "guaranteed"), text("runtime", "host")), "qos"),
        ((text("job", "12"), text("runtime", "docker", "lxc")), "job"),
        ((text("name", "mysqld"), text("name", "^postgres", regex=True)), "name"),
    ],
)
def test_what_can_never_match(clauses: tuple[Clause, ...], key: str) -> None:
    found = never_matches(rule(*clauses))
    assert found is not None
    assert found[0] == key
    assert found[1]


@pytest.mark.parametrize(
    "clauses",
    [
        (Clause("nice", low=-20, high=19),),
        (Clause("nice", low=15),),
        (text("name", "systemd-network", "systemd-networkd-wait"),),
        (text("name", "*-a-very-long-n*"),),
        (text("exe", "*/postgres"),),
        (text("exe", "usr", regex=True),),
        (text("job", "12"), text("runtime", "slurm")),
        (text("name", "postgres"), text("name", "^postgres", regex=True)),
    ],
)
def test_what_may_match(clauses: tuple[Clause, ...]) -> None:
    assert never_matches(rule(*clauses)) is None


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ((text("name", "*"),), (text("name", "a"), Clause("user", numbers=(1,)))),
        ((text("name", "*"),), (Clause("user", numbers=(1,)),)),
        ((text("exe", "/usr/*"),), (text("exe", "/usr/bin/a", "/usr/lib/b"),)),
        ((text("exe", "/usr/*"),), (text("exe", "/usr/bin/*"),)),
        ((text("name", "post.*", regex=True),), (text("name", "postgres"),)),
        ((text("name", "a", regex=True),), (text("name", "a", regex=True), Clause("nice", low=1))),
        ((Clause("nice", low=0),), (Clause("nice", low=5, high=9),)),
        ((Clause("user", numbers=(1, 2)),), (Clause("user", numbers=(2,)),)),
        ((text("runtime", "docker", "podman"),), (text("runtime", "docker"),)),
        ((Clause("terminal", flag=True),), (Clause("terminal", flag=True), text("name", "x"))),
    ],
)
def test_what_is_shadowed(earlier: tuple[Clause, ...], later: tuple[Clause, ...]) -> None:
    assert shadowed_by([rule(*earlier), rule(*later)]) == [(1, 0)]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ((text("name", "a"),), (text("name", "*"),)),
        ((text("exe", "/usr/bin/*"),), (text("exe", "/usr/*"),)),
        ((text("exe", "/usr/?in/*"),), (text("exe", "/usr/*"),)),
        ((text("exe", "*"),), (text("name", "a"),)),
        ((text("name", "a"), Clause("user", numbers=(1,))), (text("name", "a"),)),
        ((Clause("nice", low=5),), (Clause("nice", low=0),)),
        ((Clause("user", numbers=()),), (Clause("user", numbers=()),)),
        ((text("name", "a", regex=True),), (text("name", "b*"),)),
        ((Clause("terminal", flag=True),), (Clause("terminal", flag=False),)),
    ],
)
def test_what_is_not_shadowed(earlier: tuple[Clause, ...], later: tuple[Clause, ...]) -> None:
    assert shadowed_by([rule(*earlier), rule(*later)]) == []
