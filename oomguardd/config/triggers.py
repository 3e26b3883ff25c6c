"""`[[trigger]]` tables: their keys, and the built-in ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from oomguardd.config.conditions import parse_conditions
from oomguardd.config.tables import Draft, TableReader
from oomguardd.model import LEVEL_NAMES, Level, Signal, Trigger
from oomguardd.settings import setting, settings_of
from oomguardd.units import choice, parse_duration_s

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


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """What a trigger says besides its conditions."""

    level: str = setting("terminate", choice(*LEVEL_NAMES), "What to do: warn, terminate or kill.")
    for_s: float = setting("0s", parse_duration_s, "How long all conditions must have held.", high="1h")
    enabled: bool = setting("true", bool, "false removes the trigger.")


TRIGGER_SETTINGS = {row.key: row for row in settings_of(TriggerSettings)}
"""The keys of a trigger, besides `name` and one for each signal."""


class TriggerReader(TableReader):
    """Merges the trigger tables of several files."""

    noun = "trigger"

    def __init__(self, signals: Iterable[Signal], built_in: Iterable[str] = ()) -> None:
        """`built_in`: names that may be removed even if nothing defines them."""
        super().__init__()
        self._signals = {signal.name: signal for signal in signals}
        self._built_in = tuple(built_in)

    def parse(self, key: str, raw: object) -> Any:
        if key in TRIGGER_SETTINGS:
            return TRIGGER_SETTINGS[key].parse_toml(raw)
        if key in self._signals:
            return parse_conditions(self._signals[key], raw)
        otherwise = "see the list of signals in the shipped file"
        raise self.no_such_key(key, [*TRIGGER_SETTINGS, *self._signals], otherwise, "key or signal")

    def finish(self) -> tuple[Trigger, ...]:
        """All that are enabled, in the order in which they were first named."""
        whole = (draft for draft in self.drafts.values() if not draft.broken)
        return tuple(trigger for draft in whole if (trigger := self._trigger(draft)) is not None)

    def _trigger(self, draft: Draft) -> Trigger | None:
        enabled = draft.values.get("enabled", True)
        if "level" not in draft.values:
            if enabled or draft.name not in self._built_in:  # default_triggers = false has removed those
                self.undefined(draft, "level", 'level = "warn", "terminate" or "kill"')
            return None
        if not enabled:
            return None
        groups = (value for key, value in draft.values.items() if key in self._signals)
        conditions = tuple(condition for group in groups for condition in group)
        if not conditions:
            self.problem(draft, "", 'has no condition (write one like mem_available = "<10%")')
            return None
        level: Level = LEVEL_NAMES[draft.values["level"]]
        return Trigger(draft.name, level, conditions, draft.values.get("for", 0.0))
