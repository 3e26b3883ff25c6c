from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oomguardd.config import Config, ConfigError, render_effective
from oomguardd.config.files import TOML_LOADS, Source
from oomguardd.config.load import merge
from oomguardd.config.match import Accounts
from oomguardd.rules import Clause, Rule
from oomguardd.sections import BUILT_IN, from_wire, to_wire
from oomguardd.sensors import SIGNALS

USERS = {"root": 0, "postgres": 112}
FAKE = Accounts(USERS.get, {"wheel": 10}.get)

DATABASE = '[[rule]]\nname = "db"\nmatch = { name = "postgres" }\ndo = "avoid"\n'


def read(*files: str) -> Config:
    """The configuration of these files' texts."""
    assert TOML_LOADS is not None
    sources = [Source(f"f{number}", TOML_LOADS(text)) for number, text in enumerate(files, 1)]
    return merge(sources, SIGNALS, accounts=FAKE)


def rules(*files: str) -> list[Rule]:
    return list(read(*files).rules)


def problems(*files: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*files)
    lines = [str(problem) for problem in caught.value.problems]
    assert [line for line in lines if not line.endswith(")")] == []
    return lines


def rule(says: str, match: str = 'name = "x"', name: str = "a") -> str:
    return f'[[rule]]\nname = "{name}"\nmatch = {{ {match} }}\n{says}\n'


NAMED_X = (Clause("name", texts=("x",), written='"x"'),)


@pytest.mark.parametrize(
    ("says", "do", "points", "kill"),
    [
        ('do = "never"', "never", 0.0, ""),
        ('do = "avoid"', "avoid", -300.0, ""),
        ('do = "prefer"\nkill = "tree"', "prefer", 300.0, "tree"),
        ("points = -50", "points", -50.0, ""),
        ('points = 0.5\nkill = "process"', "points", 0.5, "process"),
        ("points = 1000", "points", 1000.0, ""),
        ('kill = "pod"', "", 0.0, "pod"),
        ('do = "avoid"\nenabled = true', "avoid", -300.0, ""),
    ],
)
def test_what_a_rule_says(says: str, do: str, points: float, kill: str) -> None:
    assert rules(rule(says)) == [Rule("a", NAMED_X, do, points, kill)]


def test_the_match_in_braces_or_as_a_table_below() -> None:
    below = '[[rule]]\nname = "a"\ndo = "avoid"\n[rule.match]\nname = "x"\n'
    dotted = '[[rule]]\nname = "a"\ndo = "avoid"\nmatch.name = "x"\n'
    assert rules(below) == rules(dotted) == rules(rule('do = "avoid"'))


def test_unnamed_rules_are_numbered_over_all_files_around_names_that_are_taken() -> None:
    unnamed = '[[rule]]\nmatch = {{ name = "{}" }}\ndo = "avoid"\n'
    found = rules(unnamed.format("a") + rule('do = "avoid"', name="rule-2"), unnamed.format("b"))
    assert [each.name for each in found] == ["rule-1", "rule-2", "rule-3"]


def test_rules_are_in_the_order_of_the_files() -> None:
    one = rule('do = "avoid"', name="b") + rule('do = "never"', 'user = "root"', name="a")
    two = rule('do = "prefer"', "terminal = true", name="0")
    assert [each.name for each in rules(one, two)] == ["b", "a", "0"]


def test_a_later_file_changes_only_the_keys_that_it_gives_and_the_place_stays() -> None:
    other = rule('do = "never"', 'user = "root"', name="other")
    found = rules(DATABASE + other, '[[rule]]\nname = "db"\nkill = "unit"\n')
    assert [(each.name, each.do, each.kill) for each in found] == [
        ("db", "avoid", "unit"),
        ("other", "never", ""),
    ]
    assert found[0].match == rules(DATABASE)[0].match


def test_a_later_match_replaces_all_of_an_earlier_one() -> None:
    (found,) = rules(DATABASE, '[[rule]]\nname = "db"\nmatch = { user = "postgres" }\n')
    assert found.match == (Clause("user", numbers=(112,), written='"postgres"'),)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('do = "avoid"', "points = -50", ("points", -50.0, "")),
        ("points = -50", 'do = "prefer"', ("prefer", 300.0, "")),
        ('do = "avoid"\nkill = "unit"', 'do = "never"', ("never", 0.0, "")),
        ('points = 5\nkill = "unit"', 'do = "avoid"', ("avoid", -300.0, "unit")),
        ('kill = "unit"', "points = 5", ("points", 5.0, "unit")),
    ],
)
def test_what_a_later_file_says_puts_what_contradicts_it_out_of_force(
    before: str, after: str, expected: tuple[str, float, str]
) -> None:
    (found,) = rules(rule(before), f'[[rule]]\nname = "a"\n{after}\n')
    assert (found.do, found.points, found.kill) == expected


def test_a_rule_is_removed_and_brought_back() -> None:
    off, on = ('[[rule]]\nname = "db"\nenabled = ' + word for word in ("false", "true"))
    assert rules(DATABASE, off) == []
    assert rules(DATABASE, off, on) == rules(DATABASE)


def test_a_rule_that_is_switched_off_says_nothing_even_if_it_is_odd() -> None:
    assert read(rule('do = "avoid"\nenabled = false', 'user = "nobody-knows"')).warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            rule('do = "kill"'),
            'f1: rule.a.do: "kill" is not one of the choices (write one of "never", "avoid"',
        ),
        (rule("do = 5"), 'f1: rule.a.do: "5" is not one of the choices'),
        (
            rule('do = "avoid"\nkill = "all"'),
            'f1: rule.a.kill: "all" is not one of the choices (write one of',
        ),
        (rule('points = "5"'), 'f1: rule.a.points: "5" is text (write it like -50.0)'),
        (
            rule("points = 1001"),
            'f1: rule.a.points: "1001" is out of range (write something from -1000 to 1000)',
        ),
        (rule("points = -1000.5"), 'f1: rule.a.points: "-1000.5" is out of range'),
        (rule("points = nan"), 'f1: rule.a.points: "nan" is not a usable number'),
        (rule("points = 0"), 'f1: rule.a.points: 0 changes nothing (write do = "never" to spare'),
        (rule("points = -0.0"), "f1: rule.a.points: 0 changes nothing"),
        (rule('do = "avoid"\npoints = 5'), 'f1: rule.a.points: contradicts do = "avoid" (keep one of them)'),
        (rule('do = "never"\nkill = "unit"'), 'f1: rule.a.kill: contradicts do = "never" (keep one of them)'),
        (rule(""), 'f1: rule.a: says nothing about what matches (add do = "never"'),
        (rule('do = "avoid"\nenabled = "no"'), 'f1: rule.a.enabled: "no" is text (write it like true)'),
        (rule('do = "avoid"\ndoo = 5'), 'f1: rule.a.doo: no such key (did you mean "do"?)'),
        (
            rule('do = "avoid"\nzzzzzz = 5'),
            "f1: rule.a.zzzzzz: no such key (there are name, match, do, points",
        ),
        (rule('do = "avoid"\nexe = "/x"'), "f1: rule.a.exe: belongs to match (write match = { exe = ... })"),
        (rule('do = "avoid"', 'nmae = "x"'), 'f1: rule.a.match.nmae: no such key (did you mean "name"?)'),
        (rule('do = "avoid"', ""), "f1: rule.a.match: is empty (to match every process, write match = "),
        (
            rule('do = "avoid"', 'exe_regex = "("'),
            'f1: rule.a.match.exe_regex: "(" is no regular expression (',
        ),
        (rule('do = "avoid"', name="A b"), 'f1: rule.A b.name: "A b" is not a name (use a to z, 0 to 9'),
        (
            '[[rule]]\ndo = "avoid"\nmatch = "x"',
            'f1: rule.rule-1.match: text is not a table (write match = { name = "postgres" })',
        ),
        (
            '[[rule]]\nname = "postgres"\ndo = "never"',
            "f1: rule.postgres: no such rule to change or remove (a new one needs match = { ... }, such as",
        ),
        (
            '[[rule]]\nname = "a"\n[rule.match]\nname = "x"\ndo = "never"',
            "f1: rule.a.match.do: is no key of match (write it above that, outside of its braces)",
        ),
        (rule('do = "avoid"') * 2, "f1: rule.a: is there twice (rename or join them)"),
        ('[rule]\ndo = "avoid"', "f1: rule: a table at a wrong place (write [[rule]] and its keys below)"),
        ("rule = [5]", "f1: rule: a number at a wrong place (write [[rule]] and its keys below)"),
    ],
)
def test_a_wrong_rule_is_one_problem_with_its_place_and_remedy(text: str, message: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert message in found[0]


def test_removing_a_misspelt_rule_is_a_problem_because_the_meant_one_stays() -> None:
    (found,) = problems(DATABASE.replace('"db"', '"database"'), '[[rule]]\nname = "databse"\nenabled = false')
    assert found.startswith(
        'f2: rule.databse: no such rule to change or remove (did you mean "database"? a new one needs match'
    )


def test_all_problems_of_a_rule_are_told() -> None:
    assert len(problems(rule('do = "x"\npoints = "y"', 'exe = "["\nnice = "x"'.replace("\n", ", ")))) == 4


def test_what_a_later_file_makes_contradictory_is_told_of_that_file() -> None:
    (found,) = problems(rule('do = "never"'), '[[rule]]\nname = "a"\nkill = "unit"\n')
    assert found == 'f2: rule.a.kill: contradicts do = "never" (keep one of them)'


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ('do = "never"', 'do = "prefer"', 'do = "never" there, do = "prefer" here'),
        ('do = "avoid"', "points = 5.5", 'do = "avoid" there, points = 5.5 here'),
        (
            'do = "avoid"\nkill = "unit"',
            'do = "avoid"\nkill = "pod"',
            'do = "avoid", kill = "unit" there, do = "avoid", kill = "pod" here',
        ),
    ],
)
def test_the_same_match_and_something_else_to_do_is_a_contradiction(one: str, two: str, said: str) -> None:
    first = rule(one, 'name = ["x", "y"], user = 0')
    second = rule(two, 'user = "root", name = ["y", "x", "x"]', name="b")
    (found,) = problems(first, second)
    assert found == (
        "f2: rule.b.match: the same as that of rule a, and they contradict each other"
        f" ({said}: remove one of them)"
    )


@pytest.mark.parametrize(
    ("match", "key", "reason"),
    [
        ('exe = "postgres"', "exe", "it is a whole path and begins with / (write */ in front of it)"),
        ('name = "systemd-journald"', "name", "the kernel cuts names to 15 bytes (write systemd-journal,"),
        ('runtime = "host", qos = "burstable"', "qos", 'only a pod has one, and runtime is "host" (correct'),
        ('runtime = "lxc", job = "1*"', "job", 'only runtime "slurm" has jobs, and runtime is lxc (correct'),
        ('name = "x", name_regex = "^y"', "name", "name_regex matches none of it (correct one of them,"),
    ],
)
def test_a_rule_that_can_never_match_is_an_error(match: str, key: str, reason: str) -> None:
    (found,) = problems("", rule('do = "avoid"', match))
    assert found.startswith(f"f2: rule.a.match.{key}: can never match: {reason}")


def test_one_value_of_a_list_that_can_never_match_is_a_warning() -> None:
    (warning,) = read(rule('do = "avoid"', 'exe = ["postgres", "/usr/bin/x"]')).warnings
    assert warning.startswith('f1: rule.a.match.exe: "postgres" can never match: it is a whole path')


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ('name = "*"', 'exe = "/usr/bin/x"'),
        ('exe = "/usr/*"', 'exe = "/usr/bin/*", user = "root"'),
        ('nice = ">=0"', "nice = 5"),
    ],
)
def test_a_rule_that_never_gets_to_decide_is_a_warning(wide: str, narrow: str) -> None:
    config = read(rule('do = "avoid"', wide), rule('do = "never"', narrow, name="b"))
    assert config.warnings == (
        "f2: rule.b.match: has no effect: rule a stands above it and matches whatever it does"
        " (put this one first, or remove it)",
    )
    narrow_first = read(rule('do = "never"', narrow, name="b"), rule('do = "avoid"', wide))
    assert narrow_first.warnings == ()


def test_the_same_match_once_for_points_and_once_for_what_is_killed_is_a_warning() -> None:
    (warning,) = read(rule('do = "avoid"'), rule('kill = "unit"', name="b")).warnings
    assert warning.startswith("f2: rule.b.match: has no effect: rule a stands above it")


def test_an_unknown_user_is_a_warning_with_file_rule_and_key() -> None:
    config = read("", rule('do = "avoid"', 'user = ["postgers", "root"], name = "x"'))
    assert config.rules[0].match[0].numbers == (0,)
    assert config.warnings == (
        'f2: rule.a.match.user: no such user: "postgers", so that nothing matches it'
        " (correct the name, or load the configuration again when it exists)",
    )


def test_two_rules_for_users_that_do_not_exist_yet_only_wait_for_them() -> None:
    config = read(
        rule('do = "avoid"', 'user = "one"') + rule('do = "never"', 'user = "two", name = "y"', name="b")
    )
    assert [rule.name for rule in config.rules] == ["a", "b"]
    assert [warning.partition(": no such user")[0] for warning in config.warnings] == [
        "f1: rule.a.match.user",
        "f1: rule.b.match.user",
    ]


def test_a_regular_expression_in_place_of_a_glob_is_a_warning() -> None:
    (warning,) = read(rule('do = "avoid"', "exe = '^/usr/bin/java$'")).warnings
    assert warning.startswith('f1: rule.a.match.exe: "^/usr/bin/java$" looks like a regular expression')


def test_every_value_knows_its_origin() -> None:
    config = read(DATABASE, '[[rule]]\nname = "db"\nkill = "unit"\n')
    keys = ("match", "do", "kill", "points")
    assert [config.origin(f"rule.db.{key}") for key in keys] == ["f1", "f1", "f2", BUILT_IN]


EVERYTHING = (
    rule('do = "never"', 'exe = ["/usr/bin/*", "/opt/it\'s \\"x\\"*"], user = ["root", "not-there"]')
    + rule('points = -12.5\nkill = "container"', "cmdline_regex = '\\s\"x\"', nice = 5", "b")
    + rule(
        'kill = "job"', 'oom_score_adj = "-20..-1", age = ">1.5s", terminal = false, qos = "burstable"', "c"
    )
)


def test_the_effective_rules_load_again() -> None:
    config = read(EVERYTHING)
    text = render_effective(config)
    assert '[[rule]]\nname = "b"\n' in text
    assert "cmdline_regex = '\\s\"x\"', nice = 5 }" in text
    assert "points = -12.5                               # f1\n" in text
    assert read(text) == config


def test_rules_reach_the_guard_without_loss() -> None:
    config = read(EVERYTHING)
    wired = from_wire(json.loads(json.dumps(to_wire(config))))
    assert wired == replace(config, telling=None)
    assert wired.rules == config.rules
    assert wired.warnings == config.warnings != ()
