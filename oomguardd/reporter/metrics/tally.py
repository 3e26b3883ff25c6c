"""Records folded into numbers: what Prometheus is told of everything that has happened. Pure.

Rule of this file: no clock and no file; a record counts once, and one that makes no sense counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oomguardd.engine.words import Fields, as_number
from oomguardd.reporter.inbox import seq_of
from oomguardd.reporter.metrics.book import Book, Histogram, Labels, Wire
from oomguardd.reporter.metrics.labels import (
    ADJUSTERS,
    CONSTRAINTS,
    COUNTERS,
    DAEMONS,
    DEATH_DELAY,
    DRY,
    GAPS,
    HISTOGRAMS,
    LAST_KERNEL_KILL,
    LAST_KILL,
    LAST_RELOAD,
    LASTS,
    LEVELS,
    OTHER,
    OUTCOMES,
    SENDERS,
    SIGNAL_DELAY,
    SIGNALS,
    UNITS,
    known,
)
from oomguardd.reporter.present import Record

VERSION = 1
"""Of to_json()."""

MOST_TRIGGERS = 32
"""The administrator names triggers; those beyond so many distinct names are counted together."""
LONGEST_NAME = 64

MOST_KEYS = 512
"""So many events of the reporter's own are remembered, to count each once."""
LONGEST_KEY = 200

LONGEST_STEP_S = 65.0
"""The guard looks once a minute at least (pace.slowest). What lies longer between two looks was a suspend, a
restart or a clock that was set, and nobody knows what the level was."""

HELPED_SHARE = 0.25
"""A kill that brings back less than this share of what its victims held has not helped."""


class Tally:
    """See the head of this file."""

    def __init__(self) -> None:
        self._book = Book(COUNTERS, LASTS, HISTOGRAMS)
        self.reload_successful = True
        """Whether the last attempt to load a configuration was a success."""
        self._run, self._seq = "", 0
        self._keys: dict[str, None] = {}
        self._look: tuple[float, str] | None = None
        self._folds: Mapping[str, Callable[[Fields], None]] = {
            "started": self._started,
            "tick": self._looked,
            "level": self._level,
            "state": self._looked,
            "kill": self._kill,
            "escalated": lambda record: self._decided("escalate"),
            "outcome": self._outcome,
            "nobody": lambda record: self._decided("nobody"),
            "limit": lambda record: self._decided("limit"),
            "stand_down": lambda record: self._decided("stand down"),
            "foreign": lambda record: self._decided("wait"),
            "reloaded": self._reloaded,
            "reload_failed": self._reload_failed,
            "gap": self._gap,
            "stalled": lambda record: self._book.add("oomguard_guard_stalls_total"),
            "fault": lambda record: self._several("oomguard_faults_total", record),
            "lost": lambda record: self._several("oomguard_records_lost_total", record),
            "adjusted": self._adjusted,
            "kernel_kill": self._kernel_kill,
            "foreign_kill": self._foreign_kill,
            "exit": self._exit,
        }

    @property
    def counts(self) -> Mapping[str, Mapping[Labels, float]]:
        """Counters by name and labels, in the order of COUNTERS."""
        return self._book.counts

    @property
    def histograms(self) -> Mapping[str, Histogram]:
        return self._book.histograms

    @property
    def lasts(self) -> Mapping[str, float]:
        """When something happened last (wall clock); 0 if never."""
        return self._book.lasts

    def fold(self, record: Record) -> None:
        """Any record, of the guard's or our own."""
        fold = self._folds.get(str(record.get("kind")))
        if fold is not None and self._is_new(record):
            fold(Fields(record))

    def _is_new(self, record: Record) -> bool:
        """A kept record is sent again to a reporter that was restarted; an event of our own has a key."""
        seq, run, key = seq_of(record), str(record.get("run", "")), record.get("key")
        if seq and run == self._run and seq <= self._seq:
            return False
        if seq:
            self._run, self._seq = run, seq
        if not isinstance(key, str) or not key:
            return True
        if key[:LONGEST_KEY] in self._keys:
            return False
        self._keys[key[:LONGEST_KEY]] = None
        if len(self._keys) > MOST_KEYS:
            del self._keys[next(iter(self._keys))]
        return True

    def _started(self, record: Fields) -> None:
        self._book.add("oomguard_guard_starts_total")
        self._look = None
        self._loaded(record)

    def _reloaded(self, record: Fields) -> None:
        self._book.add("oomguard_config_reloads_total")
        self._loaded(record)

    def _loaded(self, record: Fields) -> None:
        self.reload_successful = True
        self._last(LAST_RELOAD, record)
        for trigger in map(Fields, record.each("triggers")):
            if trigger.text("level") in ("terminate", "kill"):
                label = self._trigger(trigger.text("name"))
                series = [(label, number, dry) for number in SIGNALS for dry in DRY]
                self._book.expect("oomguard_kills_total", *series)

    def _reload_failed(self, record: Fields) -> None:
        self.reload_successful = False
        self._book.add("oomguard_config_reload_failures_total")

    def _looked(self, record: Fields) -> None:
        """The time since the last look was spent at that look's level."""
        now_s, before = record.number("time_s"), self._look
        if now_s is None:
            return
        if before is not None and 0 < now_s - before[0] <= LONGEST_STEP_S:
            self._book.add("oomguard_level_seconds_total", (before[1],), now_s - before[0])
        level = record.text("level")
        self._look = (now_s, level) if level in LEVELS else None

    def _level(self, record: Fields) -> None:
        self._looked(record)
        level = record.text("level")
        if level in LEVELS:
            self._book.add("oomguard_level_changes_total", (level,))

    def _kill(self, record: Fields) -> None:
        dry = record.flag("dry_run")
        number, names = record.text("signal"), record.texts("triggers")
        trigger = self._trigger(names[0]) if names else OTHER
        labels = (trigger, number if number in SIGNALS else "SIGKILL", DRY[0] if dry else DRY[1])
        self._book.add("oomguard_kills_total", labels)
        self._decided("kill")
        for adjustment in record.fields("victim").each("adjustments"):
            if isinstance(adjustment, (list, tuple)) and adjustment and isinstance(adjustment[0], str):
                word = known(adjustment[0].partition(" ")[0], ADJUSTERS)
                self._book.add("oomguard_kill_adjustments_total", (word,))
        if dry:
            return
        self._last(LAST_KILL, record)
        party = record.fields("party")
        unit = known(party.text("unit", "process"), UNITS)
        self._book.add("oomguard_killed_processes_total", (unit,), party.number("count") or 1)
        delay_s = record.fields("timings").number("total_s")
        if delay_s is not None:
            self._book.histograms[SIGNAL_DELAY].observe(delay_s)

    def _outcome(self, record: Fields) -> None:
        if record.flag("foreign"):
            return  # the kill was somebody else's
        outcome = record.text("outcome")
        self._book.add("oomguard_kill_outcomes_total", (known(outcome, OUTCOMES),))
        if not outcome.startswith("died"):
            return
        after_s, held_bytes = record.number("after_s"), record.number("held_bytes")
        if after_s is not None:
            self._book.histograms[DEATH_DELAY].observe(after_s)
        self._book.add("oomguard_victims_held_bytes_total", (), held_bytes)
        before_bytes, now_bytes = (record.number(f"available_{when}_bytes") for when in ("before", "after"))
        if before_bytes is None or now_bytes is None:
            return
        freed_bytes = now_bytes - before_bytes
        self._book.add("oomguard_freed_bytes_total", (), freed_bytes)
        if held_bytes is not None and freed_bytes < HELPED_SHARE * held_bytes:
            self._book.add("oomguard_ineffective_kills_total")

    def _kernel_kill(self, record: Fields) -> None:
        constraint = known(record.text("constraint", "unknown"), CONSTRAINTS, "unknown")
        self._book.add("oomguard_kernel_oom_kills_total", (constraint,), record.number("count") or 1)
        self._last(LAST_KERNEL_KILL, record)

    def _foreign_kill(self, record: Fields) -> None:
        by = known(record.text("by"), DAEMONS)
        self._book.add("oomguard_foreign_kills_total", (by,), record.number("count") or 1)

    def _exit(self, record: Fields) -> None:
        self._book.add("oomguard_sigkill_exits_total", (known(record.text("by", "unknown"), SENDERS),))

    def _adjusted(self, record: Fields) -> None:
        if not record.flag("dry_run"):
            self._several("oomguard_protect_adjustments_total", record)

    def _gap(self, record: Fields) -> None:
        self._look = None
        why = (known(record.text("why"), GAPS),)
        self._book.add("oomguard_gaps_total", why)
        self._book.add("oomguard_gap_seconds_total", why, record.number("lost_s"))

    def _decided(self, decision: str) -> None:
        self._book.add("oomguard_decisions_total", (decision,))

    def _several(self, name: str, record: Fields) -> None:
        number = record.number("count")
        self._book.add(name, (), 1 if number is None else number)

    def _last(self, name: str, record: Fields) -> None:
        self._book.lasts[name] = record.number("time_s") or self._book.lasts[name]

    def _trigger(self, name: str) -> str:
        """The label of a trigger: its name, as long as there are few."""
        name = name[:LONGEST_NAME]
        known = {labels[0] for labels in self._book.counts["oomguard_kills_total"]}
        return name if name in known or len(known) <= MOST_TRIGGERS else OTHER

    def to_json(self) -> Wire:
        """All of it in what JSON has."""
        return {
            "version": VERSION,
            **self._book.to_json(),
            "reload_successful": self.reload_successful,
            "run": self._run,
            "seq": self._seq,
            "keys": list(self._keys),
        }

    @classmethod
    def from_json(cls, wire: object) -> Tally:
        """What to_json() gave. What is of another version, or makes no sense, is as if it had not been."""
        tally = cls()
        if not isinstance(wire, Mapping) or wire.get("version") != VERSION:
            return tally
        tally._book.restore(wire)
        tally.reload_successful = wire.get("reload_successful") is not False
        run, seq, keys = wire.get("run"), as_number(wire.get("seq")), wire.get("keys")
        if isinstance(run, str) and seq is not None and seq >= 0:
            tally._run, tally._seq = run, int(seq)
        if isinstance(keys, list):
            tally._keys = {key: None for key in keys[-MOST_KEYS:] if isinstance(key, str)}
        return tally
