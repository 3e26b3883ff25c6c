"""From "somebody must go" to the end of all those who die for it, one decision at a time.

Rule of this file: between the reading that triggered and the signal there is no import, no fork, no wait, and
no file opened for writing but those by which the kernel kills a cgroup; a record is put into the outbox, and
a line into the journal, after the signal.
"""

from __future__ import annotations

import resource
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from oomguardd.census.muster import Muster
from oomguardd.engine.episode import (
    Episode,
    Event,
    Order,
    Patience,
    Settling,
    Stage,
    again,
    due,
    forgive,
    settled,
    step,
)
from oomguardd.engine.select import Limits
from oomguardd.engine.together import Keep, alone, keep_of
from oomguardd.engine.triggers import Assessment
from oomguardd.guard.actuator import Actuator
from oomguardd.guard.company import Company
from oomguardd.guard.mark import UnitMarks
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.report import Report, Took
from oomguardd.guard.scout import Found, Scout
from oomguardd.kernel.clock import monotonic_s
from oomguardd.model import Candidate, Level, Party, Sample, Totals, Verdict, Weighed

DRY_PAUSE_S = 10.0
"""A dry run changes nothing, so its verdict would be told at every tick."""
NOBODY_AGAIN_S = 60.0
LIMIT_AGAIN_S = 10.0
SEARCH_PAUSE_S = 1.0
"""And never for longer: a search may have been slow only because everything was."""
SEARCH_SHARE = 5
"""Looking in vain takes at most one part in so many of the time."""
SHARER_SIZE = 0.95
"""Who shares the victim's memory is of its size, but for what it grew between the two readings."""


@dataclass(frozen=True, slots=True)
class Orders:
    """The settings of this room, resolved to bytes and seconds."""

    patience: Patience
    max_per_minute: int
    stand_down_s: float
    mrelease: bool
    dry_run: bool
    max_processes: int = 1000


class Look(NamedTuple):
    """One reading and what it means."""

    sample: Sample
    assessment: Assessment
    hidden_bytes: float = 0.0
    """Of the available memory, what was in per-CPU lists; it is only looked for before somebody is killed."""

    @property
    def available_bytes(self) -> float:
        return self.sample.get("mem_available", 0.0)

    @property
    def unused_bytes(self) -> float:
        """What the machine can still use up, read in the same way at every level."""
        return self.available_bytes - self.hidden_bytes + self.sample.get("swap_free", 0.0)


class Choice(NamedTuple):
    """Who is to die, and how that was found."""

    victim: Weighed
    party: Party
    keep: Keep
    found: Found
    began_s: float
    gather_s: float
    faults: int
    """Major page faults of this process until then."""


class Striker:
    """Holds the episodes of one domain. `look` senses again; `wake` asks for a tick at once; without a
    `muster` every victim dies alone, and without `marks` its unit is not told."""

    def __init__(
        self,
        domain: str,
        proc_fd: int,
        scout: Scout,
        outbox: Outbox,
        look: Callable[[], Look],
        wake: Callable[[], None],
        orders: Orders,
        *,
        muster: Muster | None = None,
        marks: UnitMarks | None = None,
    ) -> None:
        self.orders = orders
        self.scout = scout
        self._look = look
        self._wake = wake
        self._report = Report(outbox, domain, proc_fd)
        self._company = Company(muster)
        self._marks = marks
        self._actuator: Actuator | None = None
        self._episodes: dict[int, Episode] = {}
        self._settling: Settling | None = None
        self._kill_times: deque[float] = deque()
        self._kill_id = 0
        self._kills = 0
        self._quiet_until: dict[str, float] = {}

    def bind(self, actuator: Actuator) -> None:
        """The hand, made later because it needs the loop and tells of deaths to `died`."""
        self._actuator = self._company.actuator = actuator

    @property
    def busy(self) -> bool:
        """Whether a victim is being waited for."""
        return any(e.stage in (Stage.TERMINATING, Stage.KILLING) for e in self._episodes.values())

    @property
    def settling(self) -> bool:
        return self._settling is not None

    @property
    def kills(self) -> int:
        """Decisions so far, whether for one victim or for many (in a dry run, those that would have been)."""
        return self._kills

    @property
    def passed_over(self) -> frozenset[tuple[int, int]]:
        """Who does not die, or may not be signalled."""
        over = [e for e in self._episodes.values() if e.stage in (Stage.STUCK, Stage.BARRED)]
        members = (m for e in over for m in e.party.members)
        return frozenset((*(e.victim.identity for e in over), *((m.pid, m.start_ticks) for m in members)))

    def advance(self, look: Look, now_s: float) -> None:
        """What time, a worse level, or memory that has come back means for the victims there are and were."""
        for episode in tuple(self._episodes.values()):
            event = due(episode, look.assessment.level, self.orders.patience, now_s)
            if event is not None:
                self._happen(episode, event, now_s)
        total_bytes = look.sample.get("mem_total", 0.0)
        if self._settling and settled(self._settling, look.available_bytes, total_bytes, now_s):
            self._settling = None

    def forgive(self, lost_s: float) -> None:
        """The machine stood still for that long: no victim had that time, and no memory came back in it."""
        for kill_id, episode in self._episodes.items():
            self._episodes[kill_id] = forgive(episode, lost_s)
        if self._settling:
            self._settling = replace(self._settling, since_s=self._settling.since_s + lost_s)

    def may_choose(self, now_s: float) -> bool:
        """No second victim before the first is gone and its memory counted, or declared stuck."""
        quiet = now_s < max(self._quiet_until.get(word, 0.0) for word in ("dry", "search"))
        return not (quiet or self.busy or self.settling)

    def stand_down(self, why: str, kernel_kills: int, look: Look, now_s: float) -> None:
        """Somebody else killed something: give its memory a moment to show. Not again for five such moments,
        so that a container that dies every second cannot keep us from acting."""
        if now_s < self._quiet_until.get("stand_down", 0.0) or self.busy:
            return
        for_s = self.orders.stand_down_s
        self._quiet_until["stand_down"] = now_s + 5 * for_s
        self._settling = Settling(now_s, for_s, 0.0, look.available_bytes)
        self._report.stand_down(why, for_s, kernel_kills)

    def strike(
        self, first: Look, totals: Totals, limits: Limits, began_s: float, least: Level = Level.TERM
    ) -> bool:
        """Choose, sense again, kill if it is still as bad as `least`. True if a signal was sent (or would
        have been, in a dry run)."""
        if self._limit_reached(first, began_s):
            return False
        faults = _major_faults()
        found = self.scout.choose(first.unused_bytes, totals, limits)
        verdict = found.verdict
        if verdict.dying is not None:
            self._follow(verdict.dying, first, began_s)
            return False
        if verdict.victim is None:
            self._nobody(first, found, began_s)
            return False
        gathering_s = monotonic_s()
        keep = keep_of(limits, totals, self.orders.max_processes)
        party = self._company.gather(verdict.victim, keep, _of_its_size(verdict))
        gather_s = monotonic_s() - gathering_s
        look = self._look()
        if look.assessment.level < least:
            return False
        return self._kill(Choice(verdict.victim, party, keep, found, began_s, gather_s, faults), look)

    def died(self, kill_id: int) -> None:
        """All of its pidfds say so."""
        episode = self._episodes.get(kill_id)
        if episode is None:
            return
        now_s = monotonic_s()
        if episode.stage is Stage.KILLING and self._company.more(kill_id):
            self._episodes[kill_id] = self._as_of_now(again(episode, now_s))
            return
        self._happen(episode, Event.DIED, now_s)
        self._wake()

    def _kill(self, choice: Choice, look: Look) -> bool:
        victim, party = choice.victim.candidate, choice.party
        self._kill_id += 1
        # Time to clean up is time to multiply in for a fork bomb.
        at_once = look.assessment.level >= Level.KILL or party.unit == "swarm"
        event = Event.ORDERED_KILL if at_once else Event.ORDERED_TERM
        now_s = monotonic_s()
        episode = Episode(
            self._kill_id, victim, Stage.CHOSEN, now_s, now_s, look.available_bytes, party=party
        )
        if self.orders.dry_run:
            self._quiet_until["dry"] = now_s + DRY_PAUSE_S
        else:
            event = self._begin(episode, choice.keep, event, now_s)
        took = Took(choice.began_s, choice.gather_s, now_s, monotonic_s(), _major_faults() - choice.faults)
        if event in (Event.VANISHED, Event.REFUSED):
            self.scout.ahead = None  # what was known has led to nobody
            self._wake()
            return False
        self._kill_times.append(now_s)
        self._kills += 1
        number = signal.SIGKILL if event is Event.ORDERED_KILL else signal.SIGTERM
        episode = self._episodes.get(episode.kill_id, episode)
        dry_run, found = self.orders.dry_run, choice.found
        self._report.kill(episode, number, dry_run, look.sample, look.assessment, found, took)
        if self._marks is not None and not dry_run:
            triggers = [trigger.name for trigger in look.assessment.holding]
            self._marks.after(episode.kill_id, victim, episode.party, number.name, triggers)
            if (complaint := self._marks.take_complaint()) is not None:
                self._report.untold(*complaint)
        return True

    def _begin(self, episode: Episode, keep: Keep, event: Event, now_s: float) -> Event:
        """Seize and signal; the event that came of it."""
        failed = self._company.seize(episode.kill_id, episode.victim, episode.party, keep)
        if self._marks is None or failed is not None:
            return self._happen(episode, failed or event, now_s)
        self._marks.before(episode.victim, self._company.party(episode.kill_id))
        event = self._happen(episode, event, now_s)
        if event in (Event.VANISHED, Event.REFUSED):
            self._marks.take_back()
        return event

    def _follow(self, victim: Candidate, look: Look, now_s: float) -> None:
        """Somebody else is killing it: wait for it as if it were ours, instead of taking another."""
        self._kill_id += 1
        party = alone(victim)
        episode = Episode(self._kill_id, victim, Stage.CHOSEN, now_s, now_s, look.available_bytes)
        if self._company.seize(episode.kill_id, victim, party, Keep()) is not None:
            return
        self._report.foreign(victim)
        self._happen(episode, Event.FOREIGN_KILL, now_s)

    def _happen(self, episode: Episode, event: Event, now_s: float) -> Event:
        """One step of the table, and its order carried out. The event that was final: a signal may fail."""
        after, order = step(episode, event, now_s)
        if order in (Order.SEND_TERM, Order.SEND_KILL):
            number = signal.SIGTERM if order is Order.SEND_TERM else signal.SIGKILL
            failed = self._company.send(episode.kill_id, number)
            if failed is not None:
                return self._happen(episode, failed, now_s)
            after = self._as_of_now(after)
        if order in (Order.SEND_KILL, Order.FOLLOW) and self.orders.mrelease and self._actuator is not None:
            self._actuator.reap(episode.kill_id)
        self._episodes[episode.kill_id] = after
        self._tell(episode, after, event, order, now_s)
        if after.stage is Stage.GONE:
            self._end(after, order, now_s)
        return event

    def _as_of_now(self, episode: Episode) -> Episode:
        """With those of its party that were born meanwhile."""
        return replace(episode, party=self._company.party(episode.kill_id))

    def _tell(self, before: Episode, after: Episode, event: Event, order: Order, now_s: float) -> None:
        if order is Order.SEND_KILL and before.stage is Stage.TERMINATING:
            self._report.escalated(after, event)
        if order not in (Order.SETTLE, Order.PASS_OVER, Order.DROP) or before.stage is Stage.BARRED:
            return  # nothing to tell, or not of our doing
        after_bytes = self._look().available_bytes if order is Order.SETTLE else None
        hand = self._actuator
        reaped, living = (hand.reaped(before.kill_id), hand.living(before.kill_id)) if hand else (None, ())
        self._report.outcome(before, event, after, now_s, after_bytes, reaped, living)

    def _end(self, episode: Episode, order: Order, now_s: float) -> None:
        del self._episodes[episode.kill_id]
        self._company.release(episode.kill_id)
        self.scout.ahead = None  # what it held is somebody else's soon
        if order is Order.SETTLE:
            settle_s, before_bytes = self.orders.patience.settle_s, episode.available_before_bytes
            self._settling = Settling(now_s, settle_s, episode.expected_bytes, before_bytes)

    def _nobody(self, look: Look, found: Found, now_s: float) -> None:
        pause_s = min((SEARCH_SHARE - 1) * (found.scan_s + found.judge_s), SEARCH_PAUSE_S)
        self._quiet_until["search"] = monotonic_s() + pause_s
        if now_s >= self._quiet_until.get("nobody", 0.0):
            self._quiet_until["nobody"] = now_s + NOBODY_AGAIN_S
            self._report.nobody(look.sample, look.assessment, found.verdict)

    def _limit_reached(self, look: Look, now_s: float) -> bool:
        times = self._kill_times
        while times and now_s - times[0] >= 60:
            times.popleft()
        if len(times) < self.orders.max_per_minute:
            return False
        if now_s >= self._quiet_until.get("limit", 0.0):
            self._quiet_until["limit"] = now_s + LIMIT_AGAIN_S
            self._report.limit(self.orders.max_per_minute, look.assessment)
        return True


def _of_its_size(verdict: Verdict) -> list[int]:
    """Runners-up that may be the victim once more: whoever shares its memory has its badness, too."""
    if verdict.victim is None:
        return []
    least = verdict.victim.candidate.resident_bytes * SHARER_SIZE
    return [w.candidate.pid for w in verdict.runners_up if w.candidate.resident_bytes >= least]


def _major_faults() -> int:
    """Pages that this process had to wait for the disk for."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt
