"""What a guard with some configuration would have done on a recorded machine, moment by moment.

Rule of this file: pure, and made of the guard's own decisions (engine/). What a recording cannot know is
assumed in one place each:

* a victim is dead at once (`stubborn`: only SIGKILL ends it, when its grace is over);
* from then on it is left out, and the anonymous memory, page tables and swap that the recording still has it
  hold count as available; who else would have used them cannot be known;
* pressure and rates stay as they were recorded, although the kill would have relieved them;
* a moment of the recording is one look of the guard, which looks up to twenty times in a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping

from oomguardd.ctl.beforehand.company import party_of
from oomguardd.ctl.beforehand.past import Pasts
from oomguardd.ctl.beforehand.world import World, limits_of, view
from oomguardd.ctl.tapes.playback import Frame, Identity
from oomguardd.ctl.tapes.recording import Header
from oomguardd.ctl.tapes.tally import Decision, Event, Kill, Moment, Remark, Tally
from oomguardd.ctl.terms import to_points
from oomguardd.engine.episode import STUCK_PER_BYTE_S, Settling, settled
from oomguardd.engine.together import keep_of
from oomguardd.engine.triggers import Assessment, Since, assess
from oomguardd.model import Candidate, Level, Sample
from oomguardd.policies.set import PolicySet
from oomguardd.sections import Config

MINUTE_S = 60.0
NOBODY_AGAIN_S = 60.0
LIMIT_AGAIN_S = 10.0
"""The guard tells these no more often."""
CALMER_AFTER_S = 10.0
"""A level that falls is told when it has stayed lower for so long, as the guard does."""


class Replay:
    """Takes the moments of one recording in their order."""

    def __init__(
        self, config: Config, header: Header, total_of: Mapping[str, str], stubborn: bool = False
    ) -> None:
        self.tally = Tally()
        self._config = config
        self._policies = PolicySet(config.policies, config.rules)
        self._header = header
        self._total_of = total_of
        """Signal -> the one that its percentages refer to."""
        self._stubborn = stubborn
        self._pasts = Pasts()
        self._since: Since = {}
        self._told = Level.CALM
        self._lower_since_s: float | None = None
        self._ending: tuple[float, Decision] | None = None
        """A victim that SIGTERM does not end."""
        self._awaited: dict[Identity, float] = {}
        """Whom somebody else is killing, and since when they are waited for."""
        self._given_up: set[Identity] = set()
        self._settling: Settling | None = None
        self._kill_times: deque[float] = deque()
        self._quiet_until: dict[str, float] = {}
        self._oom_kills: float | None = None
        self._previous: tuple[float, Level] | None = None

    def step(self, frame: Frame) -> Moment:
        """The next moment."""
        now_s = frame.t_s
        living = self._living(frame)
        sample = self._credited(frame)
        assessment = self._assess(sample, now_s)
        if assessment.level >= Level.TERM and frame.hidden_bytes and "mem_available" in sample:
            total = sample.get("mem_total", float("inf"))
            sample["mem_available"] = min(sample["mem_available"] + frame.hidden_bytes, total)
            assessment = self._assess(sample, now_s)
        self._since = assessment.since
        events = tuple(self._act(frame, living, sample, assessment))
        moment = Moment(now_s, sample, assessment, self._tell(assessment.level, now_s), events)
        self._count(moment)
        return moment

    def unread(self, signals: Collection[str]) -> set[str]:
        """What triggers ask for and is not among these."""
        wanted = {c.signal for trigger in self._config.triggers for c in trigger.conditions}
        if "swap_total" in signals:  # without any, conditions on what is free of it count as met
            wanted.discard("swap_free")
        return wanted - set(signals)

    def _assess(self, sample: Sample, now_s: float) -> Assessment:
        return assess(self._config.triggers, sample, self._total_of, self._since, now_s)

    def _living(self, frame: Frame) -> list[Candidate]:
        """Those that have not been killed, whose memory is noted."""
        living = [c for c in frame.written if c.identity not in self.tally.seen_s]
        self._pasts.note(living, frame.t_s)
        return living

    def _credited(self, frame: Frame) -> Sample:
        """The sample as if those killed were gone."""
        sample = dict(frame.sample)
        memory = swap = anon = 0
        for c in frame.written:
            if c.identity in self.tally.seen_s:
                self.tally.seen_s[c.identity] = frame.t_s
                memory += c.rss_anon_bytes + c.pagetables_bytes
                anon += c.rss_anon_bytes
                swap += c.swap_bytes
        for name, more, total in (
            ("mem_available", memory, "mem_total"),
            ("mem_free", memory, "mem_total"),
            ("swap_free", swap, "swap_total"),
        ):
            if more and name in sample:
                sample[name] = min(sample[name] + more, sample.get(total, float("inf")))
        if anon and "anon" in sample:
            sample["anon"] = max(0.0, sample["anon"] - anon)
        return sample

    def _act(
        self, frame: Frame, living: list[Candidate], sample: Sample, assessment: Assessment
    ) -> Iterable[Event]:
        now_s, level = frame.t_s, assessment.level
        available = sample.get("mem_available", 0.0)
        yield from self._notice_kernel(sample, level, now_s)
        if self._ending is not None:
            yield from self._escalate(living, level, available, now_s)
            return
        if self._settling and settled(self._settling, available, sample.get("mem_total", 0.0), now_s):
            self._settling = None
        if level < Level.TERM or self._settling is not None:
            return
        if self._limit_reached(now_s):
            if self._may_tell("limit", now_s, LIMIT_AGAIN_S):
                yield Remark("limit", f"{self._config.kill.max_per_minute} kills within a minute")
            return
        yield from self._choose(self._world(frame, living), level, available, now_s)

    def _choose(self, world: World, level: Level, available: float, now_s: float) -> Iterable[Event]:
        dying, victim = world.verdict.dying, world.verdict.victim
        if dying is not None and self._waits_for(dying, now_s):
            if self._awaited[dying.identity] == now_s:
                yield Remark("waiting", f"{dying.comm}[{dying.pid}] is being killed by somebody else", world)
            return
        if victim is None:
            if self._may_tell("nobody", now_s, NOBODY_AGAIN_S):
                yield Remark("nobody", "no process may be taken and is worth it", world)
            return
        signal = "SIGKILL" if level >= Level.KILL else "SIGTERM"
        keep = keep_of(world.limits, world.totals, self._config.kill.max_processes)
        party = party_of(victim, world.processes, keep)
        decision = Decision(signal, world, victim, party)
        self._kill_times.append(now_s)
        c, points = victim.candidate, to_points(victim.pages, world.totals)
        self.tally.kills.append(
            Kill(now_s, signal, c.identity, c.comm, points, party.held_bytes, party.unit, len(party.members))
        )
        yield decision
        if self._stubborn and level < Level.KILL:
            self._ending = (now_s, decision)
        else:
            self._bury(decision, available, now_s)

    def _world(self, frame: Frame, living: list[Candidate]) -> World:
        header, totals = self._header, frame.totals
        guard = frozenset(header.guard)
        limits = limits_of(
            self._config, self._policies, totals, guard, header.inside, passed_over=self._given_up
        )
        people = self._pasts.told(frame.complete(living), frame.t_s)
        return view(people, 0, totals, limits, self._config.select.swarm)

    def _waits_for(self, dying: Candidate, now_s: float) -> bool:
        """False when it has been waited for long enough: from then on it is passed over."""
        since_s = self._awaited.setdefault(dying.identity, now_s)
        allowed_s = self._config.kill.stuck_after_s + dying.held_bytes * STUCK_PER_BYTE_S
        if now_s - since_s < allowed_s:
            return True
        self._given_up.add(dying.identity)
        return False

    def _bury(self, decision: Decision, available: float, now_s: float) -> None:
        """From the next moment on they are gone."""
        for member in decision.party.members:
            self.tally.seen_s[member.pid, member.start_ticks] = now_s
        victim = decision.victim.candidate
        expected = float(victim.rss_anon_bytes + victim.pagetables_bytes)
        self._settling = Settling(now_s, self._config.kill.settle_s, expected, available)

    def _escalate(
        self, living: list[Candidate], level: Level, available: float, now_s: float
    ) -> Iterable[Event]:
        if self._ending is None:
            return
        since_s, decision = self._ending
        c = decision.victim.candidate
        gone = all(other.identity != c.identity for other in living)
        over = now_s - since_s >= self._config.kill.grace_s
        if not (gone or over or level >= Level.KILL):
            return
        if not gone:
            why = "its grace time is over" if over else "the level rose to kill"
            yield Remark("escalated", f"SIGKILL to {c.comm}[{c.pid}]: {why}")
        self._ending = None
        self._bury(decision, available, now_s)

    def _notice_kernel(self, sample: Sample, level: Level, now_s: float) -> Iterable[Event]:
        """After a kill of the kernel's the guard waits a moment, as it may have helped."""
        kills = sample.get("oom_kills")
        if kills is None:
            return
        new, self._oom_kills = kills - (kills if self._oom_kills is None else self._oom_kills), kills
        if new <= 0:
            return
        self.tally.kernel_kills += int(new)
        for_s = self._config.kill.stand_down_s
        if level >= Level.TERM and self._may_tell("stand_down", now_s, 5 * for_s):
            self._settling = Settling(now_s, for_s, 0.0, sample.get("mem_available", 0.0))
            yield Remark("stand_down", "the kernel's OOM killer has killed")

    def _limit_reached(self, now_s: float) -> bool:
        times = self._kill_times
        while times and now_s - times[0] >= MINUTE_S:
            times.popleft()
        return len(times) >= self._config.kill.max_per_minute

    def _may_tell(self, what: str, now_s: float, again_s: float) -> bool:
        if now_s < self._quiet_until.get(what, float("-inf")):
            return False
        self._quiet_until[what] = now_s + again_s
        return True

    def _tell(self, level: Level, now_s: float) -> Level | None:
        if level >= self._told:
            self._lower_since_s = None
        elif self._lower_since_s is None:
            self._lower_since_s = now_s
        lowered = self._lower_since_s is not None and now_s - self._lower_since_s >= CALMER_AFTER_S
        if level <= self._told and not lowered:
            return None
        self._told, self._lower_since_s = level, None
        return level

    def _count(self, moment: Moment) -> None:
        tally = self.tally
        if self._previous is not None:
            before_s, level = self._previous
            tally.at_level_s[level] += moment.t_s - before_s
        self._previous = moment.t_s, moment.level
        tally.moments += 1
        tally.last_s = moment.t_s
