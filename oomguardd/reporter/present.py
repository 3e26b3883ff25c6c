"""What is known of the guard right now, folded from its records. Pure.

Rule of this file: no clock and no file. Whoever asks gets what the last records said; nothing is guessed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from oomguardd.engine.words import as_number

Record = Mapping[str, object]

LAST_KILLS = 20
"""So many kills are remembered, the newest last."""
LAST_TROUBLES = 10
TROUBLES = ("nobody", "limit", "stalled", "fault", "lost")
"""Kinds of records that say that something did not go as it should."""
MADE_HERE = ("kernel_kill", "foreign_kill", "exit", "lost", "fault", "missing")
"""Kinds of records that the reporter makes, too: without a run, and no sign of life of the guard's."""


class Present:
    """The present, one record at a time. Every attribute is empty or None until a record has said it."""

    def __init__(self) -> None:
        self.connected = False
        """Whether the guard is there; the inbox's owner sets it."""
        self.heard_s: float | None = None
        """When the guard made the last record that we have (wall clock)."""
        self.level = ""
        """calm, warn, terminate or kill, as of the last look."""
        self.level_since_s: float | None = None
        self.readings: Mapping[str, float] = {}
        self.holding: Sequence[str] = ()
        """Names of the triggers that hold."""
        self.triggers: Sequence[Mapping[str, object]] = ()
        """As in the record `started`: name, level, conditions (text), for_s, and bounds: [signal, below,
        bound, relative] of each condition."""
        self.tick: Record = {}
        """The last record of kind tick: the guard's own health."""
        self.started: Record = {}
        self.armed: Record = {}
        self.missing: dict[str, Record] = {}
        """What the guard does without, by name."""
        self.reload: Record = {}
        """The last `reloaded` or `reload_failed`."""
        self.configured: Record = {}
        """The last `started` or `reloaded`: sources and dry_run of the configuration that is in force."""
        self.kills: deque[dict[str, object]] = deque(maxlen=LAST_KILLS)
        """The last kills, ours and the kernel's: the record, with what its `outcome` said under "outcome"."""
        self.troubles: deque[Record] = deque(maxlen=LAST_TROUBLES)
        """The last records of TROUBLES, of any run, the newest last."""
        self.stopping: Record = {}
        """The guard's last word; empty again when it has come back."""

    @property
    def dry_run(self) -> bool:
        return self.configured.get("dry_run") is True

    @property
    def is_armed(self) -> bool:
        """Whether it can act. One that looks is armed, also if its start was told to nobody who remembers."""
        return bool(self.armed or self.tick)

    def take(self, record: Record) -> None:
        """Any record, of the guard's or our own; one that makes no sense changes nothing."""
        kind = record.get("kind")
        if record.get("run") or kind not in MADE_HERE:
            self.heard_s = as_number(record.get("time_s")) or self.heard_s
        if kind == "started":
            self._start(record)
        elif kind in ("tick", "level", "state"):
            self._look(record)
        elif kind == "armed":
            self.armed = record
        elif kind == "missing":
            self.missing[str(record.get("what"))] = record
        elif kind in ("reloaded", "reload_failed"):
            self.reload = record
            if kind == "reloaded":
                self._configure(record)
        elif kind in ("kill", "kernel_kill", "foreign_kill"):
            self.kills.append(dict(record))
        elif kind == "outcome":
            self._close(record)
        elif kind in TROUBLES:
            self.troubles.append(record)
        elif kind == "stopping":
            self.stopping = record

    def _start(self, record: Record) -> None:
        self.started, self.armed, self.reload, self.tick, self.stopping = record, {}, {}, {}, {}
        # What the reporter does without it has said once, at its own start.
        self.missing = {name: each for name, each in self.missing.items() if not each.get("run")}
        self.level, self.level_since_s, self.holding, self.readings = "", None, (), {}
        self._configure(record)

    def _configure(self, record: Record) -> None:
        self.configured = record
        triggers = record.get("triggers")
        if isinstance(triggers, list):
            self.triggers = [each for each in triggers if isinstance(each, dict)]

    def _look(self, record: Record) -> None:
        if record.get("kind") == "tick":
            self.tick = record
        level = record.get("level")
        if isinstance(level, str) and level != self.level:
            self.level, self.level_since_s = level, as_number(record.get("time_s"))
        holding, readings = record.get("triggers"), record.get("readings")
        if isinstance(holding, list):
            self.holding = [str(name) for name in holding]
        if isinstance(readings, dict):
            numbers = ((str(name), as_number(value)) for name, value in readings.items())
            self.readings = {name: value for name, value in numbers if value is not None}

    def _close(self, record: Record) -> None:
        kill_id = record.get("kill_id")
        same = (kill for kill in reversed(self.kills) if kill.get("kill_id") == kill_id)
        kill = next((each for each in same if each.get("run") == record.get("run")), None)
        if kill is not None and kill_id is not None:
            kill["outcome"] = dict(record)
