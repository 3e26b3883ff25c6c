"""Which records are news, for whom, and in which words. Pure.

Rule of this file: programs (hooks) are told of everything that they ask for; people of what is new to them,
and less and less often of what goes on and on.
"""

from __future__ import annotations

from collections.abc import Mapping

from oomguardd.engine.explain import describe
from oomguardd.engine.readings import Signals, condition_words
from oomguardd.engine.words import Fields, as_number
from oomguardd.notifiers.base import Notice
from oomguardd.notifiers.wording import KILLS, WARNINGS, Fact, words
from oomguardd.runtimes import owner_of
from oomguardd.telling import HOOK_KINDS

Record = Mapping[str, object]

STALE_S = 60.0
"""What is older was sent again after an outage: no news to people, but to programs that keep a list."""
LONGEST_PAUSE_S = 3600.0
NOBODY_PAUSE_S = 300.0
"""Between two messages to people that nothing may be ended, and between two of what a dry run would have
done; doubling as warnings do."""


class Pace:
    """How often the same may be said: not again within a pause, which doubles each time, until it has been
    calm for as long as the pause has become."""

    def __init__(self, pause_s: float) -> None:
        self._first_s = pause_s
        self._pause_s = pause_s
        self._last_s: float | None = None
        self._calm_since_s: float | None = None

    def calm(self, now_s: float) -> None:
        """There is nothing to say at present."""
        if self._calm_since_s is None:
            self._calm_since_s = now_s

    def may(self, now_s: float) -> bool:
        """Whether to say it now; then it counts as said."""
        calm_since_s, self._calm_since_s = self._calm_since_s, None
        if self._last_s is not None and now_s - self._last_s < self._pause_s:
            return False
        rested = calm_since_s is not None and now_s - calm_since_s >= self._pause_s
        if self._last_s is None or rested:
            self._pause_s = self._first_s
        else:
            self._pause_s = min(2 * self._pause_s, max(LONGEST_PAUSE_S, self._first_s))
        self._last_s = now_s
        return True


class News:
    """Takes records in order."""

    def __init__(self, warn_people: bool, warn_pause_s: float, signals: Signals) -> None:
        self._warn_people = warn_people
        self._signals = signals
        self._warnings = Pace(warn_pause_s)
        self._nobody = Pace(NOBODY_PAUSE_S)
        self._dry_runs = Pace(NOBODY_PAUSE_S)

    def of(self, record: Record, now_s: float, monotonic_s: float) -> Notice | None:
        """What somebody may want to hear; None for most records. `now_s` is the wall clock."""
        kind, time_s = record.get("kind"), as_number(record.get("time_s"))
        fresh = time_s is not None and now_s - time_s <= STALE_S
        if kind == "level":
            if not self._rises(record, monotonic_s, fresh):
                return None
            kind = "warn"
        if not isinstance(kind, str) or kind not in HOOK_KINDS:
            return None
        facts = facts_of(kind, record, self._signals)
        explanation = describe(record, self._signals)
        summary, body = words(kind, facts)
        if not summary:  # not for people
            summary, body = explanation[0], "\n".join(line.strip() for line in explanation[1:])
        people = fresh and self._for_people(kind, record, monotonic_s)
        return Notice(kind, time_s or now_s, summary, body, facts, record, explanation, people)

    def _rises(self, record: Record, monotonic_s: float, fresh: bool) -> bool:
        """Whether it is time to warn. A warning of the past is of no use to anybody."""
        level = record.get("level")
        if level == "calm":
            for pace in (self._warnings, self._nobody, self._dry_runs):
                pace.calm(monotonic_s)
        rises = level == "warn" and record.get("was") == "calm"
        return fresh and rises and self._warnings.may(monotonic_s)

    def _for_people(self, kind: str, record: Record, monotonic_s: float) -> bool:
        if kind == "warn":
            return self._warn_people
        if kind == "nobody":
            return self._nobody.may(monotonic_s)
        if kind in KILLS and record.get("dry_run") is True:
            return self._dry_runs.may(monotonic_s)
        return kind in (*KILLS, *WARNINGS)


def facts_of(kind: str, record: Record, signals: Signals) -> dict[str, Fact]:
    """See wording.Facts."""
    fields = Fields(record)
    found: dict[str, Fact | None] = {"kind": kind, "time_s": fields.number("time_s")}
    if kind in KILLS:
        found |= _of_kill(kind, fields, signals)
    elif kind in WARNINGS:
        found |= _of_warning(fields)
    elif kind == "outcome":
        found |= {key: _integer(fields, key) for key in ("kill_id", "pid", "held_bytes", "count")}
        found |= {key: fields.text(key, "") for key in ("comm", "outcome")}
    elif kind == "missing":
        found |= {key: fields.text(key, "") for key in ("what", "cost", "remedy")}
    return {name: value for name, value in found.items() if value is not None and value != ""}


def _of_kill(kind: str, fields: Fields, signals: Signals) -> dict[str, Fact | None]:
    ours = kind == "kill"
    victim = fields.fields("victim") if ours else fields
    party = fields.fields("party")
    owner = owner_of(victim.text("cgroup", ""))
    uid = _integer(victim, "uid")
    found: dict[str, Fact | None] = {
        "by": "oomguardd" if ours else "kernel" if kind == "kernel_kill" else fields.text("by", ""),
        "dry_run": fields.flag("dry_run"),
        "level": fields.text("level", ""),
        "reason": _reason(fields, signals),
        "uid": owner.uid if uid is None else uid,
        "count": _integer(party, "count") or _integer(fields, "count"),
        "held_bytes": _integer(party, "held_bytes") or _integer(victim, "held_bytes"),
    }
    found |= {key: fields.text(key, "") for key in ("signal", "limit_cgroup")}
    found |= {key: victim.text(key, "") for key in ("comm", "cgroup")}
    found |= {key: _integer(victim, key) for key in ("pid", "oom_score_adj")}
    found |= {key: _integer(fields, key) for key in ("kill_id",)}
    placed = Fields(owner._asdict())
    found |= {key: placed.text(key, "") for key in ("unit", "user_unit", "app", "runtime", "container")}
    return found


def _reason(fields: Fields, signals: Signals) -> str:
    readings = fields.fields("readings").numbers()
    held = [condition_words(text, readings, signals, True) for text in fields.each("conditions")]
    if held:
        return " and ".join(held)
    why = fields.texts("why")  # sentences; one text with other daemons' kills
    return (why[0] if why else fields.text("why", "")).rstrip(".")


def _of_warning(fields: Fields) -> dict[str, Fact | None]:
    readings = fields.fields("readings")
    available, total = readings.number("mem_available"), readings.number("mem_total")
    return {
        "level": fields.text("level", ""),
        "available_bytes": None if available is None else int(available),
        "available_pct": None if available is None or not total else round(100 * available / total, 1),
        "swap_free_bytes": _integer(readings, "swap_free"),
        "why": fields.text("why", "").rstrip("."),
        "per_minute": _integer(fields, "per_minute"),
    }


def _integer(fields: Fields, key: str) -> int | None:
    number = fields.number(key)
    return None if number is None else int(number)
