from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oomguardd.config import Config, ConfigError, render_effective
from oomguardd.config.files import TOML_LOADS, Source
from oomguardd.config.load import merge
from oomguardd.rules import Clause, Protect
from oomguardd.sections import from_wire, to_wire
from oomguardd.sensors import SIGNALS

UNIT_X = (Clause("unit", texts=("x.service",), written='"x.service"'),)


def read(*files: str) -> Config:
    """The configuration of these files' texts."""
    assert TOML_LOADS is not None
    return merge([Source(f"f{number}", TOML_LOADS(text)) for number, text in enumerate(files, 1)], SIGNALS)


def protect(says: str = "oom_score_adj = -500", match: str = 'unit = "x.service"', name: str = "a") -> str:
    return f'[[protect]]\nname = "{name}"\nmatch = {{ {match} }}\n{says}\n'


def problems(*files: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*files)
    lines = [str(problem) for problem in caught.value.problems]
    assert [line for line in lines if not line.endswith(")")] == []
    return lines


@pytest.mark.parametrize("adj", [-1000, -1, 0, 1000])
def test_a_protection(adj: int) -> None:
    assert read(protect(f"oom_score_adj = {adj}")).protects == (Protect("a", UNIT_X, adj),)


def test_unnamed_ones_are_numbered_apart_from_rules() -> None:
    text = '[[protect]]\nmatch = { name = "x" }\noom_score_adj = 5\n'
    other = '[[rule]]\nmatch = { name = "x" }\ndo = "never"\n'
    config = read(text + other, text.replace('"x"', '"y"'))
    assert [each.name for each in config.protects] == ["protect-1", "protect-2"]
    assert [each.name for each in config.rules] == ["rule-1"]


def test_a_later_file_changes_and_removes() -> None:
    change = '[[protect]]\nname = "a"\n'
    assert read(protect(), f"{change}oom_score_adj = -1").protects == (Protect("a", UNIT_X, -1),)
    assert read(protect(), f"{change}enabled = false").protects == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (protect(""), "f1: protect.a.oom_score_adj: is missing (write oom_score_adj = -500 above the match)"),
        (
            '[[protect]]\nname = "a"\n[protect.match]\nname = "x"\noom_score_adj = -500',
            "f1: protect.a.oom_score_adj: is missing (write oom_score_adj = -500 above the match)",
        ),
        (protect("oom_score_adj = -1001"), 'f1: protect.a.oom_score_adj: "-1001" is out of range'),
        (protect("oom_score_adj = 1.5"), 'f1: protect.a.oom_score_adj: "1.5" is not a whole number'),
        (protect('oom_score_adj = "-5"'), 'f1: protect.a.oom_score_adj: "-5" is text (write it like -500)'),
        (protect("oom_score_adj = 5\ndo = 'never'"), "f1: protect.a.do: no such key (there are name, match,"),
        (protect("oom_score_adj = 5\nunit = 'x'"), "f1: protect.a.unit: belongs to match (write match ="),
        (protect(match=""), "f1: protect.a.match: is empty (to match every process, write"),
        (protect(match="unit = 5"), "f1: protect.a.match.unit: a number is not text (write it in quotes"),
        ("[[protect]]\noom_score_adj = 5", "f1: protect.protect-1: no such protect to change or remove ("),
        (protect() + protect("oom_score_adj = 5"), "f1: protect.a: is there twice (rename or join them)"),
        ("[protect]\nenabled = true", "f1: protect: a table at a wrong place (write [[protect]] and"),
        (
            protect() + protect("oom_score_adj = 5", name="b"),
            "f1: protect.b.match: the same as that of protect a, and they contradict each other"
            " (oom_score_adj = -500 there, oom_score_adj = 5 here: remove one of them)",
        ),
    ],
)
def test_a_wrong_protection_is_one_problem_with_its_place_and_remedy(text: str, message: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert message in found[0]


def test_a_doubt_is_a_warning_with_its_file() -> None:
    (warning,) = read("", protect(match="exe = '/x$'")).warnings
    assert warning.startswith('f2: protect.a.match.exe: "/x$" looks like a regular expression')


def test_a_protection_below_a_wider_one_is_a_warning() -> None:
    (warning,) = read(protect() + protect("oom_score_adj = -1", 'unit = "x.service", nice = 0', "b")).warnings
    assert warning.startswith("f1: protect.b.match: has no effect: protect a stands above it and matches")


def test_a_protection_that_can_never_match_is_an_error() -> None:
    (found,) = problems(protect(match='cgroup = "x/*"'))
    assert found.startswith("f1: protect.a.match.cgroup: can never match: it is a whole path")


def test_the_effective_protections_load_again_and_reach_the_guard_without_loss() -> None:
    config = read(protect() + protect("oom_score_adj = 0", "age = '>1h', name = ['a', 'b']", "b"))
    text = render_effective(config)
    assert f"{'oom_score_adj = -500':<44} # f1\n" in text
    assert read(text) == config
    assert from_wire(json.loads(json.dumps(to_wire(config)))) == replace(config, telling=None)
