"""A record as the fields of a journal entry.

Rule of this file: a name in the journal is a promise (docs and people's queries use it), and a value is for
people, too: nothing in it is unprintable, whatever a process calls itself. The record as it came is in
OOMGUARDD_RECORD.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from oomguardd.engine.explain_party import member_words
from oomguardd.engine.owners import owner_words
from oomguardd.engine.readings import Signals
from oomguardd.engine.words import Fields, as_number, digits, safe, size, who
from oomguardd.kernel.journald import is_field_name
from oomguardd.model import Owner, Unit
from oomguardd.reporter.journal.message_ids import MESSAGE_IDS
from oomguardd.reporter.words import priority_of, time_of
from oomguardd.runtimes import owner_of

Field = tuple[str, str]

IDENTIFIER = "oomguardd"
PREFIX = "OOMGUARDD_"
LATE_S = 2.0
"""From here on the journal's own time stamp misleads, so the sentence says how old it is."""

LONGEST_VALUE = 1024
LONGEST_MESSAGE = 48 << 10
LONGEST_RECORD = 64 << 10
"""Bytes of JSON; the guard's are shorter."""
MOST_VALUES = 32
"""So many fields of one name."""
MOST_FIELDS = 300
"""journald takes 1024, and an entry is to stay below its memory file's limits by far."""

UNKNOWN = "unknown"

ALWAYS: Mapping[str, tuple[str, ...]] = {
    "started": ("VERSION",),
    "missing": ("WHAT", "COST", "REMEDY"),
    "adjusted": ("PROTECT", "COUNT"),
    "level": ("LEVEL", "WAS"),
    "kill": ("VICTIM_COMM", "VICTIM_PID", "OWNER", "SIGNAL", "TRIGGER", "DRY_RUN", "RUN", "KILL_ID", "ID"),
    "escalated": ("VICTIM_COMM", "VICTIM_PID", "WHY"),
    "outcome": ("VICTIM_COMM", "VICTIM_PID", "OUTCOME", "AFTER_S", "RUN", "KILL_ID"),
    "nobody": ("LEVEL", "WHY"),
    "limit": ("PER_MINUTE",),
    "stand_down": ("FOR_S", "WHY"),
    "foreign": ("VICTIM_COMM", "VICTIM_PID"),
    "gap": ("LOST_S", "WHY"),
    "fault": ("WHERE", "ERROR"),
    "lost": ("COUNT",),
    "stopping": ("WHY",),
    "kernel_kill": ("VICTIM_COMM", "VICTIM_PID", "OWNER", "SOURCE", "ID"),
    "foreign_kill": ("BY", "VICTIM_COMM", "VICTIM_PID", "OWNER", "ID"),
    "exit": ("VICTIM_COMM", "VICTIM_PID", "BY", "SIGNAL"),
}
"""Kind -> fields (without PREFIX) that every such entry has: the catalog's text names them, and would show
the bare name of one that is absent."""

_OF_ENTRY = frozenset({"kind", "run", "seq", "priority", "time_s", "shortened"})
_IN_MESSAGE = frozenset({"traceback", "report", "processes", "living", "members", "key"})
"""Only words or only data: they are in MESSAGE and in OOMGUARDD_RECORD."""
_SINGULAR = {
    "triggers": "TRIGGER",
    "conditions": "CONDITION",
    "sources": "SOURCE",
    "changes": "CHANGE",
    "problems": "PROBLEM",
}
"""A list is one field for each item, so that `journalctl OOMGUARDD_TRIGGER=low` finds it among others."""
_OF_VICTIM = ("pid", "comm", "uid", "cgroup", "oom_score_adj", "held_bytes")
_VICTIM_KEYS: Mapping[str, tuple[str, ...]] = {
    "escalated": ("pid", "comm"),
    "outcome": ("pid", "comm"),
    "foreign": ("pid", "comm"),
    "kernel_kill": _OF_VICTIM,
    "foreign_kill": _OF_VICTIM,
    "exit": _OF_VICTIM,
}
"""Kinds whose victim's fields stand in the record itself."""
_UNIT_ENDINGS = {
    Unit.BYTES: "_BYTES",
    Unit.PERCENT: "_PCT",
    Unit.BYTES_PER_S: "_BYTES_PER_S",
    Unit.PER_S: "_PER_S",
    Unit.COUNT: "",
}


def entry_of(
    record: Mapping[str, object],
    words: Sequence[str],
    signals: Signals,
    *,
    incident: str = "",
    now_s: float = 0.0,
) -> list[Field]:
    """The entry. `words` are the record's (never empty), `incident` is the id under which the history has it
    (empty: it has none), `now_s` the time at which it is sent (wall clock; 0: at once)."""
    kind = Fields(record).text("kind", UNKNOWN)
    found = [*_head(record, kind, words, now_s)]
    if incident:
        found.append((f"{PREFIX}ID", safe(incident)))
    found += _details(record, kind, signals)
    names = {name for name, _ in found}
    found += [(PREFIX + name, UNKNOWN) for name in ALWAYS.get(kind, ()) if PREFIX + name not in names]
    found = found[:MOST_FIELDS]
    whole = _json(record)
    if whole is not None:
        found.append((f"{PREFIX}RECORD", whole))
    return found


def reading_name(signal: str, signals: Signals) -> str:
    """OOMGUARDD_MEM_AVAILABLE_BYTES for `mem_available`; empty for a signal that is not known."""
    known = signals.get(signal)
    return "" if known is None else f"{PREFIX}{signal.upper()}{_UNIT_ENDINGS[known.unit]}"


def _head(record: Mapping[str, object], kind: str, words: Sequence[str], now_s: float) -> Iterator[Field]:
    time_s = time_of(record)
    late_s = now_s - time_s if time_s > 0 else 0.0
    sentence = words[0] + (f" ({late_s:.0f} s ago)" if late_s > LATE_S else "")
    yield "MESSAGE", "\n".join((sentence, *words[1:]))[:LONGEST_MESSAGE]
    yield "PRIORITY", str(min(max(priority_of(record), 0), 7))
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    if kind in MESSAGE_IDS:
        yield "MESSAGE_ID", MESSAGE_IDS[kind]
    yield f"{PREFIX}KIND", kind
    yield f"{PREFIX}SUMMARY", words[0][:LONGEST_VALUE]
    for key in ("run", "seq", "time_s", "shortened"):
        yield from _value(PREFIX + key.upper(), record.get(key))


def _details(record: Mapping[str, object], kind: str, signals: Signals) -> Iterator[Field]:
    """What the kind tells. Never raises: a field of the wrong type is left out."""
    fields = Fields(record)
    of_victim = _VICTIM_KEYS.get(kind, ())
    victim = fields.fields("victim") if "victim" in record else fields
    for key, value in record.items():
        if key in of_victim or key in _OF_ENTRY or key in _IN_MESSAGE:
            continue
        yield from _WRITERS.get(key, _plain)(key, value, signals)
    yield from _mapping(f"{PREFIX}VICTIM_", {key: record.get(key) for key in of_victim})
    if kind == "kill":
        # journald adds what it knows of that process if the sender is root; otherwise it is a number.
        yield from _value("OBJECT_PID", victim.raw.get("pid"))
    if kind == "kill" or of_victim:
        yield from _owner(victim.text("cgroup", ""), "owner" in record)
    before, after = fields.number("available_before_bytes"), fields.number("available_after_bytes")
    if before is not None and after is not None:
        yield f"{PREFIX}FREED_BYTES", f"{after - before:.0f}"


def _plain(key: str, value: object, signals: Signals) -> Iterator[Field]:
    if isinstance(value, (list, tuple)):
        name = PREFIX + _SINGULAR.get(key, key.upper())
        for item in value[:MOST_VALUES]:
            yield from _value(name, item.get("name") if isinstance(item, Mapping) else item)
    else:
        yield from _value(PREFIX + key.upper(), value)


def _victim(key: str, value: object, signals: Signals) -> Iterator[Field]:
    victim = Fields(value)
    yield from _mapping(f"{PREFIX}VICTIM_", victim.raw)
    terms = [
        item for item in victim.each("adjustments") if isinstance(item, (list, tuple)) and len(item) == 3
    ]
    for policy, points, why in terms[:MOST_VALUES]:
        yield f"{PREFIX}VICTIM_TERM", f"{safe(policy)} {_signed(as_number(points))}: {safe(why)}"
    if terms:
        yield f"{PREFIX}VICTIM_TERMS", json.dumps(terms, default=safe)[:LONGEST_RECORD]


def _signed(points: float | None) -> str:
    return digits(points) if points is None or points < 0 else f"+{digits(points)}"


def _runners_up(key: str, value: object, signals: Signals) -> Iterator[Field]:
    for item in _items(value):
        other = Fields(item)
        yield (
            f"{PREFIX}RUNNER_UP",
            f"{who(other)} {digits(other.number('points'))} points, {size(other.number('held_bytes'))},"
            f" {other.text('cgroup', 'no cgroup')}",
        )


def _spared(key: str, value: object, signals: Signals) -> Iterator[Field]:
    for item in _items(value):
        if isinstance(item, (list, tuple)) and len(item) == 3:
            yield f"{PREFIX}SPARED", f"{safe(item[1])}[{safe(item[0])}]: {safe(item[2])}"


def _party(key: str, value: object, signals: Signals) -> Iterator[Field]:
    party = Fields(value)
    yield from _mapping(f"{PREFIX}PARTY_", party.raw)
    for item in party.each("members")[:MOST_VALUES]:
        yield f"{PREFIX}PARTY_MEMBER", member_words(item)


def _timings(key: str, value: object, signals: Signals) -> Iterator[Field]:
    return _mapping(f"{PREFIX}TOOK_", Fields(value).raw)


def _totals(key: str, value: object, signals: Signals) -> Iterator[Field]:
    return _mapping(f"{PREFIX}TOTAL_", Fields(value).raw)


def _readings(key: str, value: object, signals: Signals) -> Iterator[Field]:
    for signal, number in Fields(value).numbers().items():
        if name := reading_name(signal, signals):
            yield from _value(name, number)


Writer = Callable[[str, object, Signals], Iterator[Field]]

_WRITERS: Mapping[str, Writer] = {
    "victim": _victim,
    "runners_up": _runners_up,
    "spared": _spared,
    "party": _party,
    "timings": _timings,
    "totals": _totals,
    "readings": _readings,
}
"""Keys of a record that are more than a value or a list of values."""


def _owner(cgroup: str, named: bool) -> Iterator[Field]:
    """Who runs the victim, unless the record says it (`named`)."""
    owner = owner_of(cgroup)
    told: Iterable[str] = (name for name in Owner._fields if name != "places")
    yield from _mapping(f"{PREFIX}VICTIM_", {name: getattr(owner, name) for name in told if name != "uid"})
    if words := "" if named else owner_words(owner):
        yield f"{PREFIX}OWNER", safe(words)


def _items(value: object) -> Sequence[object]:
    return value[:MOST_VALUES] if isinstance(value, (list, tuple)) else ()


def _mapping(prefix: str, values: Mapping[object, object] | Mapping[str, object]) -> Iterator[Field]:
    """Of the plain values in it."""
    for key, value in values.items():
        yield from _value(f"{prefix}{safe(key).upper()}", value)


def _value(name: str, value: object) -> Iterator[Field]:
    """Nothing for what is absent, empty or no plain value, and for a name that journald would not take."""
    if not is_field_name(name) or value is None or value == "":
        return
    if isinstance(value, bool):
        yield name, "true" if value else "false"
    elif isinstance(value, (int, float)):
        number = as_number(value)
        if number is not None:
            yield name, f"{number:.0f}" if number.is_integer() else f"{number:.6f}".rstrip("0").rstrip(".")
    elif isinstance(value, str):
        yield name, safe(value, LONGEST_VALUE)


def _json(record: Mapping[str, object]) -> str | None:
    """None if it is too long, or is not what JSON has."""
    try:
        whole = json.dumps(record, separators=(",", ":"), default=safe)
    except (ValueError, TypeError, RecursionError):
        return None
    return whole if len(whole) <= LONGEST_RECORD else None
