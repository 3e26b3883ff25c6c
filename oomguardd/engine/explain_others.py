"""What others killed, and the guard's looks, as words: kernel_kill, foreign_kill, exit and tick."""

from __future__ import annotations

from oomguardd.engine.readings import Signals, reading_words
from oomguardd.engine.words import Fields, counted, duration, listed, path, safe, size, who

MOST_REASONS = 12
"""Sentences of a kernel's report that are shown."""

_CAUSES = {
    "none": "the machine was out of memory",
    "memcg": "a cgroup's memory limit was reached",
    "cpuset": "the memory nodes of a cpuset were full",
    "memory_policy": "the memory nodes of a memory policy were full",
}

_READ_FROM = {
    "kmsg": "its log",
    "journal": "its log in the journal",
    "memory.events": "the cgroup's counters",
    "oom_control": "the cgroup's counters",
    "vmstat": "its counters, which name nobody",
}

_TICK_SIGNALS = ("mem_available", "swap_free", "psi_some_10s", "psi_full_10s")


def describe_kernel_kill(record: Fields, signals: Signals) -> list[str]:
    """Who it was, and why the kernel did it."""
    limit = record.text("limit_cgroup", "")
    cause = _CAUSES.get(record.text("constraint", ""), "")
    if limit:
        cause = f"{path(limit)} had reached its memory limit"
    lines = [f"the kernel's OOM killer killed {_victims(record)}" + (f": {cause}" if cause else "")]
    members = [_member(item) for item in record.each("members")]
    if len(members) > 1:
        lines.append(f"  killed together: {_names(members, record.number('count'))}")
    reasons = record.texts("why")
    lines += [f"  {text}" for text in reasons[:MOST_REASONS]]
    if len(reasons) > MOST_REASONS:
        lines.append(f"  and {len(reasons) - MOST_REASONS} more reasons")
    if source := _READ_FROM.get(record.text("source", "")):
        lines.append(f"  known from {source}")
    return lines


def describe_foreign_kill(record: Fields, signals: Signals) -> list[str]:
    """Another daemon's kill."""
    return [
        f"{record.text('by')} killed {_victims(record)}",
        *(f"  {text}" for text in record.texts("why")[:MOST_REASONS]),
    ]


def describe_exit(record: Fields, signals: Signals) -> list[str]:
    """A process's end, and who did it."""
    signal = record.text("signal", "")
    how = f"died of {signal}" if signal else f"ended with status {record.text('status')}"
    by = record.text("by")
    sender = "the kernel" if by == "kernel" else by
    done = f", sent by {sender}" if signal and by != "unknown" else ""
    reasons = record.texts("why") or [record.text("why", "")]
    certainty = " (likely)" if record.text("certainty", "") == "likely" else ""
    lines = [f"{_process(record)} {how}{done}{certainty}"]
    return lines + [f"  {text}" for text in reasons[:MOST_REASONS] if text]


def describe_tick(record: Fields, signals: Signals) -> list[str]:
    """One look of the guard, in a line."""
    readings = record.fields("readings").numbers()
    shown = [reading_words(name, readings, signals) for name in _TICK_SIGNALS if name in readings]
    dying = ", a victim is dying" if record.flag("pending") else ""
    return [
        f"look {record.text('level')}: {', '.join(shown) or 'no reading'};"
        f" took {duration(record.number('tick_s'))}{dying}"
    ]


def _victims(record: Fields) -> str:
    """One, several or nobody knows who."""
    count = record.number("count") or 1
    known = "pid" in record.raw or "comm" in record.raw
    cgroup = record.text("cgroup", "")
    if not known:
        place = f" in {path(cgroup)}" if cgroup else ""
        owner = record.text("owner", "")
        return f"{counted(count, 'process')}{place}" + (f" ({owner})" if owner else "")
    held = record.number("held_bytes")
    holding = f", which held {size(held)}" if held else ""
    others = f" and {counted(count - 1, 'other')}" if count > 1 else ""
    return f"{_process(record)}{others}{holding}"


def _process(record: Fields) -> str:
    """`python3[1234] (uid 1000, unit app.service)`."""
    uid, owner, cgroup = record.text("uid", ""), record.text("owner", ""), record.text("cgroup", "")
    place = owner or (path(cgroup) if cgroup not in ("", "/") else "")
    about = [*([f"uid {uid}"] if uid else []), *([place] if place else [])]
    return who(record) + (f" ({', '.join(about)})" if about else "")


def _member(item: object) -> str:
    if isinstance(item, (list, tuple)) and len(item) >= 2:
        return f"{safe(item[1])}[{safe(item[0])}]"
    return safe(item)


def _names(members: list[str], count: float | None) -> str:
    more = int(count or 0) - len(members)
    return listed(members, len(members)) + (f" and {more} more" if more > 0 else "")
