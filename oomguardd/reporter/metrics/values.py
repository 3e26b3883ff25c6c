"""What is known, as numbers for each metric of the table. Pure.

Rule of this file: what is not known is not there. While the guard is not connected there are no readings: old
ones would look like a calm machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oomguardd.engine.triggers import limit
from oomguardd.engine.words import Fields, as_number
from oomguardd.model import Condition, Signal, Unit
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.metrics.labels import DAEMONS, LEVELS, known
from oomguardd.reporter.metrics.readings import READINGS
from oomguardd.reporter.metrics.tally import LONGEST_NAME, MOST_TRIGGERS, Tally
from oomguardd.reporter.present import Present
from oomguardd.sensors import SIGNAL_OF

Labels = tuple[str, ...]
Series = list[tuple[Labels, float]]
"""Labels, in the order of the table, and value."""
Values = dict[str, Series]
"""By metric."""

PSI_SOURCES = ("openfile", "direct", "slow_window", "polling", "none")

MOST_CONDITIONS = 8
"""Of one trigger; its other thresholds are not shown."""

MOST_WORDS = 64
"""Series of one of the reporter's own meters: hooks are named by the administrator."""

ALONE = "being alone: "
"""So the guard says that it is not: as one of the abilities that it lacks, followed by the other's name."""


_THRESHOLDS = {
    Unit.BYTES: "oomguard_threshold_bytes",
    Unit.PERCENT: "oomguard_threshold_ratio",
    Unit.BYTES_PER_S: "oomguard_threshold_bytes_per_second",
    Unit.PER_S: "oomguard_threshold_events_per_second",
}

_METERS = {
    "told": "oomguard_reporter_deliveries_total",
    "failed": "oomguard_reporter_delivery_failures_total",
    "dropped": "oomguard_reporter_records_dropped_total",
}


def values_of(present: Present, tally: Tally, meters: Meters) -> Values:
    """All but what only the machine itself can tell: processes' memory, and our version."""
    values: Values = {name: list(series.items()) for name, series in tally.counts.items()}
    values.update({name: [((), when_s)] for name, when_s in tally.lasts.items()})
    values["oomguard_config_last_reload_successful"] = _flag(tally.reload_successful)
    values.update(_meter_values(meters))
    values["oomguard_missing_abilities"] = _one(len(present.missing))
    values["oomguard_guard_up"] = _flag(present.connected)
    values["oomguard_armed"] = _flag(present.connected and present.is_armed)
    if present.connected:
        values.update(_guard_values(present))
        values.update(_reading_values(present.readings))
        values.update(_threshold_values(present))
    return values


def _one(value: float | None) -> Series:
    return [] if value is None else [((), value)]


def _flag(value: bool) -> Series:
    return [((), float(value))]


def _choice(words: Sequence[str], chosen: object) -> Series:
    return [((word,), float(word == chosen)) for word in words]


def _guard_values(present: Present) -> Values:
    tick, armed = Fields(present.tick), Fields(present.armed)
    values: Values = {
        "oomguard_dry_run": _flag(present.dry_run),
        "oomguard_last_look_timestamp_seconds": _one(tick.number("time_s") or 0.0),
        "oomguard_guard_start_timestamp_seconds": _one(Fields(present.started).number("time_s")),
        "oomguard_guard_ticks_total": _one(tick.number("ticks")),
        "oomguard_guard_tick_seconds": _one(tick.number("tick_s")),
        "oomguard_guard_lag_max_seconds": _one(tick.number("lag_max_s")),
        "oomguard_guard_records_dropped_total": _one(tick.number("dropped")),
        "oomguard_candidate_processes": _one(tick.number("processes")),
    }
    others = {known(what.removeprefix(ALONE).partition(" ")[0], DAEMONS) for what in _not_alone(present)}
    values["oomguard_other_oom_daemon"] = [((name,), float(name in others)) for name in DAEMONS]
    if present.level in LEVELS:
        values["oomguard_level"] = _choice(LEVELS, present.level)
    if present.armed:
        values["oomguard_memory_locked"] = _flag(armed.flag("locked"))
        values["oomguard_realtime"] = _flag(armed.flag("realtime"))
        values["oomguard_psi_source"] = _choice(PSI_SOURCES, armed.text("psi_source"))
    return values


def _not_alone(present: Present) -> list[str]:
    return [what for what in present.missing if what.startswith(ALONE)]


def _reading_values(readings: Mapping[str, float]) -> Values:
    values: Values = {}
    for name, value in readings.items():
        reading, signal = READINGS.get(name), SIGNAL_OF.get(name)
        if reading is not None and signal is not None:
            values.setdefault(reading.metric, []).append((reading.labels, _in_base_unit(value, signal)))
    return values


def _in_base_unit(value: float, signal: Signal) -> float:
    return value / 100 if signal.unit is Unit.PERCENT else value


def _threshold_values(present: Present) -> Values:
    values: Values = {"oomguard_trigger_holding": []}
    readings, seen = dict(present.readings), set[str]()
    for trigger in map(Fields, present.triggers[:MOST_TRIGGERS]):
        name = trigger.text("name")[:LONGEST_NAME]
        if name in seen:
            continue  # two with one name, cut short: a series may be there once only
        seen.add(name)
        values["oomguard_trigger_holding"].append(((name,), float(trigger.text("name") in present.holding)))
        for (signal, direction), bound in _bounds(trigger, readings).items():
            labels = (name, trigger.text("level"), signal.name, direction)
            values.setdefault(_THRESHOLDS[signal.unit], []).append((labels, _in_base_unit(bound, signal)))
    return values


def _bounds(trigger: Fields, readings: dict[str, float]) -> dict[tuple[Signal, str], float]:
    """Where each signal has to be, in its unit. All conditions of a trigger have to hold: of several in one
    direction, the strictest counts."""
    bounds: dict[tuple[Signal, str], float] = {}
    for row in trigger.each("bounds")[:MOST_CONDITIONS]:
        if not isinstance(row, (list, tuple)) or len(row) != 4:
            continue
        signal, number, below = SIGNAL_OF.get(str(row[0])), as_number(row[2]), row[1] is True
        if signal is None or number is None or signal.unit not in _THRESHOLDS:
            continue
        bound = limit(Condition(signal.name, below, number, row[3] is True, ""), readings, signal.total)
        if bound is not None:
            key = (signal, "below" if below else "above")
            strictest = min if below else max
            bounds[key] = strictest(bound, bounds.get(key, bound))
    return bounds


def _meter_values(meters: Meters) -> Values:
    values: Values = {metric: [] for metric in _METERS.values()}
    refused = values["oomguard_reporter_requests_refused_total"] = []
    for (name, label), number in sorted(meters.counts.items()):
        server, _, reason = label.partition(": ")
        series = refused if name == "refused" else values[_METERS[name]]
        if len(series) < MOST_WORDS:
            series.append(((server, reason) if name == "refused" else (label,), float(number)))
    return values
