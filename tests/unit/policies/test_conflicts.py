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
        ((text("name", "*-a-very-long-name*"),), "name"),
        ((text("ancestor", "gnome-terminal-server"),), "ancestor"),
        ((text("exe", "usr/bin/x"),), "exe"),
        ((text("exe", "/usr/bin/"),), "exe"),
        ((text("cgroup", "system.slice/x.service"),), "cgroup"),
        ((text("pod", "nginx-7d8f"),), "pod"),
        ((text("job", "12_3"),), "job"),
        ((text("job", "train*"), text("runtime", "host")), "job"),
        ((text("unit", "a.service"), text("unit", "^b", regex=True)), "unit"),
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
        (text("exe", "?usr/*"),),
        (text("cgroup", "/"),),
        (text("cgroup", "*/"),),
        (text("name", "[a-z]-a-very-long-name*"),),
        (text("ancestor", "kworker/u8:2-events_unbound"),),
        (text("ancestor", "bash"), text("ancestor", "^sshd", regex=True)),
        (text("pod", "8e4ff7a2-*"),),
        (text("job", "*"),),
        (text("job", "47?1"),),
        (text("pod", "*"), text("runtime", "host", "containerd")),
        (Clause("age", low=0.0),),
        (Clause("oom_score_adj", low=-1000, high=-1000),),
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
        ((), (text("name", "x"),)),
        ((text("cgroup", "*"),), (text("name", "x"),)),
        ((Clause("age", low=0.0),), (text("name", "x"),)),
        ((Clause("nice", low=-20, high=19),), (text("name", "x"),)),
        ((Clause("nice", low=-20, high=5),), (Clause("nice", high=5),)),
        ((text("exe", "*"),), (text("exe", "^/usr", regex=True),)),
        ((text("exe", "*lib*"),), (text("exe", "/usr/lib/*/x"),)),
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
        ((text("exe", "^/usr.$", regex=True),), (text("exe", "/usr*"),)),
        ((text("exe", "*lib*"),), (text("exe", "/usr/li*b/x"),)),
        ((Clause("nice", low=-19),), (text("name", "x"),)),
    ],
)
def test_what_is_not_shadowed(earlier: tuple[Clause, ...], later: tuple[Clause, ...]) -> None:
    assert shadowed_by([rule(*earlier), rule(*later)]) == []


def test_the_first_that_stands_above_is_named() -> None:
    every, same = rule(text("name", "*")), rule(text("name", "a"))
    assert shadowed_by([same, every, same, every]) == [(2, 0), (3, 1)]


@pytest.mark.timeout(20)
def test_many_rules_are_compared_in_time() -> None:
    literals = [rule(text("name", f"worker{number}")) for number in range(150)]
    regexes = [rule(text("name", f"^(a|b)+{number}$", regex=True)) for number in range(150)]
    assert shadowed_by([*regexes, *literals]) == []
