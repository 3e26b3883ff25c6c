"""Records as the guard sends them, and a client of the control socket that is no program of ours."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

from oomguardd.reporter.present import Present

MIB = 1 << 20
GIB = 1 << 30
NOW_S = 1_800_000_000.0
RUN = "r1"

READINGS = {
    "mem_total": 16.0 * GIB,
    "mem_available": 10.0 * GIB,
    "swap_total": 2.0 * GIB,
    "swap_free": 1.5 * GIB,
    "psi_some_10s": 3.25,
    "psi_full_10s": 1.5,
    "reclaim_scan_rate": 0.25 * MIB,
    "oom_kills": 0.0,
}

TRIGGERS: list[dict[str, object]] = [
    {
        "name": "low-memory-warning",
        "level": "warn",
        "conditions": ["mem_available <15%", "mem_available <6G", "swap_free <15%"],
        "bounds": [
            ["mem_available", True, 15.0, True],
            ["mem_available", True, 6.0 * GIB, False],
            ["swap_free", True, 15.0, True],
        ],
        "for_s": 0.0,
    },
    {
        "name": "low-memory",
        "level": "terminate",
        "conditions": ["mem_available <10%", "mem_available <4G", "swap_free <10%"],
        "bounds": [
            ["mem_available", True, 10.0, True],
            ["mem_available", True, 4.0 * GIB, False],
            ["swap_free", True, 10.0, True],
        ],
        "for_s": 0.0,
    },
    {
        "name": "very-low-memory",
        "level": "kill",
        "conditions": ["mem_available <5%", "mem_available <2G", "swap_free <5%"],
        "bounds": [
            ["mem_available", True, 5.0, True],
            ["mem_available", True, 2.0 * GIB, False],
            ["swap_free", True, 5.0, True],
        ],
        "for_s": 0.0,
    },
    {
        "name": "thrashing",
        "level": "terminate",
        "conditions": ["psi_full_10s >40%", "mem_available <20%", "reclaim_scan_rate >1M/s"],
        "bounds": [
            ["psi_full_10s", False, 40.0, False],
            ["mem_available", True, 20.0, True],
            ["reclaim_scan_rate", False, 1.0 * MIB, False],
        ],
        "for_s": 0.0,
    },
    {
        "name": "hard-thrashing",
        "level": "kill",
        "conditions": ["psi_full_10s >75%", "mem_available <15%", "reclaim_scan_rate >1M/s"],
        "bounds": [
            ["psi_full_10s", False, 75.0, False],
            ["mem_available", True, 15.0, True],
            ["reclaim_scan_rate", False, 1.0 * MIB, False],
        ],
        "for_s": 5.0,
    },
]


def record(kind: str, ago_s: float = 0.0, seq: int = 0, **fields: Any) -> dict[str, Any]:
    """As it comes over the socket, made so long before NOW_S."""
    return {"kind": kind, "run": RUN, "seq": seq, "time_s": NOW_S - ago_s, "priority": 5, **fields}


def started(ago_s: float = 11_500.0, **fields: object) -> dict[str, object]:
    given: dict[str, Any] = {
        "version": "0.1.0",
        "pid": 812,
        "dry_run": False,
        "sources": ["/etc/oomguard.toml", "/etc/oomguard.toml.d/50-site.toml"],
        "triggers": TRIGGERS,
    }
    return record("started", ago_s, 1, **(given | fields))


def armed(ago_s: float = 11_499.0) -> dict[str, object]:
    return record(
        "armed",
        ago_s,
        2,
        took_s=0.4,
        rss_bytes=21 * MIB,
        locked=True,
        realtime=True,
        processes=310,
        psi_source="openfile",
    )


def tick(ago_s: float = 0.5, level: object = "calm", **fields: object) -> dict[str, object]:
    given: dict[str, Any] = {
        "level": level,
        "triggers": [],
        "readings": READINGS,
        "ticks": 2305,
        "tick_s": 0.00042,
        "lag_max_s": 0.0031,
        "cpu_s": 1.24,
        "kills": 2,
        "busy": False,
        "processes": 312,
        "dropped": 0,
    }
    return record("tick", ago_s, **(given | fields))


def kill(ago_s: float, kill_id: int, comm: str = "hog", **fields: object) -> dict[str, object]:
    victim = {
        "pid": 4790 + kill_id,
        "comm": comm,
        "uid": 1000,
        "cgroup": "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-hog-4790.scope",
        "held_bytes": 1_150 * MIB,
    }
    given: dict[str, Any] = {
        "kill_id": kill_id,
        "signal": "SIGTERM",
        "dry_run": False,
        "level": "terminate",
        "triggers": ["low-memory"],
        "conditions": ["mem_available <10%"],
        "readings": READINGS,
        "victim": victim,
    }
    return record("kill", ago_s, 10 + kill_id, **(given | fields))


def outcome(ago_s: float, kill_id: int, **fields: object) -> dict[str, object]:
    given: dict[str, Any] = {
        "kill_id": kill_id,
        "pid": 4790 + kill_id,
        "comm": "hog",
        "outcome": "died",
        "after_s": 0.816,
        "held_bytes": 1_150 * MIB,
        "available_before_bytes": 34 * MIB,
        "available_after_bytes": 1_180 * MIB,
    }
    return record("outcome", ago_s, 20 + kill_id, **(given | fields))


def kernel_kill(ago_s: float, **fields: object) -> dict[str, object]:
    given: dict[str, Any] = {
        "kind": "kernel_kill",
        "seq": 0,
        "time_s": NOW_S - ago_s,
        "priority": 2,
        "key": "kmsg:1",
        "source": "kmsg",
        "pid": 991,
        "comm": "mysqld",
        "uid": 27,
        "cgroup": "/system.slice/mysql.service",
        "constraint": "memcg",
        "held_bytes": 2 * GIB,
        "count": 1,
    }
    return given | fields


def present_of(*records: dict[str, object], connected: bool = True) -> Present:
    """What is known after these."""
    present = Present()
    present.connected = connected
    for each in records:
        present.take(each)
    return present


def calm() -> Present:
    """A guard that has run for three hours and has killed two."""
    return present_of(
        started(),
        armed(),
        record("missing", 11_499.5, 3, what="zswap", cost="its pool is not seen", remedy="Linux 5.19"),
        kill(3000, 1),
        outcome(2999, 1),
        kernel_kill(900),
        tick(),
    )


class Client:
    """A varlink client that takes nothing but what the protocol says."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(path))
        self._rest = b""

    def send(self, method: str, parameters: dict[str, Any] | None = None, **flags: bool) -> None:
        call: dict[str, Any] = {"method": method, **flags}
        if parameters is not None:
            call["parameters"] = parameters
        self.sock.sendall(json.dumps(call).encode() + b"\0")

    def reply(self) -> dict[str, Any]:
        """The next one; EOFError when the server has closed."""
        while b"\0" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        found = json.loads(message.decode("ascii"), parse_constant=_no_constant)
        assert isinstance(found, dict)
        assert set(found) <= {"parameters", "error", "continues"}
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # no half surrogates
        return found

    def ask(self, method: str, parameters: dict[str, Any] | None = None, **flags: bool) -> dict[str, Any]:
        self.send(method, parameters, **flags)
        return self.reply()

    def close(self) -> None:
        self.sock.close()


def _no_constant(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


async def asked(path: Path, method: str, parameters: dict[str, Any] | None = None, **flags: bool) -> Any:
    """One call on a connection of its own."""

    def talk() -> dict[str, Any]:
        client = Client(path)
        try:
            return client.ask(method, parameters, **flags)
        finally:
            client.close()

    return await asyncio.to_thread(talk)


def pressed() -> Present:
    """Level kill, and hardly anything left."""
    readings = READINGS | {
        "mem_available": 0.5 * GIB,
        "swap_free": 0.0,
        "psi_some_10s": 82.0,
        "psi_full_10s": 61.5,
        "reclaim_scan_rate": 700.0 * MIB,
    }
    return present_of(
        started(dry_run=True),
        armed(),
        kill(90_000, 1, comm="chrome \x1b[31mrenderer"),
        outcome(89_999, 1),
        kill(300, 2, party={"count": 12, "held_bytes": 3 * GIB}),
        outcome(299, 2, outcome="stuck"),
        kernel_kill(100),
        kill(2, 3, dry_run=True),
        record("fault", 20, 6, where="journal", error="its queue is full", count=3),
        record("missing", 1, 3, what="locked memory", cost="it may wait", remedy="LimitMEMLOCK=infinity"),
        record("reload_failed", 10, 7, problems=["/etc/oomguard.toml: kill.grace: no duration"]),
        tick(level="terminate", triggers=["low-memory"], readings=readings, busy=True, dropped=3),
    )
