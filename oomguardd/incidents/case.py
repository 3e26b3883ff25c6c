"""An incident as the page and the advice ask about it: every field checked, times counted from the kill.

Rule of this file: a record may be of another version or damaged; what is not there is None, 0 only where it
says 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from oomguardd.engine.owners import owner_words
from oomguardd.engine.words import Fields, as_number, safe, who
from oomguardd.history.incident import Incident, Record
from oomguardd.model import Owner
from oomguardd.runtimes import owner_of

LEVELS = ("calm", "warn", "terminate", "kill")

FRESH_S = 5.0
"""A reading this old still tells what the machine was like."""


class Moment(NamedTuple):
    """One reading."""

    at_s: float
    """From the kill; before it is negative."""
    values: Mapping[str, float]
    level: str


@dataclass(frozen=True, slots=True)
class Case:
    """What is known."""

    incident: Incident
    kill: Fields
    victim: Fields
    """Of a kernel's or a foreign kill the record itself, which has the same names."""
    owner: Owner
    outcome: Fields | None
    readings: Mapping[str, float]
    """At the decision; of somebody else's kill the last ones before. Empty when there are none."""
    moments: tuple[Moment, ...]
    """In order of time."""

    @property
    def kind(self) -> str:
        return self.kill.text("kind", "")

    @property
    def ours(self) -> bool:
        return self.kind == "kill"

    @property
    def dry_run(self) -> bool:
        return self.kill.flag("dry_run")

    @property
    def asked_for(self) -> bool:
        """Somebody wanted this kill of the kernel's: SysRq-f."""
        return self.kill.fields("report").text("cause", "") == "sysrq"

    @property
    def name(self) -> str:
        """The victim's, for a sentence; counters of kills name nobody."""
        return self.victim.text("comm", "a process")

    @property
    def whom(self) -> str:
        """`python3[4711]`, or that nobody knows."""
        return who(self.victim) if self.victim.text("comm", "") else "a process that is not named"

    @property
    def party(self) -> Fields:
        """Who died together; empty for one alone."""
        party = self.kill.fields("party")
        if self.kind != "kill" and (self.kill.number("count") or 0) > 1:
            party = self.kill  # which has count, members and held_bytes itself
        return party if (party.number("count") or 0) > 1 else Fields(None)

    @property
    def count(self) -> int:
        """How many were killed, at least 1."""
        return max(1, int(self.party.number("count") or self.kill.number("count") or 1))

    @property
    def held_bytes(self) -> float | None:
        """What those killed held together."""
        whole = self.party.number("held_bytes")
        return whole if whole is not None else self.victim.number("held_bytes")

    @property
    def cgroup(self) -> str:
        """The victim's, as the record has it, not yet fit to print; empty when unknown."""
        cgroup = self.victim.raw.get("cgroup")
        return cgroup if isinstance(cgroup, str) else ""

    @property
    def owner_words(self) -> str:
        """Who runs it: `unit nginx.service`, safe to print; empty when nobody is known."""
        return safe(owner_words(self.owner)) or self.kill.text("owner", "")

    def reading(self, name: str) -> float | None:
        return self.readings.get(name)

    def share(self, name: str, total: str = "mem_total") -> float | None:
        """A reading as a part of its total, 0 to 1; None where either is not known or there is none."""
        value, whole = self.readings.get(name), self.readings.get(total)
        return None if value is None or not whole else value / whole

    def events(self, *kinds: str) -> Iterator[Fields]:
        """Of these kinds (none: all), in order of time."""
        for record in self.incident.events:
            fields = Fields(record)
            if not kinds or fields.text("kind", "") in kinds:
                yield fields

    def at_s(self, record: Fields) -> float | None:
        """When that was, from the kill; None for a record without a time."""
        time_s = record.number("time_s")
        return None if time_s is None else time_s - self.incident.time_s


ABSURD = 1e20
"""More bytes, seconds or points than there can be: arithmetic with it would overflow."""


def sound(value: object, depth: int = 12) -> object:
    """The value of a record without numbers that nothing can be computed with, and without endless depth."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value if -ABSURD < value < ABSURD else None
    if depth <= 0:
        return None
    if isinstance(value, Mapping):
        return {key: sound(inner, depth - 1) for key, inner in value.items()}
    return [sound(inner, depth - 1) for inner in value] if isinstance(value, (list, tuple)) else value


def _sound_record(record: Record) -> Record:
    return {key: sound(value) for key, value in record.items()}


def _sound_incident(incident: Incident) -> Incident:
    return replace(
        incident,
        kill=_sound_record(incident.kill),
        events=tuple(map(_sound_record, incident.events)),
        triggers=tuple(map(_sound_record, incident.triggers)),
    )


def case_of(incident: Incident) -> Case:
    """Never raises, whatever the records are."""
    incident = _sound_incident(incident)
    kill = Fields(incident.kill)
    victim = kill.fields("victim") if kill.fields("victim").raw else kill
    cgroup = victim.raw.get("cgroup")
    outcome = incident.outcome
    moments = tuple(sorted(_moments(incident), key=lambda moment: moment.at_s))
    return Case(
        incident,
        kill,
        victim,
        owner_of(cgroup if isinstance(cgroup, str) else ""),
        None if outcome is None else Fields(outcome),
        kill.fields("readings").numbers() or _last_before(moments),
        moments,
    )


def _moments(incident: Incident) -> Iterator[Moment]:
    for reading in incident.readings:
        time_s = as_number(sound(reading.time_s))
        values = Fields(sound(reading.values)).numbers()
        if time_s is not None and values:
            level = reading.level if reading.level in LEVELS else ""
            yield Moment(time_s - incident.time_s, values, level)


def _last_before(moments: tuple[Moment, ...]) -> Mapping[str, float]:
    known = [moment for moment in moments if -FRESH_S <= moment.at_s <= 0]
    return known[-1].values if known else {}
