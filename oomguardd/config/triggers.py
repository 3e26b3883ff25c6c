"""`[[trigger]]` tables: their syntax, the built-in ones, and how a later file changes an earlier one's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from oomguardd.config.conditions import parse_conditions
from oomguardd.config.files import Problem, Source
from oomguardd.model import LEVEL_NAMES, Condition, Level, Signal, Trigger
from oomguardd.settings import nearest, setting, settings_of, type_name
from oomguardd.units import choice, parse_duration_s, quote

DEFAULT_TRIGGERS = """\
[[trigger]]
name = "low-memory-warning"
level = "warn"
mem_available = ["<15%", "<6G"]
swap_free = "<15%"

[[trigger]]
name = "low-memory"
level = "terminate"
mem_available = ["<10%", "<4G"]
swap_free = "<10%"

[[trigger]]
name = "very-low-memory"
level = "kill"
mem_available = ["<5%", "<2G"]
swap_free = "<5%"

[[trigger]]
name = "thrashing"
level = "terminate"
psi_full_10s = ">40%"
mem_available = ["<20%", "<8G"]
reclaim_scan_rate = ">1M/s"

[[trigger]]
name = "hard-thrashing"
level = "kill"
for = "5s"
psi_full_10s = ">75%"
mem_available = ["<15%", "<6G"]
reclaim_scan_rate = ">1M/s"
"""
"""The one place for the built-in thresholds: parsed at each load, and copied into the shipped file."""

NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """What a trigger says besides its conditions."""

    level: str = setting("terminate", choice(*LEVEL_NAMES), "What to do: warn, terminate or kill.")
    for_s: float = setting("0s", parse_duration_s, "How long all conditions must have held.", high="1h")
    enabled: bool = setting("true", bool, "false removes the trigger.")


TRIGGER_SETTINGS = {row.key: row for row in settings_of(TriggerSettings)}
"""The keys of a trigger, besides `name` and one for each signal."""


@dataclass(slots=True)
class _Draft:
    """A trigger while files are still adding to it."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, tuple[Condition, ...]] = field(default_factory=dict)
    file: str = ""
    """The last one that said something about it."""
    broken: bool = False
    """Something in it was wrong and is already reported."""

    def update(self, later: _Draft) -> None:
        self.values |= later.values
        self.conditions |= later.conditions
        self.file = later.file
        self.broken |= later.broken


class TriggerReader:
    """Merges the trigger tables of several files, and collects what is wrong with them."""

    def __init__(self, signals: Iterable[Signal], built_in: Iterable[str] = ()) -> None:
        """`built_in`: names that may be removed even if nothing defines them."""
        self.problems: list[Problem] = []
        self.origins: dict[str, str] = {}
        self._signals = {signal.name: signal for signal in signals}
        self._drafts: dict[str, _Draft] = {}
        self._taken: set[str] = set()
        self._built_in = tuple(built_in)
        self._unnamed = 0

    def add(self, sources: list[Source]) -> None:
        """Files in order: a later one's keys go over an earlier one's."""
        tables = [(source.file, self._tables(source)) for source in sources]
        self._taken |= {str(table.get("name")) for _, each in tables for table in each}
        for file, each in tables:
            seen: set[str] = set()
            for table in each:
                draft = self._read(file, table)
                if draft.name in seen:
                    self._problem(file, f"trigger.{draft.name}", "is there twice (rename or join them)")
                seen.add(draft.name)
                self._drafts.setdefault(draft.name, _Draft(draft.name)).update(draft)

    def finish(self) -> tuple[Trigger, ...]:
        """All that are enabled, in the order in which they were first named."""
        return tuple(
            trigger for draft in self._drafts.values() if (trigger := self._trigger(draft)) is not None
        )

    def _trigger(self, draft: _Draft) -> Trigger | None:
        key = f"trigger.{draft.name}"
        if draft.broken:
            return None
        if "level" not in draft.values:
            self._undefined(draft, key)
            return None
        if not draft.values.get("enabled", True):
            return None
        conditions = tuple(condition for group in draft.conditions.values() for condition in group)
        if not conditions:
            self._problem(draft.file, key, 'has no condition (write one like mem_available = "<10%")')
            return None
        level: Level = LEVEL_NAMES[draft.values["level"]]
        return Trigger(draft.name, level, conditions, draft.values.get("for", 0.0))

    def _undefined(self, draft: _Draft, key: str) -> None:
        """No level: most likely a name that was misspelt, and the trigger that was meant is unchanged."""
        if draft.name in self._built_in and not draft.values.get("enabled", True):
            return  # default_triggers = false has removed it already
        defined = [other.name for other in self._drafts.values() if "level" in other.values]
        near = nearest(draft.name, defined)
        remedy = f"did you mean {quote(near)}? " if near else ""
        remedy += 'a new one needs level = "warn", "terminate" or "kill"'
        self._problem(draft.file, key, f"no such trigger to change or remove ({remedy})")

    def _tables(self, source: Source) -> list[dict[str, Any]]:
        raw = source.table.get("trigger", [])
        wrong = [item for item in raw if not isinstance(item, dict)] if isinstance(raw, list) else [raw]
        for item in wrong:
            text = f"{type_name(item)} at a wrong place (write [[trigger]] and its keys below)"
            self._problem(source.file, "trigger", text)
        return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []

    def _read(self, file: str, table: dict[str, Any]) -> _Draft:
        draft = _Draft(self._name(table), file=file)
        before = len(self.problems)
        for key, raw in table.items():
            dotted = f"trigger.{draft.name}.{key}"
            try:
                self._read_key(draft, key, raw)
            except ValueError as error:
                self._problem(file, dotted, str(error))
            else:
                self.origins[dotted] = file
        draft.broken = len(self.problems) > before
        return draft

    def _read_key(self, draft: _Draft, key: str, raw: object) -> None:
        if key == "name":
            check_name(raw)
        elif key in TRIGGER_SETTINGS:
            draft.values[key] = TRIGGER_SETTINGS[key].parse_toml(raw)
        elif key in self._signals:
            draft.conditions[key] = parse_conditions(self._signals[key], raw)
        else:
            near = nearest(key, ["name", *TRIGGER_SETTINGS, *self._signals])
            remedy = f"did you mean {quote(near)}?" if near else "see the list of signals in the shipped file"
            raise ValueError(f"no such key or signal ({remedy})")

    def _name(self, table: dict[str, Any]) -> str:
        """As given, or the next free one of "trigger-1", "trigger-2"...

        Counted over all files, or the first one of a later file would change that of an earlier file.
        """
        name = table.get("name")
        if isinstance(name, str):
            return name
        self._unnamed += 1
        while f"trigger-{self._unnamed}" in self._taken:
            self._unnamed += 1
        return f"trigger-{self._unnamed}"

    def _problem(self, file: str, key: str, text: str) -> None:
        self.problems.append(Problem(file, key, text))


def check_name(raw: object) -> None:
    """ValueError if it cannot be a trigger's name: it becomes part of keys, log fields and metrics."""
    if not isinstance(raw, str):
        raise ValueError(f'{type_name(raw)} is not a name (write it like "low-memory")')
    if not raw or len(raw) > 64 or raw.strip(NAME_LETTERS):
        raise ValueError(f"{quote(raw)} is not a name (use a to z, 0 to 9, - and _)")
