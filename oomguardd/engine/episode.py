"""One episode per decision, from the first signal to its end, as a table of states.

Rule of this file: the table is the whole behaviour. What happens (`Event`) is found out by the guard or by
`due`; what to do about it (`Order`) is carried out by the guard; nothing else changes a stage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from oomguardd.model import Candidate, Level, Party

STUCK_PER_BYTE_S = 0.2 / (1 << 30)
"""Taking down 1 GiB of small pages takes 60-80 ms on an idle machine; a dying one is given three times
that.
"""


ALONE = Party()
"""Of a victim with which nobody else dies."""


class Stage(Enum):
    """Where the victim stands."""

    CHOSEN = auto()
    TERMINATING = auto()
    """SIGTERM is sent; it may clean up until the grace time is over."""
    KILLING = auto()
    """SIGKILL is sent, by us or by somebody else."""
    STUCK = auto()
    """It did not die in time (D state, a core dump, a frozen cgroup): no longer waited for, but watched."""
    BARRED = auto()
    """It may not be signalled: nothing to wait for, and not to be chosen again."""
    GONE = auto()


class Event(Enum):
    """What happened to it."""

    ORDERED_TERM = auto()
    ORDERED_KILL = auto()
    FOREIGN_KILL = auto()
    """Somebody else's SIGKILL is on its way."""
    GRACE_OVER = auto()
    LEVEL_ROSE = auto()
    TIME_OVER = auto()
    DIED = auto()
    VANISHED = auto()
    """It was gone, or its pid was another process's, before a signal reached it."""
    REFUSED = auto()
    """We are not allowed to signal it."""


class Order(Enum):
    """What the guard has to do now."""

    NOTHING = auto()
    SEND_TERM = auto()
    SEND_KILL = auto()
    FOLLOW = auto()
    SETTLE = auto()
    """It is gone: let its memory show before anybody else is chosen."""
    PASS_OVER = auto()
    """Choose another; keep watching this one."""
    DROP = auto()
    """Choose another; nothing was killed."""


TABLE: dict[tuple[Stage, Event], tuple[Stage, Order]] = {
    (Stage.CHOSEN, Event.ORDERED_TERM): (Stage.TERMINATING, Order.SEND_TERM),
    (Stage.CHOSEN, Event.ORDERED_KILL): (Stage.KILLING, Order.SEND_KILL),
    (Stage.CHOSEN, Event.FOREIGN_KILL): (Stage.KILLING, Order.FOLLOW),
    (Stage.CHOSEN, Event.VANISHED): (Stage.GONE, Order.DROP),
    (Stage.CHOSEN, Event.REFUSED): (Stage.BARRED, Order.PASS_OVER),
    (Stage.TERMINATING, Event.GRACE_OVER): (Stage.KILLING, Order.SEND_KILL),
    (Stage.TERMINATING, Event.LEVEL_ROSE): (Stage.KILLING, Order.SEND_KILL),
    (Stage.TERMINATING, Event.DIED): (Stage.GONE, Order.SETTLE),
    (Stage.TERMINATING, Event.VANISHED): (Stage.GONE, Order.SETTLE),
    (Stage.TERMINATING, Event.REFUSED): (Stage.BARRED, Order.PASS_OVER),
    (Stage.KILLING, Event.TIME_OVER): (Stage.STUCK, Order.PASS_OVER),
    (Stage.KILLING, Event.DIED): (Stage.GONE, Order.SETTLE),
    (Stage.KILLING, Event.VANISHED): (Stage.GONE, Order.SETTLE),
    (Stage.KILLING, Event.REFUSED): (Stage.BARRED, Order.PASS_OVER),
    (Stage.STUCK, Event.DIED): (Stage.GONE, Order.SETTLE),
    (Stage.BARRED, Event.DIED): (Stage.GONE, Order.DROP),
}
"""Everything that is not here changes nothing and orders nothing."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One victim, and those that die with it: the stage is that of the last one who lives."""

    kill_id: int
    victim: Candidate
    stage: Stage
    began_s: float
    stage_since_s: float
    available_before_bytes: float
    foreign: bool = False
    party: Party = ALONE

    @property
    def count(self) -> int:
        """How many die."""
        return max(1, len(self.party.members))

    @property
    def held_bytes(self) -> int:
        """What all of them hold."""
        return self.party.held_bytes if self.count > 1 else self.victim.held_bytes

    @property
    def expected_bytes(self) -> float:
        """What is to show up as available when they are dead: neither what is in swap, nor what may be shared
        with somebody who lives. Of the others it is taken to be the same part as of the victim."""
        victim = self.victim
        own = victim.rss_anon_bytes + victim.pagetables_bytes
        return own * (self.held_bytes / victim.held_bytes) if victim.held_bytes else float(own)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each stage may take."""

    grace_s: float
    stuck_after_s: float
    settle_s: float


def forgive(episode: Episode, lost_s: float) -> Episode:
    """The episode when the machine stood still for that long: nobody had the time that has passed."""
    return replace(episode, stage_since_s=episode.stage_since_s + lost_s)


def step(episode: Episode, event: Event, now_s: float) -> tuple[Episode, Order]:
    """The episode after the event, and what has to be done."""
    stage, order = TABLE.get((episode.stage, event), (episode.stage, Order.NOTHING))
    if stage is episode.stage:
        return episode, order
    foreign = episode.foreign or event is Event.FOREIGN_KILL
    return replace(episode, stage=stage, stage_since_s=now_s, foreign=foreign), order


def again(episode: Episode, now_s: float) -> Episode:
    """The episode when all were dead and more of them were found and killed: its time begins anew."""
    return replace(episode, stage_since_s=now_s)


def due(episode: Episode, level: Level, patience: Patience, now_s: float) -> Event | None:
    """What the passing of time, or a worse level, means for this episode now."""
    waited_s = now_s - episode.stage_since_s
    if episode.stage is Stage.TERMINATING:
        if level >= Level.KILL:
            return Event.LEVEL_ROSE
        if waited_s >= patience.grace_s:
            return Event.GRACE_OVER
    if episode.stage is Stage.KILLING:
        allowed_s = patience.stuck_after_s + episode.held_bytes * STUCK_PER_BYTE_S
        if waited_s >= allowed_s:
            return Event.TIME_OVER
    return None


@dataclass(frozen=True, slots=True)
class Settling:
    """After a death: its memory may take a moment to show in MemAvailable."""

    since_s: float
    for_s: float
    expected_bytes: float
    """What the dead victim held; 0 where it is not known."""
    available_before_bytes: float


def settled(s: Settling, available_bytes: float, total_bytes: float, now_s: float) -> bool:
    """Whether the next victim may be chosen.

    Yes when the memory has come back (half of what was held: others go on allocating), when the time is over,
    and when there is clearly less than before the kill (by 1% of all, or by a quarter of what there was):
    then somebody else eats it up.
    """
    if now_s - s.since_s >= s.for_s:
        return True
    gain = available_bytes - s.available_before_bytes
    if s.expected_bytes > 0 and gain >= s.expected_bytes / 2:
        return True
    return gain < -min(total_bytes / 100, s.available_before_bytes / 4)
