"""Records of a machine that has seen everything once, as the guard and the reporter make them."""

from __future__ import annotations

from typing import Any

from oomguardd.reporter.meters import Meters
from oomguardd.reporter.metrics.exposition import Exposition
from oomguardd.reporter.metrics.tally import Tally
from oomguardd.reporter.present import Present
from oomguardd.sensors import SIGNALS

MIB = 1 << 20
GIB = 1 << 30
BEGUN_S = 1_700_000_000.0

TRIGGERS = [
    {
        "name": "low-memory",
        "level": "terminate",
        "for_s": 0.0,
        "conditions": ["mem_available <10%", "swap_free <10%"],
        "bounds": [["mem_available", True, 10.0, True], ["swap_free", True, 10.0, True]],
    },
    {
        "name": "thrashing",
        "level": "kill",
        "for_s": 5.0,
        "conditions": ["psi_full_10s >40", "refault_rate >100M/s", "major_fault_rate >1000"],
        "bounds": [
            ["psi_full_10s", False, 40.0, False],
            ["refault_rate", False, 1e8, False],
            ["major_fault_rate", False, 1000.0, False],
        ],
    },
    {
        "name": "soon",
        "level": "warn",
        "for_s": 0.0,
        "conditions": ["mem_available <20%"],
        "bounds": [["mem_available", True, 20.0, True]],
    },
]

READINGS = {
    **{signal.name: 12.5 for signal in SIGNALS},
    "mem_total": 16.0 * GIB,
    "mem_available": 2.0 * GIB,
    "swap_total": 4.0 * GIB,
    "swap_free": 1.0 * GIB,
    "oom_kills": 3.0,
}


def started(**more: object) -> dict[str, Any]:
    return {
        "kind": "started",
        "run": "ab12",
        "seq": 1,
        "time_s": BEGUN_S,
        "version": "9.9",
        "pid": 1,
        "dry_run": False,
        "triggers": TRIGGERS,
        **more,
    }


def armed(**more: object) -> dict[str, Any]:
    return {
        "kind": "armed",
        "run": "ab12",
        "seq": 2,
        "time_s": BEGUN_S + 1,
        "locked": True,
        "realtime": True,
        "psi_source": "openfile",
        **more,
    }


def tick(at_s: float, level: str = "calm", **more: object) -> dict[str, Any]:
    return {
        "kind": "tick",
        "run": "ab12",
        "seq": 0,
        "time_s": BEGUN_S + at_s,
        "level": level,
        "triggers": [],
        "readings": READINGS,
        "ticks": 10,
        "tick_s": 0.001,
        "lag_max_s": 0.01,
        "cpu_s": 1.25,
        "dropped": 0,
        "processes": 321,
        **more,
    }


def kill(kill_id: int = 1, **more: object) -> dict[str, Any]:
    return {
        "kind": "kill",
        "run": "ab12",
        "seq": 0,
        "time_s": BEGUN_S + 60,
        "kill_id": kill_id,
        "signal": "SIGTERM",
        "dry_run": False,
        "level": "terminate",
        "triggers": ["low-memory", "soon"],
        "victim": {
            "pid": 4711,
            "comm": "hog",
            "adjustments": [["nice", 3.0, "nice 10"], ["rule builds", 20.0, "prefer"]],
        },
        "party": {"unit": "cgroup", "count": 3, "held_bytes": GIB},
        "timings": {"total_s": 0.004},
        **more,
    }


def outcome(kill_id: int = 1, **more: object) -> dict[str, Any]:
    return {
        "kind": "outcome",
        "run": "ab12",
        "seq": 0,
        "time_s": BEGUN_S + 61,
        "kill_id": kill_id,
        "outcome": "died",
        "after_s": 0.3,
        "held_bytes": GIB,
        "available_before_bytes": 100 * MIB,
        "available_after_bytes": 1100 * MIB,
        **more,
    }


def everything() -> list[dict[str, Any]]:
    """Each kind of record at least once."""
    begun = {"run": "ab12", "seq": 0, "time_s": BEGUN_S + 70}
    return [
        started(),
        {"kind": "missing", "what": "PSI", "cost": "-", "remedy": "-", **begun},
        armed(),
        tick(2),
        tick(4, "terminate", triggers=["low-memory", "soon"]),
        {**begun, "kind": "level", "level": "terminate", "was": "calm", "time_s": BEGUN_S + 5},
        kill(),
        outcome(),
        kill(2, dry_run=True, signal="SIGKILL", triggers=["thrashing"]),
        outcome(3, outcome="stuck", available_after_bytes=None),
        {"kind": "escalated", "kill_id": 1, **begun},
        {"kind": "nobody", "level": "kill", "triggers": ["thrashing"], **begun},
        {"kind": "limit", "per_minute": 60, "level": "kill", **begun},
        {"kind": "stand_down", "why": "-", "for_s": 2.0, "kernel_kills": 1, **begun},
        {"kind": "foreign", "pid": 5, "comm": "x", "why": "-", **begun},
        {"kind": "reloaded", "triggers": TRIGGERS, "changes": [], "dry_run": False, **begun},
        {"kind": "reload_failed", "problems": ["no such setting"], **begun},
        {"kind": "gap", "why": "suspend", "lost_s": 30.0, **begun},
        {"kind": "stalled", "lost_s": None, "traceback": "", **begun},
        {"kind": "fault", "where": "-", "error": "-", "count": 2, **begun},
        {"kind": "lost", "count": 4, **begun},
        {"kind": "adjusted", "protect": "ssh", "count": 5, "dry_run": False, **begun},
        {"kind": "kernel_kill", "key": "k1", "constraint": "memcg", "time_s": BEGUN_S + 80},
        {"kind": "foreign_kill", "key": "f1", "by": "earlyoom", "time_s": BEGUN_S + 81},
        {"kind": "exit", "key": "e1", "by": "kernel", "time_s": BEGUN_S + 82},
        tick(90),
        tick(95),
    ]


class Machine:
    """What a reporter knows, and its metrics. `clock_s` is what the cache goes by."""

    def __init__(self, *records: dict[str, Any], connected: bool = True) -> None:
        self.present, self.tally, self.meters = Present(), Tally(), Meters()
        self.present.connected = connected
        self.clock_s = 0.0
        self.exposition = Exposition(self.present, self.tally, self.meters, "9.9", clock=lambda: self.clock_s)
        self.tell(*records)

    def tell(self, *records: dict[str, Any]) -> None:
        for record in records:
            self.present.take(record)
            self.tally.fold(record)

    def text(self, openmetrics: bool = False) -> str:
        """As it is now, never from the cache."""
        self.clock_s += 1.0
        return self.exposition.body(openmetrics).decode()

    def series(self) -> dict[str, float]:
        """`name{labels}` -> value."""
        lines = (line for line in self.text().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
