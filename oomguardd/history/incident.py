"""One incident: a kill, of ours or of somebody else, with all that was recorded around it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

Record = Mapping[str, object]

INCIDENT_KINDS = ("kill", "kernel_kill", "foreign_kill")
"""Kinds of records that make an incident of their own."""


class Reading(NamedTuple):
    """The machine at one moment."""

    time_s: float
    """Wall clock."""
    values: Mapping[str, float]
    """Signal name -> value in the signal's unit, as in a record's `readings`."""
    level: str = ""
    """As the guard saw it; empty if the reporter read this by itself."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What `oomguardctl show` and `report` tell."""

    id: str
    time_s: float
    """When the kill was made (wall clock)."""
    kill: Record
    """The record that it began with, one of INCIDENT_KINDS."""
    events: tuple[Record, ...]
    """All records of the minute before and after, in order of time, the kill and its outcome among them."""
    readings: tuple[Reading, ...]
    """From a minute before to a minute after, in order of time."""
    triggers: tuple[Record, ...] = ()
    """The triggers in force: name, level, conditions, for_s, bounds (see the record `started`)."""

    @property
    def outcome(self) -> Record | None:
        """How it ended; None if that is not known (yet)."""
        same = (e for e in self.events if e.get("kind") == "outcome" and e.get("run") == self.kill.get("run"))
        return next((e for e in same if e.get("kill_id") == self.kill.get("kill_id")), None)
