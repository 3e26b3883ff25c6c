"""What people are told, in words: short, and in the terms of somebody who never heard of this daemon. Pure.

Rule of this file: everything is made of facts, which are flat and came over a socket or a bus, so nothing
is vouched for: what is missing is left out. Texts were made safe when they became facts; that is seen to
again, but not done twice, which would double every backslash.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from oomguardd.engine.words import LONGEST_TEXT, as_number, counted, percent, safe, size

Fact = str | int | float | bool
Facts = Mapping[str, Fact]
"""Names -> values. Of a kill: by, dry_run, signal, pid, comm, uid, cgroup, unit, user_unit, app, runtime,
container, held_bytes, count, level, reason, limit_cgroup. Of a warning: available_bytes, available_pct,
swap_free_bytes, biggest, why, per_minute. Always: kind, time_s. Those that are not known are not there."""

KILLS = ("kill", "kernel_kill", "foreign_kill")
"""Kinds by which somebody lost something."""

WARNINGS = ("warn", "nobody", "limit")
"""Kinds that say that it is going to get worse."""


class Urgency(IntEnum):
    """As the Desktop Notifications Specification counts."""

    LOW = 0
    NORMAL = 1
    CRITICAL = 2


def tame(text: str) -> str:
    """The text as it is, unless it could be more than text on a screen."""
    return text if text.isprintable() and len(text) <= LONGEST_TEXT + 1 else safe(text)


def text_of(facts: Facts, key: str, default: str = "") -> str:
    """A fact as text; numbers too."""
    value = facts.get(key)
    return default if value is None or value == "" else tame(str(value))


def urgency_of(kind: str, facts: Facts) -> Urgency:
    """CRITICAL is shown in "do not disturb", too: work was lost, or is about to be."""
    if facts.get("dry_run") is True:
        return Urgency.LOW
    return Urgency.CRITICAL if kind in (*KILLS, *WARNINGS) else Urgency.NORMAL


def words(kind: str, facts: Facts, name: str = "") -> tuple[str, str]:
    """One line, and one or more sentences below it. `name`: what people call the victim's program, where
    that is known better than by its process name. Other kinds than KILLS and WARNINGS: empty."""
    if kind in KILLS:
        return _kill_summary(kind, facts, name), _kill_body(facts)
    if kind == "warn":
        return "Memory is running low", _warn_body(facts)
    if kind == "nobody":
        return "Memory is running out, and nothing may be ended", _nobody_body(facts)
    if kind == "limit":
        return "Many programs were ended, and memory is still running out", _limit_body(facts)
    return "", ""


def _kill_summary(kind: str, facts: Facts, name: str) -> str:
    whom = name or text_of(facts, "comm", "a process")
    others = (as_number(facts.get("count")) or 1) - 1
    if others > 0:
        whom = f"{whom} and {counted(others, 'other process')}"
    if kind == "kernel_kill":
        limited = " at its memory limit" if text_of(facts, "limit_cgroup") not in ("", "/") else ""
        return f"The kernel ended {whom}{limited}: out of memory"
    if kind == "foreign_kill":
        return f"{text_of(facts, 'by', 'Another daemon')} ended {whom}"
    if facts.get("dry_run") is True:
        return f"Dry run: {whom} would have been ended to free memory"
    return f"{whom} {'were' if others > 0 else 'was'} ended to free memory"


def _kill_body(facts: Facts) -> str:
    held = as_number(facts.get("held_bytes"))
    parts = [f"process {text_of(facts, 'comm', '?')}[{text_of(facts, 'pid', '?')}]"]
    parts += [f"user {text_of(facts, 'uid')}"] if text_of(facts, "uid") else []
    place = text_of(facts, "user_unit") or text_of(facts, "unit")
    if container := text_of(facts, "container"):
        place = f"{text_of(facts, 'runtime', 'container')} {container}"
    parts += [place] if place else []
    said = ", ".join(parts)
    sentences = [f"It held {size(held)}: {said}." if held is not None else f"It was {said}."]
    if reason := text_of(facts, "reason"):
        sentences.append(f"Why: {reason}.")
    return " ".join(sentences)


def _warn_body(facts: Facts) -> str:
    available = size(as_number(facts.get("available_bytes")))
    if (share := as_number(facts.get("available_pct"))) is not None:
        available += f" ({percent(share)})"
    swap = as_number(facts.get("swap_free_bytes"))
    sentences = [f"{available} available{f', {size(swap)} of swap free' if swap else ''}."]
    if biggest := text_of(facts, "biggest"):
        sentences.append(f"The largest: {biggest}.")
    sentences.append("Save your work and close what you do not need; otherwise a program will be ended.")
    return " ".join(sentences)


def _nobody_body(facts: Facts) -> str:
    why = text_of(facts, "why")
    return (
        f"{f'Why: {why}. ' if why else ''}The machine may stop responding. Close programs that you can spare."
    )


def _limit_body(facts: Facts) -> str:
    kills = counted(as_number(facts.get("per_minute")), "kill")
    return f"{kills} within a minute is the limit; nothing else is ended until the minute is over."
