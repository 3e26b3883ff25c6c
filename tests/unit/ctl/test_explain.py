"""Why a process would or would not be killed, in sentences, and what to write to change that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.config import Config, load
from oomguardd.ctl.beforehand.advice import to_spare
from oomguardd.ctl.beforehand.case import Case, case_of
from oomguardd.ctl.beforehand.explain import find
from oomguardd.ctl.beforehand.story import story_of
from oomguardd.ctl.console import Trouble
from oomguardd.ctl.text import width_of
from oomguardd.kernel.files import open_dir
from oomguardd.model import Candidate, Owner
from oomguardd.policies.rules import RuleBook
from oomguardd.sensors import SIGNALS
from tests.unit.ctl.scene import configured, keep_in, process, world_of

RULES = """
[[rule]]
name = "databases"
match = { name = ["postgres", "mysqld"], user = 112 }
do = "avoid"
[[rule]]
name = "idle"
match = { age = ">1d" }
points = 20
[[rule]]
name = "sacred"
match = { name = "holy" }
do = "never"
[[rule]]
name = "all"
match = { name = "*" }
points = -10
"""


def case(config: Config, c: Candidate, *others: Candidate) -> Case:
    world = world_of(config, c, *others)
    return case_of(c, world, keep_in(world, config), config)


def told(one: Case) -> str:
    """The story, without its line breaks."""
    return " ".join(" ".join(story_of(one, 1000, "somebody")).split())


def test_the_victim(tmp_path: Path) -> None:
    text = told(case(configured(tmp_path), process(10, "leak", 300), process(11, "db", 200)))
    assert "leak[10] would be killed now, if memory ran out: it is the worst of 2 candidates." in text
    assert "Next is db[11] with 19.5 points: 9.77 points, 100 MiB behind." in text
    assert "If it were killed, it would die alone." in text
    assert "There are no rules." in text


def test_another_candidate(tmp_path: Path) -> None:
    c = process(11, "postgres", 400, uid=112, age_s=2 * 86400.0, exe="/usr/bin/postgres")
    text = told(case(configured(tmp_path, RULES), c, process(10, "leak", 200)))
    assert "postgres[11] would not be killed now, if memory ran out: it is number 2 of 2 candidates." in text
    assert "leak[10] would be killed now, with 9.53 points: " in text
    assert (
        'Rule "databases" decides about it: -300 (avoid), for name ["postgres", "mysqld"], user 112.' in text
    )
    assert 'Rule "idle" (+20) matches, too, but stands below.' in text
    assert 'Rule "sacred" (never) does not match: not name "holy".' in text
    assert "- 300 rule databases: avoid: name" in text
    assert 'above rule "databases", as the first one that matches decides' in text


def test_the_first_clause_that_does_not_hold(tmp_path: Path) -> None:
    one = case(configured(tmp_path, RULES), process(11, "mysqld", 400, uid=5))
    (first, *_) = one.rules
    assert (first.fails, first.decides) == ("user 112", False)
    assert [word.name for word in one.rules if word.decides] == ["all"]


@pytest.mark.parametrize(
    ("c", "why", "advice"),
    [
        (process(1, "init", 900), "init", "Nothing in the configuration changes that."),
        (process(9, "tiny", 4), "4 MiB", 'smallest_victim = "2M"'),
        (process(9, "holy", 900), "rule sacred says never", 'remove or narrow rule "sacred" in '),
        (process(9, "x", 900, oom_score_adj=-1000), "oom_score_adj -1000", "no rule can change that"),
        (process(9, "x", 900, dying=True), "already being killed", "Nothing in the configuration"),
    ],
)
def test_exempt(tmp_path: Path, c: Candidate, why: str, advice: str) -> None:
    one = case(configured(tmp_path, RULES), c, process(20, "other", 500))
    text = told(one)
    assert why in one.exempt
    assert f"{c.comm}[{c.pid}] would not be killed: {one.exempt}." in text
    assert advice in text
    assert one.fields()["verdict"] == "exempt"


def test_exempt_by_a_policy(tmp_path: Path) -> None:
    c = process(9, "sshd", 100, uid=0, exe="/usr/sbin/sshd")
    one = case(configured(tmp_path, plain=False), c)
    assert "(policy protect)" in one.exempt
    assert "[policy.protect] enabled = false" in told(one)
    assert "Policy protect exempts it" in told(one)


def test_what_dies_with_it(tmp_path: Path) -> None:
    config = configured(tmp_path, '[[rule]]\nname = "t"\nmatch = { name = "make" }\nkill = "tree"\n')
    crowd = [process(pid, "cc", 50, ppid=10) for pid in range(11, 40)]
    one = case(config, process(10, "make", 400), *crowd)
    text = told(one)
    assert "29 other processes of its tree would die with it, because of rule t: " in text
    assert "and 17 more; 1.81 GiB in all." in text


def test_a_reduced_party_says_why(tmp_path: Path) -> None:
    config = configured(tmp_path, '[[rule]]\nname = "u"\nmatch = { name = "x" }\nkill = "unit"\n')
    assert "Not more, because it is in no unit" in told(case(config, process(10, "x", 400)))


def test_it_fits_the_terminal_but_for_what_is_to_be_copied(tmp_path: Path) -> None:
    c = process(
        10, "日本\x1b[31m", 400, exe=f"/opt/{'x' * 200}", cgroup=f"/{'y' * 300}", owner=Owner(unit="z" * 200)
    )
    lines = story_of(case(configured(tmp_path, RULES), c, process(11, "b", 300)), 60, "somebody")
    assert all(width_of(line) <= 60 or line.startswith("    ") for line in lines)
    assert all(line.isprintable() for line in lines)


def test_for_programs(tmp_path: Path) -> None:
    one = case(configured(tmp_path, RULES), process(11, "b", 200), process(10, "a", 300))
    found: dict[str, Any] = json.loads(json.dumps(one.fields(), allow_nan=False))
    assert (found["verdict"], found["rank"], found["of"]) == ("candidate", 2, 2)
    assert found["victim"]["pid"] == 10
    assert found["distance_points"] == pytest.approx(9.766, abs=0.01)
    assert [rule["decides"] for rule in found["rules"]] == [False, False, False, True]
    assert 'do = "never"' in found["advice"]["toml"]


HOSTILE = st.text(
    st.characters(categories=["L", "M", "N", "P", "S", "Zs", "Cc"], exclude_characters="\0"),
    min_size=1,
    max_size=20,
)


@given(
    comm=HOSTILE.map(lambda text: text.encode()[:15].decode(errors="replace")),
    exe=st.none() | HOSTILE.map("/opt/{}".format),
    cmdline=st.none() | HOSTILE,
    unit=st.sampled_from(["", "shop.service", "a*[b]{c,d}?.service", "session-3.scope"]),
    app=st.just("") | HOSTILE,
)
def test_the_rule_that_is_proposed_can_be_loaded_and_matches(
    tmp_path_factory: pytest.TempPathFactory,
    comm: str,
    exe: str | None,
    cmdline: str | None,
    unit: str,
    app: str,
) -> None:
    c = process(10, comm, exe=exe, cmdline=cmdline, owner=Owner(unit=unit, app=app))
    file = tmp_path_factory.mktemp("advice") / "oomguard.toml"
    file.write_text(to_spare(c, "").toml, encoding="utf-8")
    (rule,) = load(str(file), SIGNALS).rules
    assert rule.do == "never"
    assert RuleBook([rule]).rule_of(c) is rule


def test_a_unit_is_proposed_before_a_program() -> None:
    c = process(10, "x", exe="/usr/bin/x", owner=Owner(unit="x.service"))
    assert 'unit = "x.service"' in to_spare(c, "").toml
    in_a_container = process(10, "x", exe="/usr/bin/x", owner=Owner("docker", unit="docker.service"))
    assert 'exe = "/usr/bin/x"' in to_spare(in_a_container, "").toml
    of_a_manager = process(10, "x", exe="/usr/bin/x", owner=Owner(unit="user@1000.service"))
    assert 'exe = "/usr/bin/x"' in to_spare(of_a_manager, "").toml


def test_an_interpreter_is_told_by_its_arguments() -> None:
    c = process(10, "python3", exe="/usr/bin/python3.11", cmdline="python3 /srv/shop.py")
    advice = to_spare(c, "")
    assert 'cmdline = "python3 /srv/shop.py"' in advice.toml
    assert "a user can start something of theirs like that" in advice.why


def test_what_a_number_stands_for() -> None:
    proc_fd = open_dir("/proc")
    world = world_of(Config(), process(os.getppid(), "parent"))
    try:
        assert find(os.getppid(), world, proc_fd).candidate is world.processes[0]
        assert "this command itself" in find(os.getpid(), world, proc_fd).note
        with pytest.raises(Trouble, match=r"there is no process 2147483647 \(pids here end at"):
            find(2147483647, world, proc_fd)
    finally:
        os.close(proc_fd)


def test_one_of_a_swarm_dies_with_the_others(tmp_path: Path) -> None:
    bomb = [process(pid, "bomb", 12, ppid=50, age_s=5.0) for pid in range(100, 400)]
    one = case(configured(tmp_path), bomb[7], *bomb[:7], *bomb[8:])
    assert "12 MiB" in one.exempt, "alone it is not worth it"
    assert "But it would die with bomb[" in told(one)
    assert one.fields()["dies_with_victim"] is True


def test_a_name_that_was_cut_within_a_letter_can_be_written(tmp_path: Path) -> None:
    c = process(10, "日本語日\ufffd")
    file = tmp_path / "advice.toml"
    file.write_text(to_spare(c, "").toml, encoding="utf-8")
    (rule,) = load(str(file), SIGNALS).rules
    assert RuleBook([rule]).rule_of(c) is rule
