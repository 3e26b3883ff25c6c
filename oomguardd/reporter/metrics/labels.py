"""What the tally counts: every counter, the series that it begins with, and the buckets of times. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from oomguardd.model import KILL_UNITS
from oomguardd.policies import POLICIES
from oomguardd.reporter.metrics.book import Labels

OTHER = "other"
"""The label of what has no name of its own here."""

LEVELS = ("calm", "warn", "terminate", "kill")
SIGNALS = ("SIGTERM", "SIGKILL")
DRY = ("true", "false")
OUTCOMES = ("died", "died late", "vanished", "stuck", "refused")
DECISIONS = ("kill", "escalate", "nobody", "limit", "stand down", "wait")
UNITS = (*KILL_UNITS, "swarm")
ADJUSTERS = (*(policy.name for policy in POLICIES), "rule", "swarm", "oom_score_adj_cap")
CONSTRAINTS = ("none", "cpuset", "memory_policy", "memcg", "unknown")
DAEMONS = ("systemd-oomd", "earlyoom", "nohang", "oomd", "bustd", OTHER)
SENDERS = ("oomguardd", "kernel", *DAEMONS, "unknown")
GAPS = ("suspend", "pause")

SIGNAL_DELAY = "oomguard_signal_delay_seconds"
DEATH_DELAY = "oomguard_death_delay_seconds"
LAST_KILL = "oomguard_last_kill_timestamp_seconds"
LAST_KERNEL_KILL = "oomguard_last_kernel_oom_kill_timestamp_seconds"
LAST_RELOAD = "oomguard_config_last_reload_success_timestamp_seconds"
LASTS = (LAST_KILL, LAST_KERNEL_KILL, LAST_RELOAD)


def _each(*words: str) -> tuple[Labels, ...]:
    return tuple((word,) for word in words)


_ALONE: tuple[Labels, ...] = ((),)

COUNTERS: Mapping[str, tuple[Labels, ...]] = {
    "oomguard_decisions_total": _each(*DECISIONS),
    "oomguard_kills_total": tuple((OTHER, number, dry) for number in SIGNALS for dry in DRY),
    "oomguard_killed_processes_total": _each(*UNITS, OTHER),
    "oomguard_kill_adjustments_total": _each(*ADJUSTERS, OTHER),
    "oomguard_kill_outcomes_total": _each(*OUTCOMES, OTHER),
    "oomguard_ineffective_kills_total": _ALONE,
    "oomguard_freed_bytes_total": _ALONE,
    "oomguard_victims_held_bytes_total": _ALONE,
    "oomguard_level_seconds_total": _each(*LEVELS),
    "oomguard_level_changes_total": _each(*LEVELS),
    "oomguard_kernel_oom_kills_total": _each(*CONSTRAINTS),
    "oomguard_foreign_kills_total": _each(*DAEMONS),
    "oomguard_sigkill_exits_total": _each(*SENDERS),
    "oomguard_protect_adjustments_total": _ALONE,
    "oomguard_config_reloads_total": _ALONE,
    "oomguard_config_reload_failures_total": _ALONE,
    "oomguard_guard_starts_total": _ALONE,
    "oomguard_guard_stalls_total": _ALONE,
    "oomguard_gaps_total": _each(*GAPS, OTHER),
    "oomguard_gap_seconds_total": _each(*GAPS, OTHER),
    "oomguard_faults_total": _ALONE,
    "oomguard_records_lost_total": _ALONE,
}
"""Every counter, and the series of it that are there from the beginning."""

HISTOGRAMS: Mapping[str, tuple[float, ...]] = {
    SIGNAL_DELAY: (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
    DEATH_DELAY: (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
}
"""Bounds of the buckets: a signal takes milliseconds, a death up to the grace time and more."""


def known(word: str, words: tuple[str, ...], otherwise: str = OTHER) -> str:
    return word if word in words else otherwise
