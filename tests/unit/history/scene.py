"""Records of a guard that kills, for the history's tests."""

from __future__ import annotations

from typing import Any

NOON_S = 1_795_435_200.0
"""2026-11-23 12:00:00 UTC."""

RUN = "0123456789abcdef"
TRIGGERS = [
    {
        "name": "low-memory",
        "level": "terminate",
        "conditions": ["mem_available <10%"],
        "for_s": 0.0,
        "bounds": [["mem_available", True, 10.0, True]],
    }
]
MIB = 1 << 20
YEAR_S = 365 * 86400.0


def record(kind: str, seq: int, time_s: float = NOON_S, **more: object) -> dict[str, Any]:
    """One of the guard's, as it comes over the socket."""
    return {"kind": kind, "run": RUN, "seq": seq, "time_s": time_s, "priority": 5, **more}


def started(seq: int = 1, time_s: float = NOON_S, **more: object) -> dict[str, Any]:
    return record("started", seq, time_s, version="0.1.0", pid=77, triggers=TRIGGERS, **more)


def kill(
    seq: int, time_s: float = NOON_S, kill_id: int = 0, pid: int = 4711, **more: object
) -> dict[str, Any]:
    victim = {
        "pid": pid,
        "comm": "leak",
        "uid": 1000,
        "cgroup": "/system.slice/leaky.service",
        "held_bytes": 800 * MIB,
    }
    fields: dict[str, object] = {
        "kill_id": kill_id or seq,
        "signal": "SIGTERM",
        "dry_run": False,
        "level": "terminate",
        "triggers": ["low-memory"],
        "conditions": ["mem_available <10%"],
        "readings": {"mem_total": 1000.0 * MIB, "mem_available": 60.0 * MIB},
        "victim": victim,
        "runners_up": [],
        "spared": [[1, "systemd", "init"]],
    }
    return record("kill", seq, time_s, **(fields | more))


def outcome(seq: int, kill_id: int, time_s: float = NOON_S + 0.1, **more: object) -> dict[str, Any]:
    fields: dict[str, object] = {
        "kill_id": kill_id,
        "pid": 4711,
        "comm": "leak",
        "outcome": "died",
        "after_s": 0.1,
        "held_bytes": 800 * MIB,
        "available_before_bytes": 60 * MIB,
        "available_after_bytes": 850 * MIB,
        "why": "",
    }
    return record("outcome", seq, time_s, **(fields | more))


def kernel_kill(key: str, time_s: float = NOON_S, pid: int = 815, **more: object) -> dict[str, Any]:
    fields: dict[str, object] = {
        "kind": "kernel_kill",
        "seq": 0,
        "priority": 2,
        "time_s": time_s,
        "key": key,
        "pid": pid,
        "comm": "java",
        "cgroup": "/system.slice/app.service",
        "limit_cgroup": "/system.slice/app.service",
        "constraint": "memcg",
        "held_bytes": 512 * MIB,
    }
    return fields | more


def tick(time_s: float, available_bytes: float = 500.0 * MIB) -> dict[str, Any]:
    """A look of the guard, which is no event."""
    readings = {"mem_total": 1000.0 * MIB, "mem_available": available_bytes, "psi_some_10s": 3.25}
    return record("tick", 0, time_s, level="calm", readings=readings)
