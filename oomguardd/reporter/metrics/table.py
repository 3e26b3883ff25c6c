"""Every metric that there is: name, type, unit, labels and help. docs/metrics.md has the same table.

Rule of this file: a label's values are words of ours, or names from the configuration, of which there are
few. No pid, no process's name, no cgroup: those are in the journal and in the history.
"""

from __future__ import annotations

from oomguardd.reporter.metrics.readings import READING_ROWS
from oomguardd.reporter.metrics.row import Row, counter, gauge, histogram, info

_THRESHOLD = ("trigger", "level", "signal", "direction")

METRICS: tuple[Row, ...] = (
    # The daemon
    info(
        "oomguard_build_info",
        "always 1",
        "Version of the guard and of the reporter that answers",
        "component",
        "version",
        "python",
    ),
    gauge("oomguard_guard_up", "0 or 1", "Whether the reporter is connected to the guard"),
    gauge("oomguard_armed", "0 or 1", "Whether the guard is connected and has finished its start-up"),
    gauge("oomguard_dry_run", "0 or 1", "Whether nobody is signalled, only reported"),
    gauge("oomguard_memory_locked", "0 or 1", "Whether the guard is locked into memory"),
    gauge("oomguard_realtime", "0 or 1", "Whether the guard runs with real-time priority"),
    gauge("oomguard_psi_source", "0 or 1", "How the guard is woken by memory pressure", "source"),
    gauge(
        "oomguard_missing_abilities",
        "abilities",
        "What guard and reporter have to do without; the journal names each with its remedy",
    ),
    gauge("oomguard_guard_start_timestamp_seconds", "seconds", "When the guard was started, in Unix time"),
    gauge(
        "oomguard_last_look_timestamp_seconds",
        "seconds",
        "When the guard last told what it read, in Unix time; 0 if never",
    ),
    # Configuration
    gauge(
        "oomguard_config_last_reload_successful",
        "0 or 1",
        "Whether the last attempt to load the configuration was a success",
    ),
    gauge(
        "oomguard_config_last_reload_success_timestamp_seconds",
        "seconds",
        "When the configuration was last loaded with success, in Unix time; 0 if never",
    ),
    counter("oomguard_config_reloads_total", "reloads", "Configurations loaded anew with success"),
    counter(
        "oomguard_config_reload_failures_total",
        "reloads",
        "Configurations that could not be loaded; the old one stays in force",
    ),
    # Thresholds and levels
    gauge(
        "oomguard_threshold_bytes",
        "bytes",
        "Where a trigger's condition begins to hold, of a signal that is a size",
        *_THRESHOLD,
    ),
    gauge(
        "oomguard_threshold_ratio",
        "ratio",
        "Where a trigger's condition begins to hold, of a signal that is a share",
        *_THRESHOLD,
    ),
    gauge(
        "oomguard_threshold_bytes_per_second",
        "bytes_per_second",
        "Where a trigger's condition begins to hold, of a signal that is a flow of memory",
        *_THRESHOLD,
    ),
    gauge(
        "oomguard_threshold_events_per_second",
        "events per second",
        "Where a trigger's condition begins to hold, of a signal that is a rate of events",
        *_THRESHOLD,
    ),
    gauge("oomguard_trigger_holding", "0 or 1", "Whether the trigger holds right now", "trigger"),
    gauge(
        "oomguard_level", "0 or 1", "Which level the guard is at: 1 for that one, 0 for the others", "level"
    ),
    counter("oomguard_level_seconds_total", "seconds", "Time spent at each level", "level"),
    counter(
        "oomguard_level_changes_total",
        "changes",
        "How often the level was announced; a fall only after 10 s of calm",
        "level",
    ),
    # Decisions and kills
    counter("oomguard_decisions_total", "decisions", "What the guard decided to do", "decision"),
    counter(
        "oomguard_kills_total",
        "kills",
        "Decisions to kill, by the trigger, the first signal sent, and whether it was a dry run (none sent)",
        "trigger",
        "signal",
        "dry_run",
    ),
    counter(
        "oomguard_killed_processes_total",
        "processes",
        "Processes signalled, by what was killed together",
        "unit",
    ),
    counter(
        "oomguard_kill_adjustments_total",
        "kills",
        "Kills whose victim had its points changed by a policy or a rule, dry runs too",
        "policy",
    ),
    counter("oomguard_kill_outcomes_total", "kills", "How kills ended", "outcome"),
    counter(
        "oomguard_ineffective_kills_total",
        "kills",
        "Kills that brought back less than a quarter of what the victims held",
    ),
    counter("oomguard_freed_bytes_total", "bytes", "Memory that became available between signal and death"),
    counter("oomguard_victims_held_bytes_total", "bytes", "Memory and swap that those who died held"),
    histogram("oomguard_signal_delay_seconds", "seconds", "From the reading that triggered to the signal"),
    histogram("oomguard_death_delay_seconds", "seconds", "From the signal to the last victim's death"),
    gauge(
        "oomguard_last_kill_timestamp_seconds",
        "seconds",
        "When the guard last killed, in Unix time; 0 if never",
    ),
    gauge("oomguard_candidate_processes", "processes", "Processes seen by the last scan"),
    counter(
        "oomguard_protect_adjustments_total",
        "processes",
        "Processes whose oom_score_adj was changed for [[protect]]",
    ),
    # What others kill
    counter(
        "oomguard_kernel_oom_kills_total",
        "kills",
        "OOM kills of the kernel that were seen, by what was short",
        "constraint",
    ),
    gauge(
        "oomguard_last_kernel_oom_kill_timestamp_seconds",
        "seconds",
        "When the kernel's OOM killer was last seen to kill, in Unix time; 0 if never",
    ),
    counter("oomguard_foreign_kills_total", "kills", "Kills by other OOM daemons that were seen", "by"),
    gauge(
        "oomguard_other_oom_daemon",
        "0 or 1",
        "Whether another OOM daemon was running when the guard was started",
        "daemon",
    ),
    counter(
        "oomguard_sigkill_exits_total",
        "processes",
        "Processes that ended by SIGKILL, by who sent it; only with watch.process_events",
        "by",
    ),
    # The cost and the health of the daemon
    counter(
        "oomguard_process_cpu_seconds_total",
        "seconds",
        "Processor time used by guard and reporter",
        "process",
    ),
    gauge("oomguard_process_resident_memory_bytes", "bytes", "Memory of guard and reporter", "process"),
    counter("oomguard_guard_ticks_total", "ticks", "How often the guard has looked"),
    gauge("oomguard_guard_tick_seconds", "seconds", "How long the guard's last look took"),
    gauge("oomguard_guard_lag_max_seconds", "seconds", "The latest that a look has been since the start"),
    counter("oomguard_guard_starts_total", "starts", "Starts of the guard that the reporter has seen"),
    counter("oomguard_guard_stalls_total", "stalls", "Guards that were given up by their watchdog"),
    counter("oomguard_gaps_total", "gaps", "Times in which the guard could not look", "why"),
    counter("oomguard_gap_seconds_total", "seconds", "Time in which the guard could not look", "why"),
    counter("oomguard_faults_total", "faults", "Unforeseen errors of guard and reporter"),
    counter(
        "oomguard_guard_records_dropped_total",
        "records",
        "Records that the guard gave up because nobody took them in time",
    ),
    counter(
        "oomguard_records_lost_total",
        "records",
        "Records that the reporter never got, noticed by their numbers",
    ),
    counter(
        "oomguard_reporter_deliveries_total",
        "records",
        "Records or messages handed over, by whom they are for",
        "to",
    ),
    counter(
        "oomguard_reporter_delivery_failures_total", "records", "Attempts to hand over that failed", "to"
    ),
    counter(
        "oomguard_reporter_records_dropped_total",
        "records",
        "Records that were given up because a queue was full",
        "to",
    ),
    counter(
        "oomguard_reporter_requests_refused_total",
        "requests",
        "Requests that were refused",
        "server",
        "reason",
    ),
    # What the guard reads
    *READING_ROWS,
)

BY_NAME = {row.name: row for row in METRICS}
