"""What a configuration would have done, in words.

Rule of this file: pure; what comes from a recording passes `safe`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from oomguardd.ctl.beforehand.ranking import Paint, company_words, party_fields
from oomguardd.ctl.tapes.recording import Header
from oomguardd.ctl.tapes.tally import Decision, Event, Kill, Moment, Tally
from oomguardd.ctl.terms import kernel_terms, owner_words, policy_terms, to_points, weighed_fields
from oomguardd.ctl.text import fit
from oomguardd.engine.readings import condition_words, reading_words
from oomguardd.engine.words import counted, digits, duration, safe, size
from oomguardd.model import LEVEL_NAMES, PAGE_BYTES, Level
from oomguardd.sensors import SIGNAL_OF

_LEVEL_WORDS = {Level.CALM: "calm"} | {level: word for word, level in LEVEL_NAMES.items()}
_SHOWN = ("mem_available", "swap_free", "psi_some_avg10", "psi_full_avg10")
_MOST_KILLS = 20
_RUNNERS_UP = 3
_INDENT = 12


def head(file: str, header: Header) -> list[str]:
    """Whose recording that is."""
    name = f" {safe(header.hostname)}" if header.hostname else ""
    ram, swap = header.totals
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(header.time_s))
    said = [
        f"{safe(file)}: {safe(header.domain)}{name} ({size(ram)} RAM,"
        f" {f'{size(swap)} swap' if swap else 'no swap'}, Linux {safe(header.kernel)}), from {when} on,"
        f" every {duration(header.interval_s)}"
    ]
    if header.redacted:
        said.append("It is redacted: rules on cmdline, and on users' names and homes in paths, match less.")
    if header.page_bytes != PAGE_BYTES:
        said.append(
            f"Its pages have {size(header.page_bytes)}, those of this machine {size(PAGE_BYTES)}: points are"
            " rounded a little differently."
        )
    return said


def is_told(moment: Moment) -> bool:
    """Whether anything happens in it that is worth a line."""
    return moment.told is not None or bool(moment.events)


def moment_lines(
    moment: Moment, letter: str, verbose: bool, always: bool, width: int, paint: Paint
) -> Iterator[str]:
    """For people; nothing if nothing happens, unless `always` or `verbose`."""
    stamp = f"{f'{moment.t_s:.1f} s':>{_INDENT - 2 - len(letter)}}{letter and ' '}{letter}  "
    stamp = stamp[-_INDENT - 1 :] if len(stamp) > _INDENT + 1 else stamp
    blank = " " * len(stamp)
    said = [line for event in moment.events for line in _event_lines(event, verbose)]
    if moment.told is not None or verbose:
        triggers = "; ".join(_trigger_words(moment))  # of the level: the lower ones mostly hold as well
        readings = ", ".join(
            reading_words(name, moment.sample, SIGNAL_OF) for name in _SHOWN if name in moment.sample
        )
        level = _LEVEL_WORDS[moment.level if moment.told is None else moment.told]
        said.insert(0, f"{level}: {triggers or readings}" if not verbose else f"{level}: {readings}")
        if verbose and triggers:
            said.insert(1, f"  {triggers}")
    if not said and always:
        said = ["nothing is done"]
    for at, line in enumerate(said):
        shown = fit(f"{blank if at else stamp}{line}", width)
        yield paint(shown, "red") if line.startswith("SIG") else shown


def moment_fields(moment: Moment) -> dict[str, object]:
    """For programs."""
    return {
        "kind": "moment",
        "t_s": moment.t_s,
        "level": _LEVEL_WORDS[moment.level],
        "told": None if moment.told is None else _LEVEL_WORDS[moment.told],
        "triggers": [trigger.name for trigger in moment.assessment.holding],
        "readings": {name: round(value, 3) for name, value in moment.sample.items()},
        "events": [_event_fields(event) for event in moment.events],
    }


def summary_title(tally: Tally) -> str:
    """How long, and how much of it at which level."""
    levels = ", ".join(
        f"{_LEVEL_WORDS[level]} {duration(time_s)}" for level, time_s in tally.at_level_s.items() if time_s
    )
    return f"{counted(tally.moments, 'moment')}{f' ({levels})' if levels else ''}"


def summary(tally: Tally, unread: Iterable[str]) -> Iterator[str]:
    """What it comes to."""
    if not tally.kills:
        yield "nobody would have been killed"
    else:
        signals = Counter(kill.signal for kill in tally.kills)
        members = sum(kill.members for kill in tally.kills)
        held = sum(kill.held_bytes for kill in tally.kills)
        by_signal = ", ".join(f"{number} {name}" for name, number in signals.items())
        kills = f"{counted(len(tally.kills), 'kill')} ({by_signal})"
        yield f"{kills}: {counted(members, 'process')}, {size(held)}"
    for kill in tally.kills[:_MOST_KILLS]:
        yield _kill_words(kill, tally)
    if len(tally.kills) > _MOST_KILLS:
        yield f"and {len(tally.kills) - _MOST_KILLS} more"
    if tally.kills:
        yield (
            "behind the first kill this is an estimate: victims die at once, what they held counts as"
            " available, and pressure stays as it was recorded"
        )
    if tally.kernel_kills:
        yield f"the kernel's OOM killer killed {counted(tally.kernel_kills, 'process')} in the recording"
    missing = sorted(unread)
    if missing:
        yield f"not in the recording, so that no condition on it holds: {', '.join(missing)}"


def summary_fields(tally: Tally, unread: Iterable[str], flaws: int) -> dict[str, object]:
    """For programs."""
    return {
        "kind": "summary",
        "moments": tally.moments,
        "last_s": tally.last_s,
        "unusable_lines": flaws,
        "seconds_at": {_LEVEL_WORDS[level]: round(time_s, 3) for level, time_s in tally.at_level_s.items()},
        "kills": [
            {
                "t_s": kill.t_s,
                "signal": kill.signal,
                "pid": kill.identity[0],
                "start_ticks": kill.identity[1],
                "comm": kill.comm,
                "points": round(kill.points, 3),
                "held_bytes": kill.held_bytes,
                "unit": kill.unit,
                "members": kill.members,
                "lived_until_s": tally.seen_s.get(kill.identity),
            }
            for kill in tally.kills
        ],
        "kernel_kills": tally.kernel_kills,
        "unread": sorted(unread),
    }


def _kill_words(kill: Kill, tally: Tally) -> str:
    together = f" with {kill.members - 1} more of its {kill.unit}" if kill.members > 1 else ""
    lived = tally.seen_s.get(kill.identity, kill.t_s)
    real = f"; in the recording it lives until {duration(lived)}" if lived > kill.t_s else ""
    return (
        f"{safe(kill.comm)}[{kill.identity[0]}]{together} after {duration(kill.t_s)} ({kill.signal},"
        f" {digits(kill.points)} points, {size(kill.held_bytes)}){real}"
    )


def _trigger_words(moment: Moment) -> Iterator[str]:
    for trigger in moment.assessment.holding:
        if trigger.level < moment.level:
            continue
        conditions = (
            condition_words(f"{c.signal} {c.text}", moment.sample, SIGNAL_OF, False)
            for c in trigger.conditions
        )
        yield f"{safe(trigger.name)}: {', '.join(conditions)}"


def _event_lines(event: Event, verbose: bool) -> Iterator[str]:
    if not isinstance(event, Decision):
        yield f"{event.kind.replace('_', ' ')}: {safe(event.text)}"
        return
    w, totals = event.victim, event.world.totals
    c = w.candidate
    owner = owner_words(c.owner)
    yield (
        f"{event.signal} to {safe(c.comm)}[{c.pid}]: {digits(to_points(w.pages, totals))} points,"
        f" gives back {size(event.party.held_bytes)}{f', runs in {safe(owner)}' if owner else ''}"
    )
    together = company_words(event.party)
    if together:
        yield f"  {together}"
    if not verbose:
        return
    for term in kernel_terms(c, totals):
        if term.points:
            held = "" if term.size_bytes is None else f" {size(term.size_bytes)}"
            yield f"  {f'{term.points:+.1f}':>8}  {term.why}{held}"
    for term in policy_terms(w, totals):
        yield f"  {f'{term.points:+.1f}':>8}  {safe(term.name)}: {safe(term.why)}"
    for other in event.world.verdict.runners_up[:_RUNNERS_UP]:
        points = digits(to_points(other.pages, totals))
        yield f"  then {safe(other.candidate.comm)}[{other.candidate.pid}]: {points} points"


def _event_fields(event: Event) -> dict[str, object]:
    if not isinstance(event, Decision):
        return {"kind": event.kind, "text": event.text}
    victim = weighed_fields(event.victim, event.world.totals)
    return {"kind": "kill", "signal": event.signal, "victim": victim} | party_fields(event.party)
