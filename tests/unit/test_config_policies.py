"""The sections of policies, and what the shipped file says about them, about rules and protections."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from oomguardd.config import Config, ConfigError, render_default, render_effective
from oomguardd.config.files import TOML_LOADS, Source
from oomguardd.config.load import merge
from oomguardd.config.plain import SectionReader
from oomguardd.config.rules import PROTECT_SETTINGS, RULE_SETTINGS
from oomguardd.config.shipped import EXAMPLES
from oomguardd.policies import POLICIES, Policy
from oomguardd.rules import MATCH_KEYS
from oomguardd.sections import SECTIONS, KillSettings, from_wire, to_wire
from oomguardd.sensors import SIGNALS
from oomguardd.settings import setting, settings_of
from oomguardd.units import parse_duration_s


@dataclass(frozen=True, slots=True)
class MoodPolicy(Policy):
    """Of this test."""

    points: float = setting("5", float, "Added.", low="0", high="10")
    after_s: float = setting("1h", parse_duration_s, "When.")
    name = "mood"


@dataclass(frozen=True, slots=True)
class MoonPolicy(Policy):
    """Of this test."""

    points: float = setting("5", float, "Added.")
    name = "moon"


TWO = {"kill": KillSettings, "policy.mood": MoodPolicy, "policy.moon": MoonPolicy}


def loads(text: str) -> dict[str, Any]:
    assert TOML_LOADS is not None
    return TOML_LOADS(text)


def sections(*files: str) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """The sections, origins and problems of files with these texts."""
    reader = SectionReader(TWO)
    for number, text in enumerate(files, 1):
        reader.add(Source(f"f{number}", loads(text)))
    return reader.finish(), reader.origins, [str(problem) for problem in reader.problems]


def read(*files: str) -> Config:
    return merge([Source(f"f{number}", loads(text)) for number, text in enumerate(files, 1)], SIGNALS)


def test_a_policy_has_its_own_section() -> None:
    one = '[policy.mood]\npoints = 6\nafter = "2h"\n[kill]\ngrace = "1s"\n'
    found, origins, problems = sections(one, "[policy]\nmood = { points = 7 }\nmoon.points = 8.5\n")
    assert problems == []
    assert found["policy.mood"] == MoodPolicy(points=7.0, after_s=7200.0)
    assert found["policy.moon"] == MoonPolicy(points=8.5)
    assert found["kill"] == KillSettings(grace_s=1.0)
    assert origins == {
        "policy.mood.points": "f2",
        "policy.mood.after": "f1",
        "policy.moon.points": "f2",
        "kill.grace": "f1",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[policy.moood]", 'policy.moood: no such policy (did you mean "mood"? there are mood, moon)'),
        ("[policy.zzzzzzzz]", "policy.zzzzzzzz: no such policy (there are mood, moon)"),
        ("[policy]\npoints = 5", "policy.points: no such policy (there are mood, moon)"),
        (
            "[policy]\nmood = 5",
            "policy.mood: a number instead of a section (write [policy.mood] and its keys",
        ),
        ("[[policy.mood]]", "policy.mood: a list instead of a section (write [policy.mood] and its keys"),
        ("policy = 5", "policy: a number instead of a section (write [policy.mood] and its keys below)"),
        ("[[policy]]", "policy: a list instead of a section (write [policy.mood] and its keys below)"),
        ("[policies]", 'policies: no such section (did you mean "policy"?)'),
        ("[mood]", "mood: no such section (write it as [policy.mood])"),
        ("[policy.moon]\nafter = '1h'", "policy.moon.after: no such setting (it belongs to [policy.mood])"),
        ("[policy.moon]\npionts = 5", 'policy.moon.pionts: no such setting (did you mean "points"?)'),
        ("[kill]\npoints = 5", "kill.points: no such setting (there are grace, "),  # two policies have it
        ("[policy.mood]\npoints = 11", 'policy.mood.points: "11" is out of range (write something from 0'),
        (
            "[policy.mood]\npoints.x = 1",
            "policy.mood.points: a table is not possible here (write it like 5.0)",
        ),
    ],
)
def test_one_wrong_key_is_one_problem_with_its_remedy(text: str, message: str) -> None:
    found, _, problems = sections(text)
    assert len(problems) == 1
    assert problems[0].startswith(f"f1: {message}")
    assert problems[0].endswith(")")
    assert found["policy.mood"] == MoodPolicy()


def test_every_policy_has_a_section_with_its_switch_or_its_settings() -> None:
    assert [name for name in SECTIONS if name.startswith("policy.")] == [f"policy.{p.name}" for p in POLICIES]
    assert [policy.name for policy in POLICIES if not settings_of(policy)] == []


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_policy_is_read_rendered_and_brought_to_the_guard(policy: type[Policy]) -> None:
    default = read().section(f"policy.{policy.name}")
    assert default == policy()
    switched = [row for row in settings_of(policy) if isinstance(getattr(default, row.field), bool)]
    lines = [f"{row.key} = {row.toml(not getattr(default, row.field))}" for row in switched]
    config = read(f"[policy.{policy.name}]\n" + "\n".join(lines))
    assert (config == read()) is (not switched)
    text = render_effective(config)
    assert f"\n[policy.{policy.name}]\n" in text
    assert [line for line in lines if f"\n{line} " not in text] == []
    assert read(text) == config
    wired = from_wire(json.loads(json.dumps(to_wire(config))))
    assert wired == replace(config, telling=None)
    assert wired.policies == config.policies


def test_an_unknown_policy_of_a_file_is_an_error_with_the_list() -> None:
    with pytest.raises(ConfigError, match="no such policy") as caught:
        read("[policy.zzzzzzzz]")
    listed = ", ".join(policy.name for policy in POLICIES)
    assert str(caught.value).startswith("f1: policy.zzzzzzzz: ")
    assert str(caught.value).endswith(f"there are {listed})")


def test_the_shipped_file_explains_every_key_of_rules_and_protections() -> None:
    text = render_default()
    keys = [*RULE_SETTINGS, *PROTECT_SETTINGS, "name", "match"]
    assert [key for key in keys if f"\n#   {key} " not in text] == []


def test_the_shipped_file_explains_every_key_of_a_match_and_whether_it_can_be_forged() -> None:
    text = render_default()
    for row in MATCH_KEYS:
        assert (f"\n#     {row.name} + " in text) is row.forgeable
        assert row.forgeable or f"\n#     {row.name} " in text


def test_the_examples_are_in_the_shipped_file_and_are_good() -> None:
    shipped = [line.removeprefix("#").strip() for line in render_default().splitlines()]
    assert [line for line in EXAMPLES.splitlines() if line not in shipped] == []
    config = read(EXAMPLES)
    assert config.warnings == ()
    assert len(config.rules) >= 3
    assert config.protects


def test_the_examples_are_no_settings_of_the_shipped_file() -> None:
    lines = render_default().splitlines()
    assert [line for line in lines if line.startswith(("#[[rule", "[[rule", "#[[protect", "[[protect"))] == []


def test_the_shipped_file_fits_a_terminal() -> None:
    assert [line for line in render_default(SIGNALS).splitlines() if len(line) > 103] == []
