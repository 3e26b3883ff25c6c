"""How things stand, in what the interface io.oomguard.Manager has (interface.py). Pure.

Rule of this file: values in, values out. A record may be of another version or nonsense; every field then has
the type that the interface says, empty or null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oomguardd.engine.readings import Signals
from oomguardd.engine.triggers import holds, limit
from oomguardd.engine.words import Fields, as_number, duration, safe
from oomguardd.model import Condition
from oomguardd.reporter.present import Present, Record
from oomguardd.reporter.words import words_of
from oomguardd.runtimes import owner_of

LEVELS = ("calm", "warn", "terminate", "kill")

SILENT_S = 90.0
"""The slowest pace that can be configured is a look a minute."""

_LONGEST_SENTENCE = 1000

Row = dict[str, Any]


def problems_of(present: Present, now_s: float) -> list[str]:
    """What is wrong, in sentences: nobody may rely on the guard then."""
    if not present.connected:
        last = Fields(present.stopping).text("why", "")
        why = f"it said: stopping: {last}" if last else "systemctl status oomguardd tells more"
        return [f"the guard is not running, or cannot be reached ({why})"]
    problems = []
    if not present.is_armed:
        not_armed = "the guard is not armed yet: it cannot kill anybody"
        problems.append(not_armed if present.started else "the guard has not said yet how things stand")
    silent_s = now_s - (present.heard_s or now_s)
    if silent_s > SILENT_S:
        problems.append(f"the guard has said nothing for {duration(silent_s)}")
    reasons = Fields(present.reload).texts("problems")
    if present.reload.get("kind") == "reload_failed":
        more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        why = f"{reasons[0]}{more}" if reasons else "?"
        problems.append(f"the configuration is wrong and was not loaded; the old one stays in force: {why}")
    return problems


def level_of(present: Present) -> str:
    """One of LEVELS, or "unknown"."""
    return present.level if present.connected and present.level in LEVELS else "unknown"


def readings_of(present: Present, signals: Signals) -> list[Row]:
    """Those of the guard's last look."""
    rows = []
    for name, value in present.readings.items():
        signal = signals.get(name)
        rows.append(
            {
                "name": safe(name),
                "value": value,
                "unit": signal.unit.value if signal else "",
                "total": present.readings.get(signal.total) if signal and signal.total else None,
                "help": signal.help if signal else "",
            }
        )
    return rows


def triggers_of(present: Present, signals: Signals) -> list[Row]:
    """Those in force, with their bounds at this moment."""
    totals = {signal.name: signal.total for signal in signals.values()}
    rows = []
    for trigger in map(Fields, present.triggers):
        name, level = trigger.text("name"), trigger.text("level")
        rows.append(
            {
                "name": name,
                "level": level if level in LEVELS else "unknown",
                "for_s": trigger.number("for_s") or 0.0,
                "holds": present.connected and trigger.raw.get("name") in present.holding,
                "conditions": [_condition(c, present, totals) for c in _conditions(trigger)],
            }
        )
    return rows


def _conditions(trigger: Fields) -> Iterable[Condition]:
    for bounds, text in zip(trigger.each("bounds"), trigger.each("conditions"), strict=False):
        if isinstance(bounds, (list, tuple)) and len(bounds) == 4:
            bound = as_number(bounds[2])
            if bound is not None:
                yield Condition(
                    str(bounds[0]), bounds[1] is True, bound, bounds[3] is True, _bound_text(text, bounds[0])
                )


def _bound_text(condition: object, signal: object) -> str:
    """`<10%` of `mem_available <10%`."""
    return safe(condition).removeprefix(safe(signal)).strip()


def _condition(c: Condition, present: Present, totals: Mapping[str, str]) -> Row:
    sample = dict(present.readings)
    return {
        "signal": safe(c.signal),
        "below": c.below,
        "bound": limit(c, sample, totals.get(c.signal, "")),
        "text": c.text,
        "holds": holds(c, sample, totals),
    }


def missing_of(present: Present) -> list[Row]:
    """What the guard and the reporter do without."""
    keys = ("what", "cost", "remedy")
    return [{key: Fields(record).text(key, "") for key in keys} for record in present.missing.values()]


def kills_of(present: Present, count: int) -> list[Row]:
    """The last ones, the newest last."""
    return [_kill(kill) for kill in list(present.kills)[-count:]] if count > 0 else []


def _kill(kill: Record) -> Row:
    record, victim = Fields(kill), Fields(kill.get("victim") or kill)
    outcome, party = record.fields("outcome"), record.fields("party")
    # Not through `safe`: its escapes are not what the runtimes' names look like.
    owner = owner_of(str(victim.raw.get("cgroup") or ""))
    return {
        "time_s": record.number("time_s") or 0.0,
        "by": _by(record),
        "dry_run": record.flag("dry_run"),
        "pid": whole(victim.number("pid")),
        "comm": victim.text("comm", ""),
        "uid": whole(victim.number("uid")),
        "cgroup": victim.text("cgroup", ""),
        "runtime": owner.runtime,
        "unit": safe(owner.user_unit or owner.unit or owner.slice),
        "app": safe(owner.app),
        "container": safe(owner.container),
        "pod": safe(owner.pod),
        "job": safe(owner.job),
        "signal": record.text("signal", "SIGKILL"),
        "triggers": record.texts("triggers"),
        "count": whole(party.number("count") or record.number("count")),
        "held_bytes": whole(party.number("held_bytes") or victim.number("held_bytes")),
        "outcome": outcome.text("outcome", ""),
        "after_s": outcome.number("after_s"),
        "available_before_bytes": whole(outcome.number("available_before_bytes")),
        "available_after_bytes": whole(outcome.number("available_after_bytes")),
        "text": words_of(kill)[0][:_LONGEST_SENTENCE],
    }


def _by(kill: Fields) -> str:
    kind = kill.raw.get("kind")
    if kind == "kernel_kill":
        return "kernel"
    return kill.text("by", "somebody else") if kind == "foreign_kill" else "oomguardd"


def troubles_of(present: Present) -> list[Row]:
    """What went wrong lately, the newest last."""
    return [
        {
            "time_s": Fields(record).number("time_s") or 0.0,
            "kind": Fields(record).text("kind"),
            "text": words_of(record)[0][:_LONGEST_SENTENCE],
        }
        for record in present.troubles
    ]


def guard_of(present: Present, rss_bytes: int | None) -> Row:
    """Its health; `rss_bytes` as of now, None if unknown."""
    started, armed, tick = Fields(present.started), Fields(present.armed), Fields(present.tick)
    return {
        "connected": present.connected,
        "heard_s": present.heard_s,
        "pid": whole(started.number("pid")),
        "run": started.text("run", ""),
        "version": started.text("version", ""),
        "started_s": started.number("time_s"),
        "armed": present.connected and present.is_armed,
        "dry_run": present.dry_run,
        "locked": flag(armed, "locked"),
        "realtime": flag(armed, "realtime"),
        "psi_source": armed.text("psi_source", ""),
        "rss_bytes": rss_bytes,
        "cpu_s": tick.number("cpu_s"),
        "ticks": whole(tick.number("ticks")),
        "tick_s": tick.number("tick_s"),
        "lag_max_s": tick.number("lag_max_s"),
        "processes": whole(tick.number("processes")),
        "kills": whole(tick.number("kills")),
        "busy": tick.flag("busy"),
        "dropped": whole(tick.number("dropped")),
    }


def configuration_of(present: Present) -> Row:
    """What is in force, and why something else is not."""
    configured, reload = Fields(present.configured), Fields(present.reload)
    failed = reload.raw.get("kind") == "reload_failed"
    return {
        "sources": configured.texts("sources"),
        "since_s": configured.number("time_s"),
        "problems": reload.texts("problems") if failed else [],
        "failed_s": reload.number("time_s") if failed else None,
    }


def whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def flag(fields: Fields, key: str) -> bool | None:
    value = fields.raw.get(key)
    return value if isinstance(value, bool) else None
