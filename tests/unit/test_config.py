from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from oomguardd.config import (
    BUILT_IN,
    Config,
    ConfigError,
    config_check,
    load,
    render_default,
    render_effective,
)
from oomguardd.model import Level
from oomguardd.sections import SECTIONS
from oomguardd.sensors import SIGNALS
from oomguardd.settings import settings_of
from oomguardd.units import Amount

REPOSITORY = Path(__file__).resolve().parents[2]


def load_text(tmp_path: Path, text: str, **dropins: str) -> Config:
    """The configuration of a file with `text` and of drop-ins, by name."""
    main = tmp_path / "oomguard.toml"
    main.write_text(text)
    folder = tmp_path / "oomguard.toml.d"
    folder.mkdir(exist_ok=True)
    for name, dropin in dropins.items():
        (folder / f"{name}.toml").write_text(dropin)
    return load(str(main), SIGNALS)


def problems(tmp_path: Path, text: str, **dropins: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text, **dropins)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def defaults() -> Config:
    return load("/dev/null", SIGNALS)


def uncommented(text: str) -> str:
    """`#key = value` and `#[[trigger]]` without their #; what has a space behind it is prose."""
    lines = text.splitlines(keepends=True)
    return "".join(line[1:] if line[0] == "#" and line[1] not in " \n" else line for line in lines)


def test_without_any_file_the_defaults_protect(tmp_path: Path) -> None:
    config = load(None, SIGNALS, default_path=str(tmp_path / "absent.toml"))
    assert config == defaults()
    assert config.sources == ()
    assert {trigger.level for trigger in config.triggers} == {Level.WARN, Level.TERM, Level.KILL}


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(str(tmp_path / "absent.toml"), SIGNALS)


def test_the_defaults() -> None:
    config = defaults()
    assert config.guard.socket == "/run/oomguard/guard.sock"
    assert (config.guard.dry_run, config.guard.lock_memory, config.guard.lag_limit_s) == (False, True, 2.0)
    assert (config.pace.fastest_s, config.pace.slowest_s, config.pace.margin) == (0.05, 5.0, 2.0)
    assert (config.pace.fill_rate_bytes_per_s, config.pace.swap_rate_bytes_per_s) == (None, 800 << 20)
    assert config.select.smallest_victim == Amount(16 << 20, relative=False)
    assert (config.kill.grace_s, config.kill.max_per_minute) == (5.0, 60)
    assert (config.log.level, config.log.state_interval_s) == ("info", 3600.0)
    assert config.warnings == ()


def test_later_files_override_single_keys(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        '[kill]\ngrace = "3s"\nsettle = "2s"\n',
        a='[kill]\ngrace = "4s"\n[log]\nstate_interval = "off"\n',
        b="[guard]\ndry_run = true\n",
    )
    assert (config.kill.grace_s, config.kill.settle_s, config.guard.dry_run) == (4.0, 2.0, True)
    assert config.log.state_interval_s is None
    names = [os.path.basename(source) for source in config.sources]
    assert names == ["oomguard.toml", "a.toml", "b.toml"]


def test_every_value_knows_its_origin(tmp_path: Path) -> None:
    config = load_text(
        tmp_path, '[kill]\nsettle = "2s"', a='[[trigger]]\nname = "thrashing"\npsi_full_10s = ">60%"'
    )
    assert config.origin("kill.settle") == str(tmp_path / "oomguard.toml")
    assert config.origin("kill.grace") == BUILT_IN
    assert config.origin("trigger.thrashing.psi_full_10s") == str(tmp_path / "oomguard.toml.d" / "a.toml")
    assert config.origin("trigger.thrashing.level") == BUILT_IN


def test_a_built_in_trigger_is_changed_key_by_key(tmp_path: Path) -> None:
    config = load_text(tmp_path, '[[trigger]]\nname = "low-memory"\nfor = "3s"\nswap_free = "off"\n')
    before = {trigger.name: trigger for trigger in defaults().triggers}
    after = {trigger.name: trigger for trigger in config.triggers}
    assert list(after) == list(before)
    assert after["low-memory"].for_s == 3.0
    assert after["low-memory"].level == before["low-memory"].level
    assert {condition.signal for condition in after["low-memory"].conditions} == {"mem_available"}
    assert after["thrashing"] == before["thrashing"]


def test_a_built_in_trigger_is_removed(tmp_path: Path) -> None:
    config = load_text(tmp_path, '[[trigger]]\nname = "thrashing"\nenabled = false\n')
    assert len(config.triggers) == len(defaults().triggers) - 1


def test_all_built_in_triggers_are_removed_even_by_a_later_file(tmp_path: Path) -> None:
    own = '[[trigger]]\nname = "low-memory"\nlevel = "warn"\nmem_free = "<1%"\n'
    config = load_text(tmp_path, own, a="[guard]\ndefault_triggers = false\n")
    assert [(trigger.name, len(trigger.conditions)) for trigger in config.triggers] == [("low-memory", 1)]


def test_a_built_in_trigger_may_be_removed_twice(tmp_path: Path) -> None:
    removed = '[[trigger]]\nname = "thrashing"\nenabled = false\n'
    own = '[[trigger]]\nname = "own"\nlevel = "warn"\nmem_free = "<1%"\n'
    config = load_text(tmp_path, removed + own, a="[guard]\ndefault_triggers = false\n")
    assert [trigger.name for trigger in config.triggers] == ["own"]


def test_no_trigger_at_all_is_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path, "[guard]\ndefault_triggers = false\n") == [
        "oomguard.toml: trigger: none is left (enable a trigger, or set guard.default_triggers = true)"
    ]


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    text = '[guard]\nscoket = "/x"\n[kill]\ngrace = 5\nsettle = "1x"\n[[trigger]]\nlevel = "no"\n'
    found = problems(tmp_path, text, a="[kil]\n", b="broken")
    assert [line.partition(" ")[0] for line in found] == [
        "oomguard.toml.d/b.toml:", "oomguard.toml:", "oomguard.toml:", "oomguard.toml:",
        "oomguard.toml.d/a.toml:", "oomguard.toml:",
    ]  # fmt: skip
    assert 'oomguard.toml: guard.scoket: no such setting (did you mean "socket"?)' in found
    assert 'oomguard.toml.d/a.toml: kil: no such section (did you mean "kill"?)' in found


def test_a_wrong_value_is_told_even_if_a_later_file_overrides_it(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "[kill]\ngrace = 5\n", a='[kill]\ngrace = "5s"\n')) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dry_run = true", "dry_run: outside of its section (write it below [guard])"),
        ("[log]\ngrace = '5s'", "log.grace: no such setting (it belongs to [kill])"),
        ("[log]\nzzzzz = 1", "log.zzzzz: no such setting (there are level, state_interval)"),
        (
            "[zzzzzzz]",
            "zzzzzzz: no such section"
            " (there are guard, pace, select, kill, log, journal, metrics, history, watch, notify, control,"
            " policy, trigger, rule, protect and hook)",
        ),
        ("[rules]", 'rules: no such section (did you mean "rule"?)'),
        ("[[triger]]", 'triger: no such section (did you mean "trigger"?)'),
        ("kill = 5", "kill: a number instead of a section (write [kill] and its keys below)"),
        ("[[kill]]", "kill: a list instead of a section (write [kill] and its keys below)"),
        (
            "[pace]\nfastest = '6s'",
            'pace.fastest: is slower than pace.slowest (at most "5s", or raise pace.slowest)',
        ),
        (
            "[guard]\nlag_limit = '0.4s'",
            'guard.lag_limit: "0.4s" is out of range (write something from 500ms to 1m)',
        ),
        ("[select]\noom_score_adj_cap = 1001", '"1001" is out of range (write something from 0 to 1000)'),
        ("[select]\nshortlist = 0", '"0" is out of range (write something from 1 to 1024)'),
        ("[select]\nsmallest_victim = 16", '"16" is a size without a unit (write it like "16M" or "1%")'),
        ("[guard.x]\ny = 1", "guard.x: no such setting"),
    ],
)
def test_one_wrong_key_is_one_problem_with_its_remedy(tmp_path: Path, text: str, message: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    ("conditions", "warning"),
    [
        ('mem_free = ["<1G", ">2G"]', "can never hold: mem_free cannot be <1G and >2G"),
        ('mem_free = "<0%"', "can never hold: mem_free is never <0%"),
        ('psi_full_2s = ">100%"', "can never hold: psi_full_2s is never >100%"),
        (
            'mem_available = ["<5%", "<2G"]\nswap_free = "<4%"',
            "has no effect: whenever it holds, very-low-memory holds as well and kills at once",
        ),
    ],
)
def test_a_trigger_that_is_useless_is_a_warning(tmp_path: Path, conditions: str, warning: str) -> None:
    config = load_text(tmp_path, f'[[trigger]]\nname = "a"\nlevel = "terminate"\n{conditions}\n')
    assert config.warnings == (f"trigger a {warning}",)


def test_a_warning_trigger_below_a_kill_is_no_mistake(tmp_path: Path) -> None:
    text = '[[trigger]]\nlevel = "warn"\nmem_available = ["<5%", "<2G"]\nswap_free = "<4%"\n'
    assert load_text(tmp_path, text).warnings == ()


def test_the_effective_configuration_loads_again(tmp_path: Path) -> None:
    config = load_text(
        tmp_path,
        '[pace]\nfill_rate = "6G/s"\n[select]\nsmallest_victim = "0.5%"\n[log]\nstate_interval = "off"\n',
        a='[[trigger]]\nlevel = "kill"\nfor = "90s"\nmem_free = ["<1%", "< 100M"]\n'
        'major_fault_rate = ">100/s"\n'
        '[[trigger]]\nname = "thrashing"\nenabled = false\n'
        '[[trigger]]\nname = "low-memory"\nswap_free = "off"\n',
    )
    text = render_effective(config)
    assert f"enabled = false                              # {tmp_path}/oomguard.toml.d/a.toml\n" in text
    again = tmp_path / "again"
    again.mkdir()
    assert load_text(again, text) == config


def test_the_effective_configuration_has_what_was_replaced_after_loading() -> None:
    config = replace(defaults(), guard=replace(defaults().guard, dry_run=True))
    assert "dry_run = true " in render_effective(config)


def test_the_effective_configuration_names_hostile_files_on_one_line() -> None:
    config = replace(defaults(), sources=("/etc/a\nb",), origins={"kill.grace": "/etc/a\nb"})
    assert "(/etc/a\\nb)" in render_effective(config)
    assert "# /etc/a\\nb\n" in render_effective(config)


def test_the_shipped_file_is_the_generated_one() -> None:
    assert (REPOSITORY / "conf" / "oomguard.toml").read_text() == render_default(SIGNALS)


def test_the_shipped_file_changes_nothing() -> None:
    assert load(str(REPOSITORY / "conf" / "oomguard.toml"), SIGNALS, "/nonexistent.d") == defaults()


def test_the_shipped_file_uncommented_is_the_defaults(tmp_path: Path) -> None:
    config = load_text(tmp_path, uncommented(render_default(SIGNALS)))
    assert config == defaults()
    keys = {f"{name}.{row.key}" for name in SECTIONS for row in settings_of(SECTIONS[name])}
    assert {key for key in keys if config.origin(key) == BUILT_IN} == set()
    assert {config.origin(f"trigger.{trigger.name}.level") for trigger in config.triggers} == set(
        config.sources
    )


def test_the_shipped_file_names_every_signal() -> None:
    assert [signal.name for signal in SIGNALS if f"#   {signal.name} (" not in render_default(SIGNALS)] == []


def test_every_setting_is_explained() -> None:
    rows = [row for section in SECTIONS.values() for row in settings_of(section)]
    assert [row.key for row in rows if not row.help.endswith(".")] == []


def test_the_check_prints_what_is_in_force(tmp_path: Path) -> None:
    main = tmp_path / "oomguard.toml"
    main.write_text('[[trigger]]\nlevel = "warn"\nmem_free = "<0%"\n')
    status, text = config_check(str(main), SIGNALS)
    assert status == 0
    assert text.startswith("# Warning: trigger trigger-1 can never hold")
    assert 'mem_free = "<0%"  ' in text
    assert f"# {main}\n" in text


def test_the_check_prints_one_line_for_each_problem(tmp_path: Path) -> None:
    main = tmp_path / "oomguard.toml"
    main.write_text('[kill]\ngrace = 5\n"a\\nb" = 1\n')
    status, text = config_check(str(main), SIGNALS)
    known = ", ".join(row.key for row in settings_of(SECTIONS["kill"]))
    assert status == 1
    assert text.splitlines() == [
        f'{main}: kill.grace: "5" is a duration without a unit (write "5s" if seconds are meant)',
        f"{main}: kill.a\\nb: no such setting (there are {known})",
    ]
