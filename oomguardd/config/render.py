"""What is in force, as text: valid TOML with the origin of every value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oomguardd.config.conditions import DROPPED
from oomguardd.config.files import ConfigError
from oomguardd.config.hooks import HOOK_SETTINGS, toml_list
from oomguardd.config.load import default_triggers, load
from oomguardd.config.match import toml_match
from oomguardd.config.plain import ALL_SECTIONS
from oomguardd.config.rules import POINTS, RULE_SETTINGS
from oomguardd.config.triggers import TRIGGER_SETTINGS
from oomguardd.model import LEVEL_NAMES, Signal, Trigger
from oomguardd.sections import Config
from oomguardd.settings import settings_of, toml_string
from oomguardd.units import printable


def render_effective(config: Config) -> str:
    """Valid TOML with the origin of every value; loading it gives an equal Config."""
    read = ", ".join(printable(source) for source in config.sources) or "no file"
    tables = [*_sections(config), *_triggers(config), *_rules(config), *_protects(config), *_hooks(config)]
    head = f"# Effective configuration ({read}); behind each value: where it is from.\n"
    return "\n".join([head, *("".join(f"{line}\n" for line in table) for table in tables)])


def config_check(path: str | None, signals: Iterable[Signal], dropins: str | None = None) -> tuple[int, str]:
    """For `oomguardd --check-config`: (0, effective configuration) or (1, one line for each problem)."""
    try:
        config = load(path, signals, dropins)
    except ConfigError as error:
        return 1, f"{error}\n"
    return 0, "".join(f"# Warning: {warning}\n" for warning in config.warnings) + render_effective(config)


def _sections(config: Config) -> Iterator[list[str]]:
    for name, kind in ALL_SECTIONS.items():
        section = config.section(name)
        rows = settings_of(kind)
        values = {row.key: row.toml(getattr(section, row.field)) for row in rows}
        yield [f"[{name}]", *_with_origins(config, name, values)]


def _triggers(config: Config) -> Iterator[list[str]]:
    built_in = _built_in_tables(config)
    for trigger in config.triggers:
        yield _named(config, "trigger", trigger.name, _trigger(trigger, built_in.get(trigger.name, {})))
    in_force = {trigger.name for trigger in config.triggers}
    for name in (name for name in built_in if name not in in_force):
        yield _named(config, "trigger", name, {"enabled": "false"})


def _built_in_tables(config: Config) -> dict[str, dict[str, Any]]:
    """The built-in triggers that this configuration starts from, by name."""
    tables = default_triggers()["trigger"] if config.guard.default_triggers else ()
    return {table["name"]: table for table in tables}


def _trigger(trigger: Trigger, built_in: dict[str, Any]) -> dict[str, str]:
    level = next(word for word, level in LEVEL_NAMES.items() if level == trigger.level)
    values = {"level": toml_string(level), "for": TRIGGER_SETTINGS["for"].toml(trigger.for_s)}
    dropped = {key: toml_string(DROPPED) for key in built_in if key not in ("name", *TRIGGER_SETTINGS)}
    return values | dropped | _comparisons(trigger)


def _comparisons(trigger: Trigger) -> dict[str, str]:
    """Signal -> what it is compared with, as TOML."""
    texts: dict[str, list[str]] = {}
    for condition in trigger.conditions:
        texts.setdefault(condition.signal, []).append(toml_string(condition.text))
    return {signal: each[0] if len(each) == 1 else f"[{', '.join(each)}]" for signal, each in texts.items()}


def _rules(config: Config) -> Iterator[list[str]]:
    for rule in config.rules:
        values = {"match": toml_match(rule.match)}
        if rule.do == POINTS:
            values[POINTS] = RULE_SETTINGS[POINTS].toml(rule.points)
        elif rule.do:
            values["do"] = toml_string(rule.do)
        if rule.kill:
            values["kill"] = toml_string(rule.kill)
        yield _named(config, "rule", rule.name, values)


def _protects(config: Config) -> Iterator[list[str]]:
    for protect in config.protects:
        values = {"match": toml_match(protect.match), "oom_score_adj": str(protect.oom_score_adj)}
        yield _named(config, "protect", protect.name, values)


def _hooks(config: Config) -> Iterator[list[str]]:
    for hook in config.telling.hooks:
        values = {"on": toml_list(hook.on)}
        values |= {"url": toml_string(hook.url)} if hook.url else {"run": toml_list(hook.run)}
        values["timeout"] = HOOK_SETTINGS["timeout"].toml(hook.timeout_s)
        yield _named(config, "hook", hook.name, values)


def _named(config: Config, noun: str, name: str, values: dict[str, str]) -> list[str]:
    """The lines of one of several tables of this kind."""
    return [
        f"[[{noun}]]",
        f"name = {toml_string(name)}",
        *_with_origins(config, f"{noun}.{name}", values),
    ]


def _with_origins(config: Config, table: str, values: dict[str, str]) -> list[str]:
    return [
        f"{f'{key} = {text}':<44} # {printable(config.origin(f'{table}.{key}'))}"
        for key, text in values.items()
    ]
