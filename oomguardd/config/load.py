"""The configuration as one value, made of all files, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Any

from oomguardd.config.checks import contradictions, warnings_about
from oomguardd.config.files import ConfigError, Problem, Source, parse_toml, read_sources
from oomguardd.config.hooks import HookReader
from oomguardd.config.match import ACCOUNTS, Accounts
from oomguardd.config.plain import SectionReader
from oomguardd.config.rule_checks import Finding, as_rules, contradictions_in, warnings_in
from oomguardd.config.rules import ProtectReader, RuleReader
from oomguardd.config.triggers import DEFAULT_TRIGGERS, TriggerReader
from oomguardd.model import Signal
from oomguardd.sections import BUILT_IN, SECTIONS, Config, build
from oomguardd.telling import TELLING_SECTIONS, Telling

DEFAULT_PATH = "/etc/oomguard.toml"


def load(
    path: str | None,
    signals: Iterable[Signal],
    dropins: str | None = None,
    *,
    default_path: str = DEFAULT_PATH,
) -> Config:
    """Reads `path` and the files in `dropins` (`path`.d). None: the default path, which may be absent.

    ConfigError has all problems of all files.
    """
    main = default_path if path is None else path
    sources, problems = read_sources(main, f"{main}.d" if dropins is None else dropins, path is not None)
    return merge(sources, signals, problems)


def merge(
    sources: list[Source],
    signals: Iterable[Signal],
    problems: Iterable[Problem] = (),
    *,
    accounts: Accounts = ACCOUNTS,
) -> Config:
    """The tables, in order, over the built-in defaults. ConfigError if anything is wrong with them."""
    plain = SectionReader()
    for source in sources:
        plain.add(source)
    sections = plain.finish()
    triggers = _trigger_reader(signals, sections["guard"].default_triggers)
    rules, protects, hooks = RuleReader(accounts), ProtectReader(accounts), HookReader()
    readers = (triggers, rules, protects, hooks)
    for reader in readers:
        reader.add(sources)
    told = {name: sections[name] for name in TELLING_SECTIONS}
    config = build(
        {name: sections[name] for name in SECTIONS},
        triggers=triggers.finish(),
        rules=rules.finish(),
        protects=protects.finish(),
        sources=tuple(source.file for source in sources),
        telling=Telling(**told, hooks=hooks.finish()),
        origins=reduce(or_, (reader.origins for reader in readers), plain.origins),
    )
    found = [*problems, *plain.problems, *(each for reader in readers for each in reader.problems)]
    found += _contradictions(config, sections)
    if not config.triggers and not found:
        remedy = "enable a trigger, or set guard.default_triggers = true"
        found.append(Problem(config.origin("guard.default_triggers"), "trigger", f"none is left ({remedy})"))
    if found:
        raise ConfigError(tuple(found))
    return replace(config, warnings=_warnings(config, [*rules.doubts, *protects.doubts]))


def default_triggers() -> dict[str, Any]:
    """The built-in triggers as a TOML table. ConfigError if there is no TOML parser."""
    table = parse_toml(BUILT_IN, DEFAULT_TRIGGERS)
    if isinstance(table, Problem):
        raise ConfigError((table,))
    return table


def _trigger_reader(signals: Iterable[Signal], with_built_in: bool) -> TriggerReader:
    built_in = default_triggers()
    reader = TriggerReader(signals, [table["name"] for table in built_in["trigger"]])
    if with_built_in:
        reader.add([Source(BUILT_IN, built_in)])
    return reader


def _contradictions(config: Config, sections: Mapping[str, Any]) -> list[Problem]:
    found = contradictions(sections)
    found += contradictions_in(config.rules, "rule")
    found += contradictions_in(as_rules(config.protects), "protect")
    return [_located(config, key, text) for key, text in found]


def _warnings(config: Config, doubts: Iterable[Finding]) -> tuple[str, ...]:
    found = [
        *doubts,
        *warnings_in(config.rules, "rule"),
        *warnings_in(as_rules(config.protects), "protect"),
    ]
    located = (str(_located(config, key, text)) for key, text in found)
    return (*warnings_about(config.triggers), *located)


def _located(config: Config, key: str, text: str) -> Problem:
    """The problem in the file that set the key, or the nearest one around it: rule.a.match of
    rule.a.match.exe."""
    around = key
    while around not in config.origins and "." in around:
        around = around.rpartition(".")[0]
    return Problem(config.origin(around), key, text)
