"""Made-up incidents with the figures of real ones: what the page is looked at with."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

from oomguardd.history.incident import Incident
from tests.unit.incidents.scene import (
    GIB,
    MIB,
    NOON_S,
    TRIGGERS,
    kill,
    level,
    outcome,
    process,
    read,
    readings,
    times,
)


def fast_leak() -> Incident:
    """A script takes 11 GiB in three seconds, on a machine without swap."""

    def mem(t: float) -> float:
        if t < -3:
            return 12.6 * GIB + 40 * MIB * ((t * 7) % 3)
        return 12.6 * GIB - (t + 3) * 3.7 * GIB if t <= 0.1 else 12.4 * GIB - 3 * GIB * exp(-t * 1.5)

    at = read(mem, lambda t: 0.0, lambda t: 0.0 if t < -0.5 else 14 * exp(-max(0.0, t) / 6), swap_total=0)
    now = at(0.0)
    victim = process(
        4711, "python3", 11.1 * GIB, "/user.slice/user-1000.slice/session-3.scope", total=16 * GIB
    )
    others = [
        process(
            9021,
            "firefox",
            0.92 * GIB,
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-77.scope",
            total=16 * GIB,
        ),
        process(
            9144,
            "Isolated Web Co",
            410 * MIB,
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-77.scope",
            oom_score_adj=200,
            total=16 * GIB,
            adjustments=(
                ("oom_score_adj_cap", -100.0, "200 counts as 100"),
                ("rule tabs", 100.0, "rule tabs prefers it"),
            ),
        ),
        process(
            1502,
            "postgres",
            700 * MIB,
            "/system.slice/system-postgresql.slice/postgresql@15-main.service",
            shmem=512 * MIB,
            total=16 * GIB,
            adjustments=(("rule database", -30.0, "rule database avoids it"),),
        ),
    ]
    record = kill(victim, now, runners_up=others, totals={"ram_bytes": 16 * GIB, "swap_bytes": 0})
    events = (
        level(-0.6, "warn", "calm", at(-0.6)),
        record,
        outcome(0.41, now["mem_available"], 9.1 * GIB, victim["held_bytes"]),
    )
    return Incident("20261123-143012-1", NOON_S, record, events, readings(at, times(-4, 3)), TRIGGERS)


def thrashing() -> Incident:
    """A build fills memory and then a swap on disk for a minute; the machine hardly moves."""

    def mem(t: float) -> float:
        return (
            2.1 * GIB - 1.0 * GIB * min(1, (t + 60) / 50) if t < 0.4 else 6.4 * GIB - 5 * GIB * exp(-t * 0.5)
        )

    def swap(t: float) -> float:
        return 3.9 * GIB * max(0.06, 1 - (t + 60) / 62) if t < 0.4 else 1.2 * GIB + 12 * MIB * t

    def full(t: float) -> float:
        return 62 * min(1, max(0.0, t + 52) / 40) if t < 0.4 else 62 * exp(-t / 5)

    at = read(mem, swap, full)
    now = at(0.0)
    place = "/system.slice/docker-" + "4f0c9d1e2a3b" * 5 + "abcd.scope"
    victim = process(
        31007,
        "java",
        5.2 * GIB,
        place,
        swap=1.3 * GIB,
        uid=999,
        age_s=88000.0,
        adjustments=(("growth", 42.0, "grew 1.1 GiB"),),
    )
    others = [
        process(31250, "cc1plus", 4.6 * GIB, "/system.slice/buildd.service", age_s=40.0, oom_score_adj=100),
        process(31251, "cc1plus", 1.2 * GIB, "/system.slice/buildd.service", age_s=40.0),
    ]
    record = kill(
        victim,
        now,
        runners_up=others,
        triggers=["thrashing"],
        conditions=["psi_full_10s >40%", "mem_available <20%"],
    )
    escalated = {
        "kind": "escalated",
        "run": "ab12cd34",
        "time_s": NOON_S + 5,
        "kill_id": 1,
        "pid": 31007,
        "comm": "java",
        "signal": "SIGKILL",
        "why": "the grace time is over",
    }
    end = outcome(5.8, now["mem_available"], 5.9 * GIB, victim["held_bytes"], pid=31007, comm="java")
    moments = (t for t in times() if not -21 < t < -14)
    return Incident(
        "20261123-143012-2", NOON_S, record, (record, escalated, end), readings(at, moments), TRIGGERS
    )


def kernel() -> Incident:
    """A service reaches its own limit; the machine has plenty."""
    at = read(
        lambda t: 9.3 * GIB + (0.5 * GIB if t > 0 else 0),
        lambda t: 3.8 * GIB,
        lambda t: 3.0 if -8 < t < 1 else 0,
    )
    place = "/system.slice/nginx.service"
    tasks = [
        {
            "pid": 900 + at_,
            "comm": "nginx",
            "uid": 33,
            "tgid": 900 + at_,
            "total_vm_bytes": 600 * MIB,
            "rss_bytes": (498 - 60 * at_) * MIB if at_ else 498 * MIB,
            "swap_bytes": 0,
            "pagetables_bytes": MIB,
            "oom_score_adj": 0,
        }
        for at_ in range(6)
    ]
    record: dict[str, object] = {
        "kind": "kernel_kill",
        "key": "kmsg:1234",
        "seq": 0,
        "time_s": NOON_S,
        "source": "kmsg",
        "pid": 900,
        "comm": "nginx",
        "uid": 33,
        "cgroup": place,
        "limit_cgroup": place,
        "constraint": "memcg",
        "owner": "unit nginx.service",
        "held_bytes": 499 * MIB,
        "oom_score_adj": 0,
        "count": 1,
        "why": [
            "The limit of 512 MiB of /system.slice/nginx.service was reached.",
            "nginx[900] held 498 MiB, 97% of it.",
            "There is no swap that it might have used.",
        ],
        "report": {
            "cause": "memcg",
            "kernel": "6.12.107-amd64",
            "trigger": {"comm": "nginx", "pid": 903, "oom_score_adj": 0},
            "order": 0,
            "memcg": {
                "owner": place,
                "memory": {"usage_bytes": 512 * MIB, "limit_bytes": 512 * MIB, "failures": 1873},
                "swap": {"usage_bytes": 0, "limit_bytes": 0, "failures": 0},
                "stats": {"shmem": 12 * MIB},
            },
            "memory": {"ram_bytes": 16 * GIB, "swap_total_bytes": 4 * GIB, "swap_free_bytes": 3.8 * GIB},
            "tasks": tasks,
        },
    }
    return Incident("20261123-143012-k1", NOON_S, record, (record,), readings(at, times()), TRIGGERS)


def dry_run() -> Incident:
    """As the fast leak, and nobody is signalled."""
    leak = fast_leak()
    record = {**leak.kill, "dry_run": True}
    return Incident("20261123-143012-d1", NOON_S, record, (leak.events[0], record), leak.readings, TRIGGERS)


def fork_bomb() -> Incident:
    """301 small ones together."""

    def mem(t: float) -> float:
        return 6 * GIB - max(0.0, t + 25) * 0.21 * GIB if t <= 0.5 else 7.4 * GIB - 1.5 * GIB * exp(-t)

    at = read(
        mem,
        lambda t: 4 * GIB - max(0.0, min(25.5, t + 25.5)) * 0.146 * GIB,
        lambda t: 22 if -6 < t < 4 else 1,
    )
    now = at(0.0)
    place = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-terminal-811.scope"
    victim = process(70100, "forkbomb", 26 * MIB, place, age_s=21.0, file=MIB)
    party = {
        "unit": "swarm",
        "cgroup": place,
        "count": 301,
        "held_bytes": int(7.1 * GIB),
        "why": "301 small processes as one",
        "reduced": "",
        "members": [[70100 + n, "forkbomb", 26 * MIB - n * 4096] for n in range(10)],
    }
    record = kill(
        victim,
        now,
        party=party,
        signal="SIGKILL",
        level="kill",
        triggers=["very-low-memory"],
        runners_up=[process(9021, "firefox", 1.1 * GIB, place)],
    )
    end = outcome(
        0.9, now["mem_available"], 6.9 * GIB, party["held_bytes"], pid=70100, comm="forkbomb", count=301
    )
    return Incident("20261123-143012-5", NOON_S, record, (record, end), readings(at, times()), TRIGGERS)


def no_readings() -> Incident:
    """The reporter was not there; only the records came later."""
    victim = process(4711, "python3", 3 * GIB, "/")
    record = kill(victim, {"mem_available": 1.1 * GIB, "mem_total": 16 * GIB})
    return Incident("20261123-143012-6", NOON_S, record, (record,), ())


def nobody() -> Incident:
    """tmpfs is full; a small one is taken, it does not help, and then nobody is left."""
    at = read(lambda t: 1.4 * GIB - 6 * MIB * t, lambda t: 0.2 * GIB, lambda t: 12)
    now = {**at(0.0), "shmem": 11.8 * GIB}
    victim = process(2020, "backup", 620 * MIB, "/system.slice/backup.service", uid=0)
    record = kill(victim, now)
    end = outcome(
        0.2,
        now["mem_available"],
        now["mem_available"] + 90 * MIB,
        victim["held_bytes"],
        pid=2020,
        comm="backup",
    )
    left = {
        "kind": "nobody",
        "run": "ab12cd34",
        "seq": 5,
        "time_s": NOON_S + 6,
        "level": "terminate",
        "triggers": ["low-memory"],
        "why": "all candidates are exempt or too small",
        "spared": [[655, "sshd", "keeps a login"], [812, "Xorg", "draws a screen"]],
        "shmem_bytes": 11.8 * GIB,
        "readings": now,
    }
    return Incident("20261123-143012-7", NOON_S, record, (record, end, left), readings(at, times()), TRIGGERS)


def foreign() -> Incident:
    """Somebody else was quicker."""
    at = read(lambda t: 2.9 * GIB if t > 0.3 else GIB, lambda t: 0.5 * GIB, lambda t: 6)
    record = {
        "kind": "foreign_kill",
        "key": "earlyoom:1",
        "seq": 0,
        "time_s": NOON_S,
        "by": "earlyoom",
        "pid": 9021,
        "comm": "firefox",
        "cgroup": "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-77.scope",
        "owner": "application firefox",
        "count": 1,
        "why": "mem avail 6 %, swap free 9 %",
    }
    return Incident("20261123-143012-f1", NOON_S, record, (record,), readings(at, times()), TRIGGERS)


HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[2J\udcff\n]]>-->"


def hostile() -> Incident:
    """Every text a process or a cgroup can choose is an attack."""
    leak = fast_leak()
    evil = {
        **process(66, HOSTILE, 2 * GIB, f"/user.slice/{HOSTILE}"),
        "adjustments": [["rule " + HOSTILE, 7.0, HOSTILE]],
    }
    record = {
        **leak.kill,
        "victim": evil,
        "runners_up": [evil, evil],
        "spared": [[1, HOSTILE, HOSTILE]],
        "triggers": [HOSTILE],
        "conditions": [HOSTILE],
        "party": {
            "unit": "tree",
            "cgroup": HOSTILE,
            "count": 3,
            "held_bytes": GIB,
            "why": HOSTILE,
            "reduced": HOSTILE,
            "members": [[1, HOSTILE, 2]],
        },
    }
    other = {
        "kind": "foreign_kill",
        "time_s": NOON_S + 1,
        "by": HOSTILE,
        "comm": HOSTILE,
        "pid": 3,
        "why": HOSTILE,
    }
    trigger = {**TRIGGERS[0], "name": HOSTILE, "level": HOSTILE}
    strange = {"kind": HOSTILE, "time_s": NOON_S + 2, HOSTILE: HOSTILE}
    return Incident(HOSTILE, NOON_S, record, (record, other, strange), leak.readings, (trigger,))


INCIDENTS: dict[str, Callable[[], Incident]] = {
    "fast_leak": fast_leak,
    "thrashing": thrashing,
    "kernel": kernel,
    "dry_run": dry_run,
    "fork_bomb": fork_bomb,
    "no_readings": no_readings,
    "nobody": nobody,
    "foreign": foreign,
    "hostile": hostile,
}
