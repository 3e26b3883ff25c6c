"""The configuration as one value, made of all files, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oomguardd.config.checks import contradictions, warnings_about
from oomguardd.config.files import ConfigError, Problem, Source, parse_toml, read_sources
from oomguardd.config.triggers import DEFAULT_TRIGGERS, TriggerReader
from oomguardd.model import Signal
from oomguardd.sections import BUILT_IN, SECTIONS, Config, build
from oomguardd.settings import Setting, nearest, settings_of, type_name
from oomguardd.units import quote

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


def merge(sources: list[Source], signals: Iterable[Signal], problems: Iterable[Problem] = ()) -> Config:
    """The tables, in order, over the built-in defaults. ConfigError if anything is wrong with them."""
    found = list(problems)
    origins: dict[str, str] = {}
    values: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for source in sources:
        for name, raw in source.table.items():
            if name in SECTIONS:
                found += _read_section(source.file, name, raw, values[name], origins)
            elif name != "trigger":
                found.append(Problem(source.file, name, _unknown_section(name)))
    sections: dict[str, Any] = {name: section(**values[name]) for name, section in SECTIONS.items()}
    built_in = default_triggers()
    reader = TriggerReader(signals, [table["name"] for table in built_in["trigger"]])
    if sections["guard"].default_triggers:
        reader.add([Source(BUILT_IN, built_in)])
    reader.add(sources)
    triggers = reader.finish()
    config = build(
        sections,
        triggers=triggers,
        sources=tuple(source.file for source in sources),
        warnings=warnings_about(triggers),
        origins=origins | reader.origins,
    )
    found += reader.problems
    found += [Problem(config.origin(key), key, text) for key, text in contradictions(sections)]
    if not triggers and not found:
        remedy = "enable a trigger, or set guard.default_triggers = true"
        found.append(Problem(config.origin("guard.default_triggers"), "trigger", f"none is left ({remedy})"))
    if found:
        raise ConfigError(tuple(found))
    return config


def default_triggers() -> dict[str, Any]:
    """The built-in triggers as a TOML table. ConfigError if there is no TOML parser."""
    table = parse_toml(BUILT_IN, DEFAULT_TRIGGERS)
    if isinstance(table, Problem):
        raise ConfigError((table,))
    return table


def _read_section(
    file: str, name: str, raw: object, values: dict[str, Any], origins: dict[str, str]
) -> list[Problem]:
    """Fills `values` by field and `origins` by dotted key with what is right; returns what is not."""
    if not isinstance(raw, dict):
        return [
            Problem(file, name, f"{type_name(raw)} instead of a section (write [{name}] and its keys below)")
        ]
    rows = {row.key: row for row in settings_of(SECTIONS[name])}
    problems = []
    for key, value in raw.items():
        dotted = f"{name}.{key}"
        problem = _read_setting(rows, key, value, values)
        if problem:
            problems.append(Problem(file, dotted, problem))
        else:
            origins[dotted] = file
    return problems


def _read_setting(rows: Mapping[str, Setting], key: str, raw: object, values: dict[str, Any]) -> str:
    """Puts the value into `values`; what is wrong with it, or an empty string."""
    if key not in rows:
        return _unknown_key(key, rows)
    try:
        values[rows[key].field] = rows[key].parse_toml(raw)
    except ValueError as error:
        return str(error)
    return ""


def _unknown_section(name: str) -> str:
    section = _section_with(name)
    near = nearest(name, [*SECTIONS, "trigger"])
    if section:
        return f"outside of its section (write it below [{section}])"
    if near:
        return f"no such section (did you mean {quote(near)}?)"
    return f"no such section (there are {', '.join(SECTIONS)} and trigger)"


def _unknown_key(key: str, known: Iterable[str]) -> str:
    section = _section_with(key)
    near = nearest(key, known)
    if section:
        return f"no such setting (it belongs to [{section}])"
    if near:
        return f"no such setting (did you mean {quote(near)}?)"
    return f"no such setting (there are {', '.join(known)})"


def _section_with(key: str) -> str:
    """The section that has the setting; empty if none has."""
    return next((name for name in SECTIONS if any(row.key == key for row in settings_of(SECTIONS[name]))), "")
