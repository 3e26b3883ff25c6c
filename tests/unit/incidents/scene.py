"""Records and readings as a guard and a reporter make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from oomguardd.history.incident import Reading, Record
from oomguardd.sensors import SIGNALS

MIB, GIB = 1 << 20, 1 << 30
NOON_S = 1795444212.0  # 2026-11-23 14:30:12 UTC
SIGNALS_BY_NAME = {signal.name: signal for signal in SIGNALS}

TRIGGERS: tuple[Record, ...] = (
    {
        "name": "low-memory-warning",
        "level": "warn",
        "conditions": ["mem_available <15%", "mem_available <6G", "swap_free <15%"],
        "bounds": [
            ["mem_available", True, 15, True],
            ["mem_available", True, 6 * GIB, False],
            ["swap_free", True, 15, True],
        ],
        "for_s": 0,
    },
    {
        "name": "low-memory",
        "level": "terminate",
        "conditions": ["mem_available <10%", "mem_available <4G", "swap_free <10%"],
        "bounds": [
            ["mem_available", True, 10, True],
            ["mem_available", True, 4 * GIB, False],
            ["swap_free", True, 10, True],
        ],
        "for_s": 0,
    },
    {
        "name": "very-low-memory",
        "level": "kill",
        "conditions": ["mem_available <5%", "mem_available <2G", "swap_free <5%"],
        "bounds": [
            ["mem_available", True, 5, True],
            ["mem_available", True, 2 * GIB, False],
            ["swap_free", True, 5, True],
        ],
        "for_s": 0,
    },
    {
        "name": "thrashing",
        "level": "terminate",
        "conditions": ["psi_full_10s >40%", "mem_available <20%"],
        "bounds": [["psi_full_10s", False, 40, False], ["mem_available", True, 20, True]],
        "for_s": 0,
    },
)

Wave = Callable[[float], float]


def process(
    pid: int,
    comm: str,
    anon: float,
    cgroup: str,
    swap: float = 0,
    shmem: float = 0,
    file: float = 40 * MIB,
    total: float = 20 * GIB,
    adjustments: Sequence[tuple[str, float, str]] = (),
    **more: object,
) -> dict[str, object]:
    """As a kill record has it, with points of a machine of `total` RAM and swap."""
    tables = int(anon // 500)
    pages = int((anon + swap + shmem + file + tables) // 4096)
    pages += int(float(more.get("oom_score_adj", 0)) * total / 1000 / 4096)  # type: ignore[arg-type]
    points = pages * 4096 * 1000 / total + sum(points for _, points, _ in adjustments)
    return {
        "pid": pid,
        "ppid": 2211,
        "comm": comm,
        "uid": 1000,
        "cgroup": cgroup,
        "state": "R",
        "age_s": 312.0,
        "nice": 0,
        "threads": 12,
        "oom_score_adj": 0,
        "rss_anon_bytes": int(anon),
        "rss_file_bytes": int(file),
        "rss_shmem_bytes": int(shmem),
        "swap_bytes": int(swap),
        "pagetables_bytes": tables,
        "held_bytes": int(anon + swap + tables),
        "kernel_pages": pages,
        "pages": pages,
        "points": round(points, 1),
        "adjustments": [list(one) for one in adjustments],
        **more,
    }


def kill(victim: Mapping[str, object], readings: Mapping[str, float], **more: object) -> dict[str, object]:
    return {
        "kind": "kill",
        "run": "ab12cd34",
        "seq": 3,
        "time_s": NOON_S,
        "kill_id": 1,
        "signal": "SIGTERM",
        "dry_run": False,
        "level": "terminate",
        "triggers": ["low-memory"],
        "conditions": ["mem_available <10%", "mem_available <4G", "swap_free <10%"],
        "readings": dict(readings),
        "domain": "machine",
        "victim": victim,
        "runners_up": [],
        "spared": [
            [812, "Xorg", "draws a screen"],
            [1, "systemd", "it is init"],
            [655, "sshd", "keeps a login"],
            [700, "dbus-daemon", "oom_score_adj is -900"],
            [701, "systemd-logind", "oom_score_adj is -900"],
        ],
        "totals": {"ram_bytes": 16 * GIB, "swap_bytes": 4 * GIB},
        "page_bytes": 4096,
        "timings": {
            "sense_s": 0.0003,
            "scan_s": 0.0071,
            "judge_s": 0.0012,
            "signal_s": 4e-5,
            "total_s": 0.0102,
        },
        "scanned": 412,
        "ahead": True,
        "major_faults": 0,
        **more,
    }


def outcome(after_s: float, before: float, after: float, held: object, **more: object) -> dict[str, object]:
    return {
        "kind": "outcome",
        "run": "ab12cd34",
        "seq": 4,
        "time_s": NOON_S + after_s,
        "kill_id": 1,
        "pid": 4711,
        "comm": "python3",
        "outcome": "died",
        "after_s": after_s,
        "state": "R",
        "held_bytes": held,
        "available_before_bytes": before,
        "available_after_bytes": after,
        "reaped": True,
        "why": "",
        **more,
    }


def level(at_s: float, now: str, was: str, readings: Mapping[str, float]) -> dict[str, object]:
    triggers = [t["name"] for t in TRIGGERS if t["level"] == now]
    return {
        "kind": "level",
        "run": "ab12cd34",
        "seq": 1,
        "time_s": NOON_S + at_s,
        "level": now,
        "was": was,
        "triggers": triggers[:1],
        "readings": dict(readings),
    }


def times(fine_from: float = -2.0, fine_to: float = 2.0) -> Iterator[float]:
    """Each second for a minute before and after, five times as often near the kill."""
    at = -60.0
    while at <= 60:
        yield round(at, 2)
        at += 0.2 if fine_from <= at < fine_to else 1.0


def read(mem: Wave, swap: Wave, full: Wave, total: float = 16 * GIB, swap_total: float = 4 * GIB) -> Machine:
    def at(at_s: float) -> dict[str, float]:
        pressure = min(100.0, max(0.0, full(at_s)))
        return {
            "mem_total": total,
            "mem_available": max(60.0 * MIB, mem(at_s)),
            "swap_total": swap_total,
            "swap_free": max(0.0, swap(at_s)),
            "shmem": 300.0 * MIB,
            "psi_some_10s": min(100.0, pressure * 1.6 + 0.3),
            "psi_full_10s": pressure,
        }

    return at


Machine = Callable[[float], dict[str, float]]


def level_of(values: Mapping[str, float]) -> str:
    mem, swap = values["mem_available"], values["swap_free"]
    share = swap / values["swap_total"] if values["swap_total"] else 0
    for name, bytes_, part in (
        ("kill", 0.8 * GIB, 0.05),
        ("terminate", 1.6 * GIB, 0.1),
        ("warn", 2.4 * GIB, 0.15),
    ):
        if mem < bytes_ and share < part:
            return name
    return "calm"


def readings(at: Machine, moments: Iterator[float], known: bool = True) -> tuple[Reading, ...]:
    return tuple(
        Reading(NOON_S + t, values, level_of(values) if known else "")
        for t, values in ((t, at(t)) for t in moments)
    )
