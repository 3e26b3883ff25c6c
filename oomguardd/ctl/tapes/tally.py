"""What comes of playing a recording: decisions, remarks, moments, and the sum of it all.

Rule of this file: values only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from oomguardd.ctl.beforehand.world import World
from oomguardd.ctl.tapes.playback import Identity
from oomguardd.engine.triggers import Assessment
from oomguardd.model import Level, Party, Sample, Weighed


class Decision(NamedTuple):
    """Somebody would have been killed."""

    signal: str
    world: World
    victim: Weighed
    party: Party


class Remark(NamedTuple):
    """Something else that the guard would have told."""

    kind: str
    """nobody, limit, escalated, waiting or stand_down."""
    text: str
    world: World | None = None


Event = Decision | Remark


class Moment(NamedTuple):
    """One look."""

    t_s: float
    sample: Sample
    """With the memory of those killed before."""
    assessment: Assessment
    told: Level | None
    """The level, when it has changed so that it is told."""
    events: tuple[Event, ...]

    @property
    def level(self) -> Level:
        return self.assessment.level


class Kill(NamedTuple):
    """A decision in short, for the summary."""

    t_s: float
    signal: str
    identity: Identity
    comm: str
    points: float
    held_bytes: int
    """Of all who die with it."""
    unit: str
    members: int


@dataclass(slots=True)
class Tally:
    """What it comes to."""

    kills: list[Kill] = field(default_factory=list)
    seen_s: dict[Identity, float] = field(default_factory=dict)
    """When the recording last has those killed."""
    at_level_s: dict[Level, float] = field(default_factory=lambda: dict.fromkeys(Level, 0.0))
    moments: int = 0
    last_s: float = 0.0
    kernel_kills: int = 0
    """By the kernel, in the recording."""
