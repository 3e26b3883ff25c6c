"""What the guard says while nothing happens: its level, its readings, its own health.

Rule of this file: the last thing in a tick, after whatever had to be done. Nothing here decides or waits.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.guard import records
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.strike import Look
from oomguardd.kernel.clock import monotonic_s, process_cpu_s
from oomguardd.kernel.notify import Notifier
from oomguardd.model import Level
from oomguardd.sections import Config

CALMER_AFTER_S = 10.0
"""A level that falls is told when it has stayed lower for so long: a reading on the edge is one message."""
STATUS_EVERY_S = 30.0
TICK_EVERY_S = 0.2
"""Looks are told to the reporter this often at most; near a threshold there are twenty a second."""


class Health(NamedTuple):
    """How the guard itself is."""

    ticks: int
    tick_s: float
    """How long the last tick took."""
    lag_max_s: float
    kills: int
    busy: bool
    """Whether a victim is dying."""
    processes: int
    """As of the last scan."""


class Voice:
    """See the head of this file."""

    def __init__(self, outbox: Outbox, notifier: Notifier) -> None:
        self._outbox = outbox
        self._notifier = notifier
        self._told = Level.CALM
        self._lower_since_s: float | None = None
        self._status_s = float("-inf")
        self._tick_s = float("-inf")
        self._state_s = monotonic_s()

    def tell(self, look: Look, health: Health, config: Config, now_s: float) -> None:
        """After every look; what is said, and how often, is decided here."""
        self._tell_level(look, now_s)
        if self._outbox.peers and now_s - self._tick_s >= TICK_EVERY_S:
            self._tick_s = now_s
            self._tell_tick(look, health)
        if config.log.state_interval_s is not None and now_s - self._state_s >= config.log.state_interval_s:
            self._state_s = now_s
            self._outbox.put_state(
                "state",
                6,
                level=records.LEVEL_WORDS[look.assessment.level],
                readings=records.readings(look.sample),
                ticks=health.ticks,
                lag_max_s=round(health.lag_max_s, 4),
                dropped=self._outbox.dropped,
            )
        if self._notifier.connected and now_s - self._status_s >= STATUS_EVERY_S:
            self._status_s = now_s
            self._notifier.send(f"STATUS={status_words(look, health.kills, config.guard.dry_run)}")

    def _tell_tick(self, look: Look, health: Health) -> None:
        self._outbox.put_state(
            "tick",
            7,
            level=records.LEVEL_WORDS[look.assessment.level],
            triggers=[t.name for t in look.assessment.holding],
            readings=records.readings(look.sample),
            ticks=health.ticks,
            tick_s=round(health.tick_s, 6),
            lag_max_s=round(health.lag_max_s, 4),
            cpu_s=round(process_cpu_s(), 3),
            kills=health.kills,
            busy=health.busy,
            processes=health.processes,
            dropped=self._outbox.dropped,
        )

    def _tell_level(self, look: Look, now_s: float) -> None:
        level = look.assessment.level
        if level >= self._told:
            self._lower_since_s = None
        elif self._lower_since_s is None:
            self._lower_since_s = now_s
        lowered = self._lower_since_s is not None and now_s - self._lower_since_s >= CALMER_AFTER_S
        if level > self._told or lowered:
            self._outbox.put(
                "level",
                {Level.CALM: 6, Level.WARN: 5, Level.TERM: 4, Level.KILL: 3}[level],
                level=records.LEVEL_WORDS[level],
                was=records.LEVEL_WORDS[self._told],
                triggers=[t.name for t in look.assessment.holding],
                readings=records.readings(look.sample),
            )
            self._told, self._lower_since_s, self._status_s = level, None, float("-inf")


def status_words(look: Look, kills: int, dry_run: bool) -> str:
    """For `systemctl status`: one line."""
    sample = look.sample
    available = 100 * sample.get("mem_available", 0.0) / max(1.0, sample.get("mem_total", 0.0))
    words = [records.LEVEL_WORDS[look.assessment.level], f"memory available {available:.0f}%"]
    if sample.get("swap_total"):
        words.append(f"swap free {100 * sample.get('swap_free', 0.0) / sample['swap_total']:.0f}%")
    if "psi_some_avg10" in sample:
        words.append(f"some avg10 {sample['psi_some_avg10']:.1f}%")
    words.append(f"{kills} kills" if kills else "no kills")
    if dry_run:
        words.append("dry run")
    return ", ".join(words)
