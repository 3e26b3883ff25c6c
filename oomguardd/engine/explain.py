"""Records as words: the only place that turns what the guard did into sentences.

`describe` takes any mapping, because a record comes over a socket and may be of another version:
a kind it does not know and a field that is missing or of the wrong type are shown, never fatal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from oomguardd.engine.explain_kill import describe_kill, spared_lines
from oomguardd.engine.explain_others import (
    describe_exit,
    describe_foreign_kill,
    describe_kernel_kill,
    describe_tick,
)
from oomguardd.engine.explain_party import MOST_MEMBERS, member_words
from oomguardd.engine.readings import Signals, all_readings, reading_words
from oomguardd.engine.words import Fields, count, counted, duration, listed, safe, size, who

LONGEST_TRACE_LINES = 60
"""Lines of a traceback that are shown; the innermost are last and are kept."""

_STATE_SIGNALS = ("mem_available", "swap_free", "psi_some_10s", "psi_full_10s")
"""What the one line of a periodic state record shows; a kill record shows every reading."""


def describe(record: Mapping[str, object], signals: Signals | None = None) -> list[str]:
    """The record as lines: a complete sentence, then details, indented by two blanks or more.

    `signals` are the known signals by name, for the units of readings; without them those are bare numbers.
    No line contains a character that is not printable. Never empty, never raises on a bad record.
    """
    fields = Fields(record)
    writer = _WRITERS.get(fields.text("kind", ""), _unknown)
    lines = writer(fields, signals or {})
    if fields.flag("shortened"):
        lines.append("  details were left out: there were more than fit into a record")
    return lines


def _sentence(head: str, tail: str) -> str:
    return f"{head}: {tail}" if tail else head


def _bullets(record: Fields, key: str) -> list[str]:
    return [f"  {text}" for text in record.texts(key)]


def _triggers(record: Fields) -> str:
    names = record.texts("triggers")
    return f"{'triggers' if len(names) > 1 else 'trigger'} {', '.join(names)}" if names else "no trigger"


def _started(record: Fields, signals: Signals) -> list[str]:
    mode = " in dry run (nobody will be signalled)" if record.flag("dry_run") else ""
    lines = [
        f"oomguardd {record.text('version')} started{mode}, pid {record.text('pid')},"
        f" run {record.text('run')}"
    ]
    sources = ", ".join(record.texts("sources")) or "built-in defaults"
    lines.append(f"  configuration: {sources}")
    lines += (f"  {_trigger(Fields(item))}" for item in record.each("triggers"))
    return lines


def _trigger(trigger: Fields) -> str:
    held = trigger.number("for_s")
    for_words = f" for {duration(held)}" if held else ""
    conditions = " and ".join(trigger.texts("conditions")) or "?"
    return f"trigger {trigger.text('name')}: {trigger.text('level')} when {conditions}{for_words}"


def _missing(record: Fields, signals: Signals) -> list[str]:
    lines = [f"not available: {record.text('what')}; this costs: {record.text('cost')}"]
    if remedy := record.text("remedy", ""):
        lines.append(f"  remedy: {remedy}")
    return lines


_ADJUSTED = {
    "protected": "protected from the kernel's OOM killer, as {name} says",
    "restored": "given back their own oom_score_adj, since {name} does not hold for them any more",
    "not inherited": "not left with what they inherited from a process that {name} protects",
}


def _adjusted(record: Fields, signals: Signals) -> list[str]:
    words = _ADJUSTED.get(record.text("what"), f"adjusted ({record.text('what')}) by {{name}}")
    dry = "dry run: would have been " if record.flag("dry_run") else ""
    each = [item for item in record.each("processes") if isinstance(item, (list, tuple)) and len(item) == 4]
    names = [f"{safe(comm)}[{safe(pid)}] {safe(was)} -> {safe(now)}" for pid, comm, was, now in each]
    more = (record.number("count") or 0) - len(names)
    name = f"[[protect]] {record.text('protect')}"
    said = f"{counted(record.number('count'), 'process')} {dry}{words.replace('{name}', name)}"
    return [f"{said}: {', '.join(names)}" + (f" and {more:.0f} more" if more > 0 else "")]


def _armed(record: Fields, signals: Signals) -> list[str]:
    locked = "locked in memory" if record.flag("locked") else "not locked in memory"
    priority = "realtime priority" if record.flag("realtime") else "ordinary priority"
    return [
        f"armed in {duration(record.number('took_s'))}: {size(record.number('rss_bytes'))} resident,"
        f" {locked}, {priority}; {counted(record.number('processes'), 'process')}, memory fills at up to"
        f" {size(record.number('fill_rate_bytes_per_s'))}/s, pressure by {record.text('psi_source')}"
    ]


def _level(record: Fields, signals: Signals) -> list[str]:
    readings = record.fields("readings").numbers()
    return [
        f"level {record.text('level')}, was {record.text('was')}: {_triggers(record)};"
        f" {_state_readings(record, signals)}",
        f"  readings: {all_readings(readings, signals)}",
    ]


def _state_readings(record: Fields, signals: Signals) -> str:
    readings = record.fields("readings").numbers()
    shown = [reading_words(name, readings, signals) for name in _STATE_SIGNALS if name in readings]
    return ", ".join(shown) or "no reading"


def _state(record: Fields, signals: Signals) -> list[str]:
    return [
        f"state {record.text('level')}: {_state_readings(record, signals)};"
        f" {counted(record.number('ticks'), 'tick')}, late by at most {duration(record.number('lag_max_s'))},"
        f" {size(record.number('rss_bytes'))} resident, {duration(record.number('cpu_s'))} of CPU,"
        f" {counted(record.number('dropped'), 'record')} dropped"
    ]


def _kill_id(record: Fields) -> str:
    return f"kill {record.text('kill_id')}"


def _escalated(record: Fields, signals: Signals) -> list[str]:
    head = f"escalated {_whom(record)} to {record.text('signal', 'SIGKILL')} ({_kill_id(record)})"
    return [_sentence(head, record.text("why", ""))]


_OUTCOMES = {
    "died": "died {after} after the signal",
    "died late": "died late, {after} after the signal",
    "vanished": "had gone before the signal reached it",
    "stuck": "is stuck, alive {after} after the signal in state {state}; it is left and the next one taken",
    "refused": "could not be signalled",
}
_OUTCOMES_OF_SEVERAL = {
    **_OUTCOMES,
    "vanished": "had gone before the signal reached them",
    "stuck": "are stuck, alive {after} after the signal in state {state};"
    " they are left and the next one taken",
}


def _outcome(record: Fields, signals: Signals) -> list[str]:
    outcome = record.text("outcome")
    several = (record.number("count") or 1) > 1
    known = _OUTCOMES_OF_SEVERAL if several else _OUTCOMES
    words = known.get(outcome, f"ended as '{outcome}' after {{after}}")
    said = words.replace("{after}", duration(record.number("after_s"))).replace(
        "{state}", record.text("state")
    )
    they, their = ("they", "their") if several else ("it", "its")
    reaped = f", {their} memory was reaped" if record.flag("reaped") else ""
    why = record.text("why", "")
    return [
        f"{_whom(record)} {said}{reaped}{f': {why}' if why else ''} ({_kill_id(record)});"
        f" {they} held {size(record.number('held_bytes'))}, memory available"
        f" {size(record.number('available_before_bytes'))} -> {size(record.number('available_after_bytes'))}",
        *_living(record),
    ]


def _whom(record: Fields) -> str:
    """The victim, and how many die with it."""
    others = (record.number("count") or 1) - 1
    return who(record) + (f" and {counted(others, 'other')}" if others > 0 else "")


def _living(record: Fields) -> list[str]:
    """Of several who were killed, those who did not die."""
    living = record.each("living")
    if (record.number("count") or 1) <= 1 or not living:
        return []
    return [f"  still alive: {listed([member_words(item) for item in living], MOST_MEMBERS)}"]


def _nobody(record: Fields, signals: Signals) -> list[str]:
    return [
        f"nobody can be killed at level {record.text('level')} ({_triggers(record)}): {record.text('why')};"
        f" {len(record.each('spared'))} spared,"
        f" {size(record.number('shmem_bytes'))} in shared memory and tmpfs",
        f"  readings: {all_readings(record.fields('readings').numbers(), signals)}",
        *(f"  {line}" for line in spared_lines(record)),
    ]


def _limit(record: Fields, signals: Signals) -> list[str]:
    return [
        f"kill limit reached: {counted(record.number('per_minute'), 'kill')} within a minute and still level"
        f" {record.text('level')}; nobody else is killed until the minute is over"
    ]


def _stand_down(record: Fields, signals: Signals) -> list[str]:
    kills = record.number("kernel_kills")
    kernel = f" (OOM kills by the kernel: {count(kills)})" if kills else ""
    return [f"standing down for {duration(record.number('for_s'))}: {record.text('why')}{kernel}"]


def _foreign(record: Fields, signals: Signals) -> list[str]:
    return [f"waiting for {who(record)}, which somebody else is killing: {record.text('why')}"]


def _reloaded(record: Fields, signals: Signals) -> list[str]:
    changes = _bullets(record, "changes")
    sources = ", ".join(record.texts("sources")) or "built-in defaults"
    return [f"configuration reloaded from {sources}: {counted(len(changes), 'change')}", *changes]


def _reload_failed(record: Fields, signals: Signals) -> list[str]:
    problems = _bullets(record, "problems")
    return [
        f"configuration not reloaded, the running one stays in force: {counted(len(problems), 'problem')}",
        *problems,
    ]


def _gap(record: Fields, signals: Signals) -> list[str]:
    return [f"{duration(record.number('lost_s'))} were lost to a {record.text('why')}: readings start anew"]


def _stalled(record: Fields, signals: Signals) -> list[str]:
    lost = record.number("lost_s")
    how_long = "" if lost is None else f" for {duration(lost)}"
    trace = record.raw.get("traceback")
    lines = trace.splitlines()[-LONGEST_TRACE_LINES:] if isinstance(trace, str) else []
    return [
        f"the previous guard stalled{how_long} and was given up by its watchdog",
        *(f"  {safe(line)}" for line in lines),
    ]


def _fault(record: Fields, signals: Signals) -> list[str]:
    times = record.number("count")
    often = f" ({counted(times, 'time')})" if times is not None and times > 1 else ""
    return [f"fault in {record.text('where')}: {record.text('error')}{often}"]


def _lost(record: Fields, signals: Signals) -> list[str]:
    lost = counted(record.number("count"), "record")
    return [f"{lost} lost: the guard had to forget them before they were read"]


def _stopping(record: Fields, signals: Signals) -> list[str]:
    return [f"stopping: {record.text('why')}"]


def _unknown(record: Fields, signals: Signals) -> list[str]:
    shown = " ".join(f"{safe(key)}={safe(value)}" for key, value in record.raw.items() if key != "kind")
    return [_sentence(f"record of the unknown kind '{record.text('kind')}'", shown)]


_WRITERS: dict[str, Callable[[Fields, Signals], list[str]]] = {
    "started": _started,
    "missing": _missing,
    "adjusted": _adjusted,
    "armed": _armed,
    "level": _level,
    "state": _state,
    "kill": describe_kill,
    "escalated": _escalated,
    "outcome": _outcome,
    "nobody": _nobody,
    "limit": _limit,
    "stand_down": _stand_down,
    "foreign": _foreign,
    "reloaded": _reloaded,
    "reload_failed": _reload_failed,
    "gap": _gap,
    "stalled": _stalled,
    "fault": _fault,
    "lost": _lost,
    "stopping": _stopping,
    "kernel_kill": describe_kernel_kill,
    "foreign_kill": describe_foreign_kill,
    "exit": describe_exit,
    "tick": describe_tick,
}

KINDS = tuple(_WRITERS)
"""Every kind of record that there are words for."""
