"""What a configuration means for the processes of this moment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from oomguardd.ctl.beforehand.check import Findings
from oomguardd.ctl.beforehand.counts import count_protects, count_rules, does, needs_of, voices
from oomguardd.ctl.console import Console
from oomguardd.ctl.text import width_of
from oomguardd.policies.protect import protected_words
from oomguardd.rules import Rule
from oomguardd.sections import Config
from tests.unit.ctl.scene import configured, process, world_of

RULES = """
[[rule]]
name = "shops"
match = { name = "shop*" }
do = "never"
[[rule]]
name = "shop-one"
match = { name_regex = "^shop1$" }
do = "avoid"
[[rule]]
name = "gone"
match = { name = "no-such" }
points = 5
kill = "tree"
[[protect]]
name = "keep"
match = { name = "shop1" }
oom_score_adj = -500
[[protect]]
name = "keep-too"
match = { name = "absent" }
oom_score_adj = -100
"""
CROWD = tuple(process(10 + at, f"shop{at}") for at in range(3))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path, RULES)


def console(width: int = 80) -> Console:
    with open(os.devnull, "w") as nowhere:
        return Console(nowhere, nowhere, {"COLUMNS": str(width)})


def test_matches_and_decides(config: Config) -> None:
    rules = count_rules(config, CROWD)
    assert [(one.name, one.matches, one.decides) for one in rules] == [
        ("shops", 3, 3), ("shop-one", 1, 0), ("gone", 0, 0),
    ]  # fmt: skip
    protects = count_protects(config, CROWD)
    assert [(one.name, one.matches, one.decides) for one in protects] == [("keep", 1, 1), ("keep-too", 0, 0)]


def test_warnings(config: Config, tmp_path: Path) -> None:
    found = Findings(config, world_of(config, *CROWD), ())
    assert found.warnings == [
        *config.warnings,
        "rule shop-one matches 1 and decides about none: shops above it in the file already did",
        'rule gone matches no running process now: name "no-such"',
        'protect keep-too matches no running process now: name "absent"',
    ]
    assert count_rules(config, CROWD)[0].origin == str(tmp_path / "oomguard.toml")


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("with_list", [False, True])
def test_it_fits(config: Config, width: int, with_list: bool) -> None:
    evil = process(20, "\x1b[31m\n日本", exe="/usr/sbin/sshd", uid=0)
    found = Findings(config, world_of(config, *CROWD, evil), ["unseen " * 30])
    lines = found.lines(console(width), with_list)
    assert max(map(width_of, lines)) <= width
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == "3 warnings"


def test_no_rules_is_no_warning(tmp_path: Path) -> None:
    config = configured(tmp_path)
    lines = Findings(config, world_of(config, *CROWD), ()).lines(console(), False)
    assert "no rules" in lines
    assert lines[-1] == "no warnings"


def test_the_list_and_whom_it_covers(tmp_path: Path) -> None:
    config = configured(tmp_path, plain=False)
    sshd = process(20, "sshd", exe="/usr/sbin/sshd", uid=0)
    found = Findings(config, world_of(config, *CROWD, sshd), ())
    assert [c.pid for c, _ in found.protected()] == [20]
    text = " ".join(" ".join(found.lines(console(1000), True)).split())
    assert all(words in text for words in protected_words())
    assert "it covers 1 process now" in text
    assert "(policy protect) covers 1 process now: sshd[20]" in "\n".join(found.lines(console(1000), False))


def test_switched_off(config: Config) -> None:
    sshd = process(20, "sshd", exe="/usr/sbin/sshd", uid=0)
    found = Findings(config, world_of(config, sshd), ())
    assert found.protected() == []
    assert any("protect" in line for line in found.lines(console(1000), False) if line.startswith("off:"))


def test_voices(tmp_path: Path) -> None:
    config = configured(tmp_path, plain=False)
    world = world_of(config, process(10, "x", nice=5), process(11, "y", nice=-5), process(12, "z"))
    (nice,) = [voice for voice in voices(world, config.policies) if voice.policy.name == "nice"]
    assert nice.raises == 1


def test_for_programs(config: Config) -> None:
    found = json.loads(json.dumps(Findings(config, world_of(config, *CROWD), ()).fields(), allow_nan=False))
    assert found["ok"] is True
    assert [rule["decides"] for rule in found["rules"]] == [3, 0, 0]
    assert len(found["warnings"]) >= 3


def test_what_a_rule_does() -> None:
    assert does(Rule("x", (), "never")) == "never"
    assert does(Rule("x", (), "avoid", -300.0)) == "-300 (avoid)"
    assert does(Rule("x", (), "points", 20.0, "unit")) == "+20, kill unit"
    assert does(Rule("x", (), kill="pod")) == "kill pod"


def test_needs(config: Config, tmp_path: Path) -> None:
    assert needs_of(config) == frozenset()
    text = '[[protect]]\nname = "k"\nmatch = { exe = "/bin/x" }\noom_score_adj = 5\n'
    assert needs_of(configured(tmp_path, text)) == {"exe"}
