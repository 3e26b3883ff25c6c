"""Which rule decides about whom, and what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oomguardd.model import Adjustment, Candidate, Owner
from oomguardd.policies.rules import ProtectBook, RuleBook
from oomguardd.rules import MATCH_KEYS, Clause, Protect, Rule
from tests.shell.rig import candidate

POSTGRES = candidate(
    5,
    comm="postgres",
    uid=112,
    gid=120,
    nice=-5,
    oom_score_adj=-900,
    age_s=7200.0,
    terminal=False,
    cgroup="/system.slice/postgresql@17-main.service",
    owner=Owner(unit="postgresql@17-main.service", slice="system.slice"),
    exe="/usr/lib/postgresql/17/bin/postgres",
    cmdline="postgres: checkpointer",
    ancestors=("postgres", "systemd"),
)
POD = candidate(
    6,
    comm="worker",
    uid=1000,
    terminal=True,
    cgroup="/kubepods.slice/x",
    owner=Owner(
        runtime="containerd", container="c0ffee", pod="8e4ff7a2", qos="burstable", slice="kubepods.slice"
    ),
)
JOB = candidate(7, comm="mpirun", owner=Owner(runtime="slurm", job="4711", step="0"))
APP = candidate(
    8,
    comm="GeckoMain",
    owner=Owner(user_unit="app-gnome-firefox-77.scope", app="firefox", slice="user-1000.slice"),
)
BARE = candidate(9, comm="", cgroup="", ancestors=("",))
EVERYBODY = (POSTGRES, POD, JOB, APP, BARE)


def text(key: str, *texts: str, regex: bool = False) -> Clause:
    return Clause(key, regex, texts, written=", ".join(f'"{each}"' for each in texts))


def avoid(name: str, *match: Clause) -> Rule:
    return Rule(name, match, "avoid", -300.0)


def who(*match: Clause) -> list[str]:
    """Names of those that match it."""
    book = RuleBook([avoid("a", *match)])
    return [c.comm for c in EVERYBODY if book.rule_of(c) is not None]


@pytest.mark.parametrize(
    ("clause", "names"),
    [
        (text("name", "postgres"), ["postgres"]),
        (text("name", "post*", "mpi?un"), ["postgres", "mpirun"]),
        (text("name", "r", regex=True), ["postgres", "worker", "mpirun"]),
        (text("name", "*"), ["postgres", "worker", "mpirun", "GeckoMain", ""]),
        (text("exe", "/usr/lib/postgresql/*/bin/postgres"), ["postgres"]),
        (text("exe", "*"), ["postgres"]),
        (text("exe", "/usr/lib/postgresql/17/bin/postgres"), ["postgres"]),
        (text("cmdline", "^postgres: ", regex=True), ["postgres"]),
        (text("cmdline", "*", regex=False), ["postgres"]),
        (text("cmdline", "", regex=True), ["postgres"]),
        (Clause("user", numbers=(112, 1000)), ["postgres", "worker", "mpirun", "GeckoMain", ""]),
        (Clause("user", numbers=(112,)), ["postgres"]),
        (Clause("user"), []),
        (Clause("group", numbers=(120,)), ["postgres"]),
        (text("cgroup", "/system.slice/*"), ["postgres"]),
        (text("cgroup", "*"), ["postgres", "worker", "mpirun", "GeckoMain", ""]),
        (text("cgroup", ""), [""]),
        (text("unit", "postgresql@*.service"), ["postgres"]),
        (text("unit", "*"), ["postgres"]),
        (text("unit", ".", regex=True), ["postgres"]),
        (text("unit", ""), []),
        (text("user_unit", "app-gnome-firefox-77.scope"), ["GeckoMain"]),
        (text("slice", "system.slice", "kube*"), ["postgres", "worker"]),
        (text("app", "firefox"), ["GeckoMain"]),
        (text("runtime", "containerd"), ["worker"]),
        (text("runtime", "host", "slurm"), ["postgres", "mpirun", "GeckoMain", ""]),
        (text("container", "c0ff*"), ["worker"]),
        (text("pod", "8e4ff7a2"), ["worker"]),
        (text("qos", "burstable", "besteffort"), ["worker"]),
        (text("job", "4711"), ["mpirun"]),
        (text("ancestor", "systemd"), ["postgres"]),
        (text("ancestor", "sys*", "x"), ["postgres"]),
        (text("ancestor", "*"), ["postgres"]),
        (text("ancestor", "^systemd$", regex=True), ["postgres"]),
        (text("ancestor", "init"), []),
        (Clause("nice", low=-5, high=-5), ["postgres"]),
        (Clause("nice", high=-1), ["postgres"]),
        (Clause("nice", low=1), []),
        (Clause("oom_score_adj", high=-900), ["postgres"]),
        (Clause("age", low=7200.0), ["postgres"]),
        (Clause("age", low=7200.5), []),
        (Clause("age", high=1.0), ["worker", "mpirun", "GeckoMain", ""]),
        (Clause("terminal"), ["worker"]),
        (Clause("terminal", flag=False), ["postgres", "mpirun", "GeckoMain", ""]),
    ],
    ids=lambda value: f"{value.key} {value.written}" if isinstance(value, Clause) else "",
)
def test_who_matches(clause: Clause, names: list[str]) -> None:
    assert who(clause) == names


def test_every_key_is_tried_above() -> None:
    mark = next(mark for mark in test_who_matches.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    assert {clause.key for clause, _ in mark.args[1]} == {key.name for key in MATCH_KEYS}


def test_all_clauses_must_hold() -> None:
    assert who(text("name", "postgres"), Clause("user", numbers=(112,))) == ["postgres"]
    assert who(text("name", "postgres"), Clause("user", numbers=(0,))) == []
    assert who(text("name", "postgres", "mpirun"), text("name", "^m", regex=True)) == ["mpirun"]
    assert who(text("name", "postgres"), text("name", "mpirun")) == []
    assert len(who()) == len(EVERYBODY)


def test_the_first_that_matches_decides_however_it_is_found() -> None:
    glob, table, other = text("name", "post*"), text("name", "postgres"), Clause("nice", high=0)
    for match in ([glob, table, other], [table, glob, other], [other, table, glob], [other, glob, table]):
        book = RuleBook([avoid(str(number), clause) for number, clause in enumerate(match)])
        rule = book.rule_of(POSTGRES)
        assert rule is not None
        assert rule.name == "0"
        assert [each.name for each in book.all_of(POSTGRES)] == ["0", "1", "2"]


def test_a_rule_found_by_its_table_still_needs_its_other_clauses() -> None:
    book = RuleBook(
        [
            avoid("other user", text("exe", POSTGRES.exe or ""), Clause("user", numbers=(1,))),
            avoid("by name", text("name", "postgres")),
        ]
    )
    rule = book.rule_of(POSTGRES)
    assert rule is not None
    assert rule.name == "by name"


def test_what_a_rule_says() -> None:
    book = RuleBook(
        [
            Rule("databases", (text("name", "postgres"),), "never"),
            Rule("pods", (text("qos", "burstable"), Clause("nice", low=0)), "points", 120.0),
            Rule("jobs", (text("job", "*"),), kill="job"),
        ]
    )
    assert book.spare(POSTGRES) == "rule databases says never"
    assert book.adjust(POSTGRES) is None
    assert book.adjust(POD) == Adjustment("rule pods", 120.0, 'points: qos "burstable", nice 0..')
    assert book.spare(POD) == ""
    assert book.adjust(JOB) is None
    assert book.spare(JOB) == ""
    assert book.adjust(APP) is None
    assert book.spare(APP) == ""


def test_reach_is_the_most_that_one_rule_adds() -> None:
    assert RuleBook().reach == 0
    assert RuleBook([avoid("a", text("name", "x"))]).reach == 0
    rules = [
        Rule(str(n), (text("name", "x"),), "points", points) for n, points in enumerate((-5.0, 300.0, 20.0))
    ]
    assert RuleBook(rules).reach == 300


@pytest.mark.parametrize(
    ("clauses", "needs"),
    [
        ((text("name", "a"), Clause("user", numbers=(1,))), set()),
        ((text("exe", "/a"),), {"exe"}),
        ((text("cmdline", "a", regex=True), text("ancestor", "b")), {"cmdline", "ancestors"}),
    ],
)
def test_only_what_is_asked_for_is_needed(clauses: tuple[Clause, ...], needs: set[str]) -> None:
    assert RuleBook([avoid("a", *clauses)]).needs == needs
    assert ProtectBook([Protect("a", clauses, -500)]).needs == needs


def test_an_answer_is_not_kept_for_another_process() -> None:
    """Each field that a rule looks at may change between two questions, and nothing else matters."""
    changes: tuple[tuple[Clause, dict[str, object]], ...] = (
        (text("name", "post*"), {"comm": "x"}),
        (text("exe", "/usr/*"), {"exe": None}),
        (text("cmdline", "checkpointer", regex=True), {"cmdline": "postgres: walwriter"}),
        (Clause("user", numbers=(112,)), {"uid": 0}),
        (Clause("group", numbers=(120,)), {"gid": 0}),
        (text("cgroup", "/system*"), {"cgroup": "/"}),
        (text("unit", "post*"), {"owner": Owner()}),
        (text("ancestor", "systemd"), {"ancestors": ()}),
        (Clause("nice", high=-5), {"nice": -4}),
        (Clause("oom_score_adj", high=-900), {"oom_score_adj": -899}),
        (Clause("age", low=7200.0), {"age_s": 7199.9}),
        (Clause("age", high=7200.0), {"age_s": 7200.1}),
        (Clause("terminal", flag=False), {"terminal": True}),
    )
    book = RuleBook([avoid("all", *(clause for clause, _ in changes))])
    assert book.rule_of(POSTGRES) is not None
    for _, fields in changes:
        other = replace(POSTGRES, **fields)  # type: ignore[arg-type]
        assert book.rule_of(other) is None, fields
        assert book.rule_of(POSTGRES) is not None


def test_answers_are_right_when_more_were_asked_than_are_kept() -> None:
    book = RuleBook([avoid("even", *(text("name", "*[02468]"),))])
    crowd = [candidate(pid, comm=f"task{pid}") for pid in range(500)]
    for _ in range(2):
        assert [c.pid for c in crowd if book.rule_of(c)] == list(range(0, 500, 2))


def test_explained_in_the_order_and_the_words_of_the_file() -> None:
    rules = [
        avoid("one", text("cmdline", "walwriter", regex=True), Clause("user", numbers=(0,), written="0")),
        avoid("two", text("name", "postgres")),
        avoid("three", Clause("age", high=60.0), Clause("terminal")),
    ]
    assert RuleBook(rules).explain(POSTGRES) == [
        (rules[0], 'cmdline_regex "walwriter"'),
        (rules[1], ""),
        (rules[2], "age ..60"),
    ]
    assert RuleBook(rules).explain(POD)[2] == (rules[2], "")


def test_protections_are_found_as_rules_are() -> None:
    sshd, databases = (
        Protect("sshd", (text("exe", "/usr/sbin/sshd"),), -900),
        Protect("databases", (text("name", "postgres", "mysqld"),), -500),
    )
    book = ProtectBook([sshd, databases])
    assert book.protects == (sshd, databases)
    assert book.protect_of(POSTGRES) is databases
    assert book.protect_of(POD) is None
    assert book.all_of(POSTGRES) == (databases,)
    assert book.explain(POSTGRES) == [(sshd, 'exe "/usr/sbin/sshd"'), (databases, "")]
    assert ProtectBook().protect_of(POSTGRES) is None


def test_what_cannot_be_compiled_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="write"):
        RuleBook([avoid("a", text("name", "(", regex=True))])


def asked(rules: list[Rule], c: Candidate) -> str:
    rule = RuleBook(rules).rule_of(c)
    return "" if rule is None else rule.name


def test_a_text_that_only_looks_alike_does_not_match() -> None:
    """Several values of one key: each is tried as a whole, and none of them by its longest part alone."""
    rules = [
        avoid("a", text("exe", "/opt/*/bin/run", "/srv/*/bin/run")),
        avoid("b", text("cmdline", "(serve|work) --id=[0-9]+$", regex=True)),
        avoid("c", text("ancestor", "sys*d", "in?t")),
        avoid("d", text("exe", "/usr/*/x", "?y")),
    ]
    assert asked(rules, candidate(1, exe="/home/me/opt/x/bin/run")) == ""
    assert asked(rules, candidate(1, exe="/srv/x/bin/run")) == "a"
    assert asked(rules, candidate(1, cmdline="serve work --id=x")) == ""
    assert asked(rules, candidate(1, cmdline="x work --id=7")) == "b"
    assert asked(rules, candidate(1, ancestors=("sys", "d"))) == ""
    assert asked(rules, candidate(1, ancestors=("bash", "init"))) == "c"
    assert asked(rules, candidate(1, exe="/y")) == "d"
