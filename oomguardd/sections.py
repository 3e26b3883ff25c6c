"""What the configuration says, as one value: its sections, each field of them a setting (see settings.py).

Rule of this file: no file is read here. The guard holds a Config that another process has read and
checked, so that it needs neither a parser nor a disk; to_wire() and from_wire() are how it gets there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from oomguardd.model import Condition, Level, Trigger
from oomguardd.policies import POLICIES, Policy
from oomguardd.rules import Clause, Protect, Rule
from oomguardd.settings import setting
from oomguardd.units import Amount, choice, parse_amount, parse_duration_s, parse_path, parse_rate_bytes_per_s


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The guard process itself."""

    dry_run: bool = setting("false", bool, "Decide and record, but signal nobody.")
    socket: str = setting("/run/oomguard/guard.sock", parse_path, "Where the reporter connects to the guard.")
    default_triggers: bool = setting(
        "true", bool, "Whether the built-in triggers (below) are in force. false removes all of them."
    )
    lag_limit_s: float = setting(
        "2s",
        parse_duration_s,
        "When the guard's main loop is later than this, its watchdog gives the process up: it is restarted.",
        low="500ms",
        high="1m",
    )
    resume_grace_s: float = setting(
        "10s",
        parse_duration_s,
        "For so long after a resume from suspend only the level kill acts: everything is paged in"
        " again then.",
        high="10m",
    )
    lock_memory: bool = setting("true", bool, "Lock the guard into memory: it never waits for a page.")
    realtime: bool = setting("true", bool, "Run with real-time priority (SCHED_FIFO 1) and with nice -20.")


@dataclass(frozen=True, slots=True)
class PaceSettings:
    """How often the guard looks: the nearer a threshold, the more often."""

    fastest_s: float = setting(
        "50ms", parse_duration_s, "Time between two looks when a threshold is near.", low="10ms", high="10s"
    )
    slowest_s: float = setting(
        "5s", parse_duration_s, "Time between two looks on a calm machine.", low="100ms", high="1m"
    )
    fill_rate_bytes_per_s: int | None = setting(
        "auto",
        parse_rate_bytes_per_s,
        'How fast memory can be filled at most, such as "6G/s". "auto" measures it at start.',
        low="1M/s",
        none="auto",
    )
    swap_rate_bytes_per_s: int = setting(
        "800M/s", parse_rate_bytes_per_s, "How fast swap can be filled at most.", low="1M/s"
    )
    margin: float = setting(
        "2.0",
        float,
        "Sleep for at most 1/margin of the time in which the nearest threshold could be reached.",
        low="1.0",
        high="100.0",
    )


@dataclass(frozen=True, slots=True)
class SelectSettings:
    """Who is killed: the process that the kernel would choose, with two corrections."""

    oom_score_adj_cap: int = setting(
        "100",
        int,
        "A positive oom_score_adj counts as this much at most; 1000 does as the kernel does. Browsers and"
        " Electron give their small renderers 200 to 300, which would make them victims before the real hog.",
        low="0",
        high="1000",
    )
    smallest_victim: Amount = setting(  # noqa: RUF009
        "16M",
        parse_amount,
        "A process whose death would give back less is not worth it, and is spared. A size, or a percentage"
        " of RAM and swap; 0 spares nobody.",
    )
    shortlist: int = setting(
        "64",
        int,
        "How many of the worst candidates are kept from a scan.",
        low="1",
        high="1024",
    )
    swarm: int | None = setting(
        "32",
        int,
        "So many small processes that belong together (same cgroup, user and name) are weighed as one, as a"
        ' fork bomb must be. "off": each alone.',
        low="2",
        none="off",
    )
    runners_up: int = setting(
        "5", int, "How many of those not chosen are named in the record of a kill.", low="0", high="64"
    )


@dataclass(frozen=True, slots=True)
class KillSettings:
    """How a victim is ended, and when the next one is taken."""

    grace_s: float = setting(
        "5s", parse_duration_s, "Time between SIGTERM and SIGKILL (level terminate).", high="10m"
    )
    stuck_after_s: float = setting(
        "5s",
        parse_duration_s,
        "A victim that still lives so long after SIGKILL (and 200 ms for each GiB that it holds) is stuck:"
        " the next one is taken.",
        low="100ms",
        high="10m",
    )
    settle_s: float = setting(
        "1s",
        parse_duration_s,
        "Time that a dead victim's memory is given to show up as available before the next decision.",
        high="1m",
    )
    stand_down_s: float = setting(
        "2s",
        parse_duration_s,
        "After the kernel or another daemon killed something, wait for so long to see whether that helped.",
        high="1m",
    )
    max_per_minute: int = setting(
        "60",
        int,
        "Kill no more than this in a minute: more would be a mistake. It is logged.",
        low="1",
        high="6000",
    )
    max_processes: int = setting(
        "1000",
        int,
        "One decision kills no more processes than this; a larger cgroup, unit or job is not killed as a"
        " whole.",
        low="1",
        high="100000",
    )
    mrelease: bool = setting(
        "true", bool, "Free the victim's memory right after SIGKILL (process_mrelease, Linux 5.15)."
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is written to the log."""

    level: str = setting(
        "info",
        choice("debug", "info", "notice", "warning", "error"),
        "The least important messages that are written: debug, info, notice, warning or error.",
    )
    state_interval_s: float | None = setting(
        "1h",
        parse_duration_s,
        'How often a calm machine\'s readings are logged. "off": never.',
        low="1s",
        none="off",
    )


SECTIONS: dict[str, type] = {
    "guard": GuardSettings,
    "pace": PaceSettings,
    "select": SelectSettings,
    "kill": KillSettings,
    "log": LogSettings,
    **{f"policy.{policy.name}": policy for policy in POLICIES},
}
"""By the name of their table in the file."""

BUILT_IN = "built-in"
"""The origin of whatever no file has set."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be configured. Two are equal if they have the same effect."""

    guard: GuardSettings = field(default_factory=GuardSettings)
    pace: PaceSettings = field(default_factory=PaceSettings)
    select: SelectSettings = field(default_factory=SelectSettings)
    kill: KillSettings = field(default_factory=KillSettings)
    log: LogSettings = field(default_factory=LogSettings)
    policies: tuple[Policy, ...] = field(default_factory=lambda: tuple(policy() for policy in POLICIES))
    """One of each of POLICIES, in that order."""
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    protects: tuple[Protect, ...] = ()
    telling: Any = None
    """What telling.py has. None where nobody tells: in the guard."""
    sources: tuple[str, ...] = field(default=(), compare=False)
    """The files that were read, in order."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What is allowed but hardly meant."""
    origins: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def section(self, name: str) -> Any:
        """The settings below [`name`], one of SECTIONS or, with `telling`, one of its sections."""
        if name.startswith("policy."):
            return next(policy for policy in self.policies if f"policy.{policy.name}" == name)
        return getattr(self if name in SECTIONS else self.telling, name)

    def origin(self, key: str) -> str:
        """The file that set the dotted key ("kill.grace", "trigger.low-memory.level"), or BUILT_IN."""
        return self.origins.get(key, BUILT_IN)


def build(sections: Mapping[str, Any], **others: Any) -> Config:
    """The configuration of these sections, by the names of SECTIONS."""
    plain = {name: value for name, value in sections.items() if not name.startswith("policy.")}
    policies = tuple(sections[f"policy.{policy.name}"] for policy in POLICIES)
    return Config(**plain, policies=policies, **others)


def to_wire(config: Config) -> dict[str, Any]:
    """The configuration in what JSON has, without loss."""
    return {
        **{name: _fields(config.section(name)) for name in SECTIONS},
        "triggers": [_fields(trigger) for trigger in config.triggers],
        "rules": [_fields(rule) for rule in config.rules],
        "protects": [_fields(protect) for protect in config.protects],
        "sources": config.sources,
        "warnings": config.warnings,
        "origins": config.origins,
    }


def from_wire(wire: Mapping[str, Any]) -> Config:
    """What to_wire() was given. KeyError, TypeError or ValueError if it is anything else."""
    return build(
        {name: _section(section, wire[name]) for name, section in SECTIONS.items()},
        triggers=tuple(_trigger(**trigger) for trigger in wire["triggers"]),
        rules=tuple(Rule(**rule | {"match": _match(rule["match"])}) for rule in wire["rules"]),
        protects=tuple(
            Protect(**protect | {"match": _match(protect["match"])}) for protect in wire["protects"]
        ),
        sources=tuple(wire["sources"]),
        warnings=tuple(wire["warnings"]),
        origins=dict(wire["origins"]),
    )


def _section(section: type, wire: Mapping[str, Any]) -> Any:
    """JSON has lists only: an amount of the section's was one of two."""
    amounts = {row.name for row in fields(section) if isinstance(row.default, Amount)}
    return section(**dict(wire) | {name: Amount(*wire[name]) for name in amounts})


def _match(wire: list[list[Any]]) -> tuple[Clause, ...]:
    clauses = (Clause(*row) for row in wire)
    return tuple(c._replace(texts=tuple(c.texts), numbers=tuple(c.numbers)) for c in clauses)


def _fields(value: Any) -> dict[str, Any]:
    return {row.name: getattr(value, row.name) for row in fields(value)}


def _trigger(name: str, level: int, conditions: list[list[Any]], for_s: float) -> Trigger:
    return Trigger(name, Level(level), tuple(Condition(*condition) for condition in conditions), for_s)
