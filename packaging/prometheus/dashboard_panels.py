"""What the dashboard shows: rows of panels, each with what Prometheus is asked for.

Rule of this file: an @ stands for the job and the instance that were chosen, and legends begin with the
instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Mappings = Mapping[str, tuple[str, str]]
"""Value -> text and colour."""


class Panel(NamedTuple):
    """One panel; `unit` is one of Grafana's."""

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    """Legend -> expression."""
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    mappings: Mappings | None = None


def stat(title: str, description: str, unit: str, expression: str, mappings: Mappings | None = None) -> Panel:
    """One number, in a small panel."""
    return Panel(title, description, unit, {"": expression}, "stat", 4, 5, mappings)


def quantiles(title: str, description: str, histogram: str) -> Panel:
    """Median and 99% of the time shown."""
    buckets = f"sum by (le, instance) (increase({histogram}_bucket{{@}}[$__range]))"
    queries = {"median": f"histogram_quantile(0.5, {buckets})", "99%": f"histogram_quantile(0.99, {buckets})"}
    return Panel(title, description, "s", queries)


def growth(counter: str) -> str:
    return f"increase({counter}{{@}}[$__rate_interval])"


def events(counter: str) -> str:
    """A whole number, and nothing where nothing happened."""
    return f"round({growth(counter)}) > 0"


YES_NO = {"0": ("no", "red"), "1": ("yes", "green")}
NO_YES = {"0": ("no", "green"), "1": ("yes", "orange")}
LEVELS = {"0": ("calm", "green"), "1": ("warn", "yellow"), "2": ("terminate", "orange"), "3": ("kill", "red")}
LEVEL = (
    'sum by (instance) (oomguard_level{@, level="warn"} * 1 or oomguard_level{@, level="terminate"} * 2'
    ' or oomguard_level{@, level="kill"} * 3)'
)

ROWS: dict[str, tuple[Panel, ...]] = {
    "Now": (
        stat("Level", "What the guard thinks of the machine's memory.", "none", LEVEL, LEVELS),
        stat("Armed", "Whether a guard is there that could kill.", "none", "oomguard_armed{@}", YES_NO),
        stat(
            "Dry run",
            "Whether victims are only chosen, and nobody is signalled.",
            "none",
            "oomguard_dry_run{@}",
            NO_YES,
        ),
        stat(
            "Kills",
            "Decisions to kill in the time shown, without dry runs.",
            "short",
            'round(sum by (instance) (increase(oomguard_kills_total{@, dry_run="false"}[$__range])))',
        ),
        stat(
            "Kernel's kills",
            "Kills by the kernel's OOM killer in the time shown, those at a cgroup's limit among them.",
            "short",
            "round(sum by (instance) (increase(oomguard_kernel_oom_kills_total{@}[$__range])))",
        ),
        stat(
            "Since the last kill",
            "Empty if oomguardd has never killed.",
            "s",
            "time() - (oomguard_last_kill_timestamp_seconds{@} > 0)",
        ),
    ),
    "Memory, as the guard sees it": (
        Panel(
            "Memory available",
            "What can be had without swapping, and the thresholds below which a trigger's condition holds.",
            "bytes",
            {
                "": "oomguard_memory_available_bytes{@}",
                "{{trigger}} ({{level}})": 'oomguard_threshold_bytes{@, signal="mem_available"}',
            },
        ),
        Panel(
            "Swap free",
            "Swap that is left, and the thresholds below which a trigger's condition holds.",
            "bytes",
            {
                "": "oomguard_swap_free_bytes{@}",
                "{{trigger}} ({{level}})": 'oomguard_threshold_bytes{@, signal="swap_free"}',
            },
        ),
        Panel(
            "Memory pressure",
            "Share of time in which some or all tasks waited for memory, and the thresholds of triggers.",
            "percentunit",
            {
                "{{kind}} {{window}}": 'oomguard_memory_pressure_ratio{@, window=~"10s|avg10"}',
                "{{trigger}} ({{level}}, {{signal}})": 'oomguard_threshold_ratio{@, signal=~"psi.*"}',
            },
        ),
        Panel(
            "Level",
            "The level at each scrape; time at a level that no scrape saw is in the next panel.",
            "none",
            {"": LEVEL},
            kind="state-timeline",
            mappings=LEVELS,
        ),
        Panel(
            "Time at each level",
            "Share of time that the guard spent at each level but calm.",
            "percentunit",
            {"{{level}}": 'rate(oomguard_level_seconds_total{@, level!="calm"}[$__rate_interval])'},
        ),
        Panel(
            "Reclaim and swapping",
            "Flows of memory that tell thrashing from mere use: refaults are memory read back soon after.",
            "Bps",
            {
                "refaults": "oomguard_refault_bytes_per_second{@}",
                "direct reclaim": "oomguard_direct_reclaim_bytes_per_second{@}",
                "swap in": "oomguard_swap_in_bytes_per_second{@}",
                "swap out": "oomguard_swap_out_bytes_per_second{@}",
            },
        ),
    ),
    "Kills": (
        Panel(
            "Kills by trigger",
            "Decisions to kill, with the first signal sent; dry runs are named as such.",
            "short",
            {"{{trigger}} {{signal}} (dry run: {{dry_run}})": events("oomguard_kills_total")},
        ),
        Panel(
            "How they ended",
            "Outcomes of kills: stuck ones do not die, refused ones could not be signalled.",
            "short",
            {
                "{{outcome}}": events("oomguard_kill_outcomes_total"),
                "did not help": events("oomguard_ineffective_kills_total"),
            },
        ),
        quantiles(
            "From the reading to the signal",
            "How long the guard took to choose and to signal.",
            "oomguard_signal_delay_seconds",
        ),
        quantiles(
            "From the signal to the death",
            "How long victims took to die: after SIGTERM up to the grace time and more.",
            "oomguard_death_delay_seconds",
        ),
        Panel(
            "Memory given back",
            "What became available between signal and death, beside what the victims held.",
            "bytes",
            {
                "freed": growth("oomguard_freed_bytes_total"),
                "held": growth("oomguard_victims_held_bytes_total"),
            },
        ),
        Panel(
            "Killed by others",
            "Kills by the kernel, by what was short, and by other OOM daemons.",
            "short",
            {
                "kernel, {{constraint}}": events("oomguard_kernel_oom_kills_total"),
                "{{by}}": events("oomguard_foreign_kills_total"),
            },
        ),
        Panel(
            "Decisions",
            "What the guard decided to do, kills among it.",
            "short",
            {"{{decision}}": events("oomguard_decisions_total")},
        ),
        Panel(
            "Policies and rules at work",
            "Kills whose victim had its points changed by a policy or a rule.",
            "short",
            {"{{policy}}": events("oomguard_kill_adjustments_total")},
        ),
    ),
    "The daemon itself": (
        Panel(
            "Processor time",
            "Of guard and reporter, as a share of one processor.",
            "percentunit",
            {"{{process}}": "rate(oomguard_process_cpu_seconds_total{@}[$__rate_interval])"},
        ),
        Panel(
            "Memory",
            "Resident memory of guard and reporter.",
            "bytes",
            {"{{process}}": "oomguard_process_resident_memory_bytes{@}"},
        ),
        Panel(
            "Looks",
            "How long the guard's last look took, and how late a look has been at worst since its start.",
            "s",
            {"last look": "oomguard_guard_tick_seconds{@}", "latest": "oomguard_guard_lag_max_seconds{@}"},
        ),
        Panel(
            "Records that did not arrive",
            "Dropped by the guard, lost on the way, or given up by the reporter.",
            "short",
            {
                "dropped by the guard": growth("oomguard_guard_records_dropped_total"),
                "lost": growth("oomguard_records_lost_total"),
                "dropped for {{to}}": growth("oomguard_reporter_records_dropped_total"),
                "failed, {{to}}": growth("oomguard_reporter_delivery_failures_total"),
            },
        ),
        Panel(
            "Configuration in force",
            "Whether the last configuration could be loaded.",
            "none",
            {"": "oomguard_config_last_reload_successful{@}"},
            kind="state-timeline",
            mappings=YES_NO,
        ),
        Panel(
            "Refused requests",
            "Requests to the reporter's servers that were refused, and why.",
            "short",
            {"{{server}}, {{reason}}": events("oomguard_reporter_requests_refused_total")},
        ),
    ),
}
