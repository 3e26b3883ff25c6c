"""The guard's main loop: one tick at a time, never late, never fatal.

Rule of this file: a tick ends in a sleep that was computed from what could happen during it. What fails is
counted and told once per cause; after too many failures in a row the watchdogs are no longer fed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from oomguardd.engine.pace import sleep_s
from oomguardd.engine.select import Limits
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.scout import AHEAD_AGE_S
from oomguardd.guard.strike import Look, Striker
from oomguardd.guard.voice import Health, Voice
from oomguardd.guard.warden import Warden
from oomguardd.guard.watch import Watch
from oomguardd.kernel.clock import monotonic_s, suspended_s
from oomguardd.kernel.notify import Notifier
from oomguardd.model import Level
from oomguardd.policies.set import PolicySet
from oomguardd.sections import Config

NEAR_S = 1.0
"""When somebody could have to be killed within this time, the scan is made ahead."""
AHEAD_MOVED = 0.01
"""Or when this share of memory and swap was used up since."""
AHEAD_SHARE = 5
"""Scanning ahead takes at most one part in so many of the time."""
MOVED = 0.02
"""Far from any threshold, a scan is made when this share of memory and swap was used up since the last: so
that it can be told later who has held its memory for long, and who took it just now."""
MOVED_SHARE = 100
"""Such scans take at most one part in so many of the time,"""
MOVED_AGE_S = 1.0
"""and are no nearer to each other."""
GAP_S = 1.0
"""A sleep that took so much longer than planned was no observation: what was to hold `for` a time starts
again.
"""
SCAN_S = 5.0
"""A scan of very many processes on a slow machine may take longer than the main loop may be late
otherwise.
"""
FAILED_TICKS = 20
POSTPONED_S = 2.0
"""What is better done when all is calm is done this often when it never is: a wrong trigger must be
mendable.
"""


class Guard:
    """Ticks one watch. `reload` is called between ticks, when nothing is at stake."""

    def __init__(
        self,
        config: Config,
        watch: Watch,
        striker: Striker,
        outbox: Outbox,
        warden: Warden,
        notifier: Notifier,
        untouchable: Callable[[], frozenset[int]],
        only_uid: int | None = None,
        inside: bool = False,
    ) -> None:
        self.config = config
        self.policies = PolicySet(config.policies, config.rules)
        """Those in force, compiled: made anew after a reload."""
        self.watch = watch
        self.striker = striker
        self.ticks = 0
        self.lag_max_s = 0.0
        self.level = Level.CALM
        self.longest_s = math.inf
        """systemd wants to hear from us at least so often."""
        self.reload: Callable[[], None] | None = None
        self.on_calm: Callable[[], None] | None = None
        self._outbox = outbox
        self._warden = warden
        self._notifier = notifier
        self._untouchable = untouchable
        self._only_uid = only_uid
        self._inside = inside
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = monotonic_s()
        self._suspended_s = suspended_s()
        self._resumed_s = float("-inf")
        self._failed = 0
        self._seeing = True
        """Whether available memory could be read: without it the guard is of no use."""
        self._faults: dict[str, int] = {}
        self._oom_kills = -1.0
        self._voice = Voice(outbox, notifier)
        self._tick_s = 0.0
        self._calm_s = monotonic_s()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on there is always a next tick."""
        self._loop = loop
        self._due_s = monotonic_s()
        self.tick()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop = None

    def wake(self) -> None:
        """A tick as soon as possible: a stall has begun, or a victim is dead."""
        if self._loop is not None:
            if self._timer is not None:
                self._timer.cancel()
            # Never later than it was: a tick that is overdue after a pause still has to notice the gap.
            self._due_s = min(self._due_s, monotonic_s())
            self._timer = self._loop.call_later(0, self.tick)

    def tick(self) -> None:
        """Sense, assess, act, and sleep for as long as is safe."""
        began_s = monotonic_s()
        try:
            pause_s = self._tick(began_s)
            self._failed = 0 if self._seeing else self._failed + 1
        except Exception as error:  # whatever it is, the next tick may still save the machine
            self.fault("tick", error)
            self._failed += 1
            pause_s = self.config.pace.fastest_s * 2
        if self._failed <= FAILED_TICKS:
            self._warden.expect(pause_s)
            self._notifier.send("WATCHDOG=1")
        self._due_s = monotonic_s() + pause_s
        self._tick_s = self._due_s - pause_s - began_s
        if self._loop is not None:
            if self._timer is not None:
                self._timer.cancel()  # somebody may have asked for a tick during this one: there is one chain
            self._timer = self._loop.call_later(pause_s, self.tick)

    def fault(self, where: str, error: Exception) -> None:
        """Tells a failure the first time, and then at every tenfold of its number."""
        cause = f"{where}: {type(error).__name__}: {error}{_place(error)}"[:300]
        if len(self._faults) >= 100 and cause not in self._faults:
            cause = f"{where}: other"
        count = self._faults[cause] = self._faults.get(cause, 0) + 1
        if count in (1, 10, 100, 1000) or count % 10_000 == 0:
            self._outbox.put("fault", 3, where=where, error=cause, count=count)

    def _tick(self, now_s: float) -> float:
        self.ticks += 1
        self._notice_gap(now_s)
        look = self.watch.look()
        self.level = look.assessment.level
        self._seeing = "mem_available" in look.sample
        self._notice_kernel_kill(look, now_s)
        self.striker.advance(look, now_s)
        to_act_s = self.watch.time_to_act(look.sample)
        least = self._least_to_act(now_s)
        if self.level >= least and self.striker.may_choose(now_s):
            self.expect_scan()
            self.striker.strike(look, self.watch.totals(), self.limits(), now_s, least)
        elif self.level < Level.TERM and self._seeing and self._scan_is_due(look, to_act_s, now_s):
            self._look_ahead(look)
        self._tell(look, now_s)
        if not self.striker.busy and (self.level <= Level.WARN or now_s - self._calm_s >= POSTPONED_S):
            self._calm_s = now_s
            self._while_calm()
        pace = self.config.pace
        acting = Level.TERM if self.striker.busy or self.striker.settling else self.level
        slowest_s = min(pace.slowest_s, self.longest_s)
        return sleep_s(acting, to_act_s, pace.fastest_s, slowest_s, pace.margin)

    def limits(self) -> Limits:
        """The settings on top of the kernel's arithmetic, as of now."""
        select = self.config.select
        totals = self.watch.totals()
        return Limits(
            select.oom_score_adj_cap,
            select.smallest_victim.of_bytes(totals.ram_bytes + totals.swap_bytes),
            self._untouchable(),
            self.striker.passed_over,
            self._inside,
            self._only_uid,
            self.policies,
        )

    def _least_to_act(self, now_s: float) -> Level:
        """Right after a resume only what would be an emergency anyway."""
        resumed = now_s - self._resumed_s < self.config.guard.resume_grace_s
        return Level.KILL if resumed else Level.TERM

    def _notice_gap(self, now_s: float) -> None:
        lag_s = now_s - self._due_s
        self.lag_max_s = max(self.lag_max_s, lag_s)
        slept_s, self._suspended_s = suspended_s() - self._suspended_s, suspended_s()
        if slept_s > GAP_S / 2:
            self._resumed_s = now_s
            self.watch.reset()
            self._outbox.put("gap", 5, why="suspend", lost_s=round(slept_s, 3))
        elif lag_s > GAP_S:
            self.watch.restart_holds()
            self.striker.forgive(lag_s)
            self._outbox.put("gap", 4, why="pause", lost_s=round(lag_s, 3))

    def _notice_kernel_kill(self, look: Look, now_s: float) -> None:
        kills = look.sample.get("oom_kills")
        if kills is None:
            return
        new, self._oom_kills = kills - self._oom_kills, kills
        if 0 < new < kills + 1 and self.level >= Level.TERM:
            self.striker.stand_down("the kernel's OOM killer has killed", int(new), look, now_s)

    def expect_scan(self) -> None:
        """Not for one that fails again and again: it would feed the watchdog for ever."""
        if self._failed <= FAILED_TICKS:
            self._warden.expect(SCAN_S)

    def _scan_is_due(self, look: Look, to_act_s: float, now_s: float) -> bool:
        """Near a threshold, or when memory has moved since the last scan: both within a share of the time."""
        near = to_act_s < NEAR_S
        scout = self.striker.scout
        last = scout.ahead if near else scout.looked
        if last is None:
            return near
        age_s = now_s - last.taken_s
        whole = look.sample.get("mem_total", 0.0) + look.sample.get("swap_total", 0.0)
        moved = last.unused_bytes - look.unused_bytes
        if near:
            old = age_s >= AHEAD_AGE_S
            return old or (moved >= whole * AHEAD_MOVED and age_s >= last.cost_s * AHEAD_SHARE)
        return abs(moved) >= whole * MOVED and age_s >= max(MOVED_AGE_S, last.cost_s * MOVED_SHARE)

    def _look_ahead(self, look: Look) -> None:
        try:
            self.expect_scan()
            self.striker.scout.look_ahead(look.unused_bytes, self.watch.totals(), self.limits())
        except OSError as error:
            self.fault("scan", error)

    def _while_calm(self) -> None:
        if self.reload is not None:
            reload, self.reload = self.reload, None
            reload()
        if self.on_calm is not None:
            self.on_calm()

    def _tell(self, look: Look, now_s: float) -> None:
        striker = self.striker
        health = Health(
            self.ticks, self._tick_s, self.lag_max_s, striker.kills, striker.busy, striker.scout.population
        )
        self._voice.tell(look, health, self.config, now_s)


def _place(error: Exception) -> str:
    """Where it was raised, for whoever has to mend it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (
        ""
        if trace is None
        else f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
    )
