"""From "somebody must go" to the victim's end, one victim at a time.

Rule of this file: between the reading that triggered and the signal there is no import, no fork, no file
opened for writing and no wait; a record is put into the outbox after the signal.
"""

from __future__ import annotations

import resource
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from oomguardd.engine.episode import (
    Episode,
    Event,
    Order,
    Patience,
    Settling,
    Stage,
    due,
    forgive,
    settled,
    step,
)
from oomguardd.engine.select import Limits
from oomguardd.engine.triggers import Assessment
from oomguardd.guard import records
from oomguardd.guard.actuator import Actuator
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.scout import Found, Scout
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.process import inspect
from oomguardd.model import Candidate, Level, Sample, Totals

DRY_PAUSE_S = 10.0
"""A dry run changes nothing, so its verdict would be told at every tick."""
NOBODY_AGAIN_S = 60.0
LIMIT_AGAIN_S = 10.0
SEARCH_PAUSE_S = 1.0
"""And never for longer: a search may have been slow only because everything was."""
SEARCH_SHARE = 5
"""Looking in vain takes at most one part in so many of the time."""


@dataclass(frozen=True, slots=True)
class Orders:
    """The settings of this room, resolved to bytes and seconds."""

    patience: Patience
    max_per_minute: int
    stand_down_s: float
    mrelease: bool
    dry_run: bool


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


class Striker:
    """Holds the episodes of one domain. `look` senses again; `wake` asks for a tick at once."""

    def __init__(
        self,
        domain: str,
        proc_fd: int,
        scout: Scout,
        outbox: Outbox,
        look: Callable[[], Look],
        wake: Callable[[], None],
        orders: Orders,
    ) -> None:
        self.orders = orders
        self.scout = scout
        self._domain = domain
        self._proc_fd = proc_fd
        self._outbox = outbox
        self._look = look
        self._wake = wake
        self._actuator: Actuator | None = None
        self._episodes: dict[int, Episode] = {}
        self._settling: Settling | None = None
        self._kill_times: deque[float] = deque()
        self._kill_id = 0
        self._kills = 0
        self._quiet_until: dict[str, float] = {}

    def bind(self, actuator: Actuator) -> None:
        """The hand, made later because it needs the loop and tells of deaths to `died`."""
        self._actuator = actuator

    @property
    def busy(self) -> bool:
        """Whether a victim is being waited for."""
        return any(e.stage in (Stage.TERMINATING, Stage.KILLING) for e in self._episodes.values())

    @property
    def settling(self) -> bool:
        return self._settling is not None

    @property
    def kills(self) -> int:
        """Victims so far (in a dry run, those that would have been)."""
        return self._kills

    @property
    def passed_over(self) -> frozenset[tuple[int, int]]:
        """Who does not die, or may not be signalled."""
        return frozenset(
            e.victim.identity for e in self._episodes.values() if e.stage in (Stage.STUCK, Stage.BARRED)
        )

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
        self._outbox.put("stand_down", 5, why=why, for_s=for_s, kernel_kills=kernel_kills)

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
        look = self._look()
        if look.assessment.level < least:
            return False
        return self._kill(verdict.victim.candidate, look, found, began_s, faults)

    def died(self, kill_id: int) -> None:
        """Its pidfd says so."""
        episode = self._episodes.get(kill_id)
        if episode is not None:
            self._happen(episode, Event.DIED, monotonic_s())
            self._wake()

    def _kill(self, victim: Candidate, look: Look, found: Found, began_s: float, faults: int) -> bool:
        self._kill_id += 1
        event = Event.ORDERED_KILL if look.assessment.level >= Level.KILL else Event.ORDERED_TERM
        signalled_s = monotonic_s()
        episode = Episode(self._kill_id, victim, Stage.CHOSEN, signalled_s, signalled_s, look.available_bytes)
        if self.orders.dry_run:
            self._quiet_until["dry"] = signalled_s + DRY_PAUSE_S
        else:
            event = self._begin(episode, event, signalled_s)
        sent_s, faults = monotonic_s(), _major_faults() - faults
        if event in (Event.VANISHED, Event.REFUSED):
            self.scout.ahead = None  # what was known has led to nobody
            self._wake()
            return False
        self._kill_times.append(signalled_s)
        self._kills += 1
        self._outbox.put_vital(
            "kill",
            1,
            kill_id=episode.kill_id,
            signal="SIGKILL" if event is Event.ORDERED_KILL else "SIGTERM",
            dry_run=self.orders.dry_run,
            domain=self._domain,
            **records.cause(look.assessment),
            readings=records.readings(look.sample),
            **records.verdict(found.verdict),
            timings={
                "sense_s": round(signalled_s - began_s - found.scan_s - found.judge_s, 6),
                "scan_s": round(found.scan_s, 6),
                "judge_s": round(found.judge_s, 6),
                "signal_s": round(sent_s - signalled_s, 6),
                "total_s": round(sent_s - began_s, 6),
            },
            scanned=found.scanned,
            ahead=found.ahead,
            major_faults=faults,
        )
        return True

    def _begin(self, episode: Episode, event: Event, now_s: float) -> Event:
        """Seize and signal; the event that came of it."""
        if self._actuator is None:
            return Event.REFUSED
        failed = self._actuator.seize(episode.kill_id, episode.victim)
        return self._happen(episode, failed or event, now_s)

    def _follow(self, victim: Candidate, look: Look, now_s: float) -> None:
        """Somebody else is killing it: wait for it as if it were ours, instead of taking another."""
        self._kill_id += 1
        episode = Episode(self._kill_id, victim, Stage.CHOSEN, now_s, now_s, look.available_bytes)
        if self._actuator is None or self._actuator.seize(episode.kill_id, victim) is not None:
            return
        self._outbox.put(
            "foreign", 5, pid=victim.pid, comm=victim.comm, why="its SIGKILL is already on the way"
        )
        self._happen(episode, Event.FOREIGN_KILL, now_s)

    def _happen(self, episode: Episode, event: Event, now_s: float) -> Event:
        """One step of the table, and its order carried out. The event that was final: a signal may fail."""
        after, order = step(episode, event, now_s)
        if order in (Order.SEND_TERM, Order.SEND_KILL) and self._actuator is not None:
            number = signal.SIGTERM if order is Order.SEND_TERM else signal.SIGKILL
            failed = self._actuator.send(episode.kill_id, number)
            if failed is not None:
                return self._happen(episode, failed, now_s)
        if order in (Order.SEND_KILL, Order.FOLLOW) and self.orders.mrelease and self._actuator is not None:
            self._actuator.reap(episode.kill_id)
        self._episodes[episode.kill_id] = after
        self._tell(episode, after, event, order, now_s)
        if after.stage is Stage.GONE:
            self._end(after, order, now_s)
        return event

    def _end(self, episode: Episode, order: Order, now_s: float) -> None:
        del self._episodes[episode.kill_id]
        if self._actuator is not None:
            self._actuator.release(episode.kill_id)
        self.scout.ahead = None  # what it held is somebody else's soon
        if order is Order.SETTLE:
            victim = episode.victim
            expected = float(victim.rss_anon_bytes + victim.pagetables_bytes)
            patience = self.orders.patience
            self._settling = Settling(now_s, patience.settle_s, expected, episode.available_before_bytes)

    def _tell(self, before: Episode, after: Episode, event: Event, order: Order, now_s: float) -> None:
        victim = before.victim
        if order is Order.SEND_KILL and before.stage is Stage.TERMINATING:
            why = "the level rose to kill" if event is Event.LEVEL_ROSE else "its grace time is over"
            self._outbox.put_vital(
                "escalated",
                1,
                kill_id=before.kill_id,
                pid=victim.pid,
                comm=victim.comm,
                signal="SIGKILL",
                why=why,
            )
        if order not in (Order.SETTLE, Order.PASS_OVER, Order.DROP) or before.stage is Stage.BARRED:
            return  # nothing to tell, or not of our doing
        refused = event is Event.REFUSED
        alive = inspect(self._proc_fd, victim.pid, 0.0) if order is Order.PASS_OVER else None
        self._outbox.put_vital(
            "outcome",
            5 if after.stage is Stage.GONE else 2,
            kill_id=before.kill_id,
            pid=victim.pid,
            comm=victim.comm,
            foreign=before.foreign,
            outcome=_outcome(before, event),
            after_s=round(now_s - before.began_s, 4),
            state=alive.state if alive else "",
            held_bytes=victim.held_bytes,
            available_before_bytes=before.available_before_bytes,
            available_after_bytes=self._look().available_bytes if order is Order.SETTLE else None,
            reaped=self._actuator.reaped(before.kill_id) if self._actuator else None,
            why="we may not signal it (CAP_KILL)" if refused else "",
        )

    def _nobody(self, look: Look, found: Found, now_s: float) -> None:
        pause_s = min((SEARCH_SHARE - 1) * (found.scan_s + found.judge_s), SEARCH_PAUSE_S)
        self._quiet_until["search"] = monotonic_s() + pause_s
        if now_s < self._quiet_until.get("nobody", 0.0):
            return
        self._quiet_until["nobody"] = now_s + NOBODY_AGAIN_S
        shmem = look.sample.get("shmem", 0.0)
        self._outbox.put_vital(
            "nobody",
            2,
            **records.cause(look.assessment),
            why="no process may be taken and is worth it",
            spared=[list(s) for s in found.verdict.spared[: records.SPARED_MAX]],
            shmem_bytes=shmem,
            readings=records.readings(look.sample),
        )

    def _limit_reached(self, look: Look, now_s: float) -> bool:
        times = self._kill_times
        while times and now_s - times[0] >= 60:
            times.popleft()
        if len(times) < self.orders.max_per_minute:
            return False
        if now_s >= self._quiet_until.get("limit", 0.0):
            self._quiet_until["limit"] = now_s + LIMIT_AGAIN_S
            self._outbox.put_vital(
                "limit",
                1,
                per_minute=self.orders.max_per_minute,
                level=records.LEVEL_WORDS[look.assessment.level],
            )
        return True


def _major_faults() -> int:
    """Pages that this process had to wait for the disk for."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def _outcome(before: Episode, event: Event) -> str:
    if event is Event.DIED:
        return "died late" if before.stage is Stage.STUCK else "died"
    return {Event.VANISHED: "vanished", Event.REFUSED: "refused"}.get(event, "stuck")
