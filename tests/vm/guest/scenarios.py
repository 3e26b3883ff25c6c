"""The scenarios, as one table. Read by both sides: the host for the names, the guest to run them.

A hog's size is chosen for the guest of 1 GiB: three times its memory, so that only a kill ends it. Everybody
else is big enough to be a tempting victim and small enough to be the wrong one, or old enough: at the
crossing, some 650 MiB are in the hands of the cast.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from . import places

HOG_S = 60
"""A hog gives up after so long: a scenario ends even with a daemon that does nothing."""
LEAK_MIB_PER_S = 30
ANYBODY, DATABASE, ROOT = 1000, 999, 0


@dataclass(frozen=True, slots=True)
class Actor:
    """A process, or one and its children; all have its name."""

    name: str
    does: tuple[str, ...]
    """Arguments of `actors`."""
    cgroup: str = ""
    """Empty: one of its own below the session, as the applications of a desktop have."""
    adj: int = 0
    user: int = ANYBODY
    early: bool = False
    """On stage, and ready, before the daemon is."""
    after_s: float = 0.0
    """Comes no sooner than so long after the first."""
    dies: bool = False
    """Must be killed, children and all. Everybody else must live."""
    leader: bool = False
    """Leads a session (setsid(2)), as whatever a service manager or a container runtime starts."""
    shell: bool = False
    """Is started by a shell, in the same cgroup, that leads a session and must live."""
    files: tuple[tuple[str, str], ...] = ()
    """Of its cgroup: name and content."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens on the machine."""

    name: str
    cast: tuple[Actor, ...]
    at_once: bool = False
    """oomguardd kills all that must die by one decision."""
    rules: str = ""
    """What the administrator wrote into a drop-in of oomguardd's configuration."""
    swap: bool = False
    psi: bool = True
    """Needs a boot with, or without, pressure readings."""
    freeze: str = ""
    """A unit whose main process is stopped (SIGSTOP) before the hog starts."""
    hold: bool = False
    """The guard's main thread is held before the hog starts: its watchdog gives it up, systemd starts it
    again.
    """
    boxed: bool = False
    """Hog and daemon run in the foreground in a container, which is the hog's cgroup."""
    only: str = ""
    """The daemon that this is about, if not all."""


def _holds(name: str, mib: int, cgroup: str = "", adj: int = 0, user: int = ANYBODY) -> Actor:
    """Has touched so much before the daemon starts, and holds it."""
    return Actor(name, ("hold", str(mib)), cgroup, adj, user, early=True, leader=bool(cgroup))


def _leaks(name: str, cgroup: str, adj: int = 0, user: int = ANYBODY, rate: int = LEAK_MIB_PER_S) -> Actor:
    """Comes later, and takes all there is at a rate (MiB/s) at which it is not the biggest for long."""
    does = ("leak", str(rate), "3000", str(HOG_S))
    return Actor(name, does, cgroup, adj, user, dies=True, leader=bool(cgroup))


def _hog(*does: str) -> Actor:
    """By default as fast as it goes."""
    return Actor("hog", does or ("leak", "0", "3000", str(HOG_S)), dies=True)


_INNOCENT = _holds("innocent", 100)
_FAST = (_INNOCENT, _hog())
_SLOW = (_INNOCENT, _hog("leak", "40", "3000", str(HOG_S)))

_ORDINARY = (
    Scenario("fast-leak", _FAST),
    Scenario("slow-leak", _SLOW),
    # 40 x 24 MiB do not fit; each is small, so the innocent must be smaller.
    Scenario("forty", (_holds("innocent", 8), _hog("herd", "40", "24", "30"))),
    Scenario("protected-innocent", (_holds("innocent", 400, adj=-900), _hog())),
    Scenario("ignores-sigterm", (_INNOCENT, _hog("leak", "0", "3000", str(HOG_S), "stubborn"))),
    Scenario("zombie-leader", (_INNOCENT, _hog("leak", "0", "3000", str(HOG_S), "zombie"))),
    Scenario("shared-memory", (_INNOCENT, _hog("leak", "0", "3000", str(HOG_S), "shared"))),
    Scenario("many-processes", (_INNOCENT, Actor("idle", ("idle", "1500"), early=True), _hog())),
    Scenario("swap", _FAST, swap=True),
    Scenario("swap-slow-leak", _SLOW, swap=True),
)

_OF_THE_DAEMON = (
    Scenario("reporter-stopped", _FAST, freeze="oomguardd-reporter.service", only="oomguardd"),
    Scenario("journald-stopped", _FAST, freeze="systemd-journald.service"),
    Scenario("guard-stalled", _FAST, hold=True, only="oomguardd"),
    Scenario(
        "container",
        (
            _INNOCENT,
            replace(_hog("leak", "0", "900", str(HOG_S)), user=ROOT, files=(("memory.max", "300M"),)),
        ),
        boxed=True,
        only="oomguardd",
    ),
    Scenario("no-psi", _FAST, psi=False),
)

# Who is the biggest is the wrong victim in all of these, or one process alone is.
_WRONG_VICTIM = (
    Scenario(
        "database-beside-leak",
        (
            _holds("database", 380, places.service("database"), user=DATABASE),
            replace(_leaks("leak", places.service("report")), after_s=20),
        ),
    ),
    Scenario(
        "older-larger-database",
        (
            _holds("database", 520, places.service("database"), user=DATABASE),
            replace(_leaks("leak", places.service("report")), after_s=20),
        ),
    ),
    # Tabs of 10 to 16 MiB: some below, some above the size of the smallest victim.
    Scenario(
        "desktop-session",
        (
            Actor("browser", ("tabs", "20", "10", "16", "300"), places.app("browser"), early=True),
            _leaks("hog", places.app("editor")),
        ),
        at_once=True,
    ),
    # Its last processes are forked when it is short of memory already; 300 of them do not fit.
    Scenario(
        "fork-bomb",
        (
            _holds("innocent", 40),
            Actor("bomb", ("bomb", "300", "2.25", str(HOG_S)), places.app("terminal"), dies=True, shell=True),
        ),
        at_once=True,
    ),
)

_TREES = (
    Scenario(
        "docker-tree",
        (
            _holds("cache", 360, places.docker("c"), user=ROOT),
            _holds("web", 60, places.docker("d"), user=ROOT),
            _leaks("leak", places.docker("1"), user=ROOT),
        ),
    ),
    # oom_score_adj as the kubelet gives it, for requests of this node's memory.
    Scenario(
        "kubepods-besteffort",
        (
            _holds("guaranteed", 80, places.pod("", "1"), adj=-997),
            _holds("burstable", 300, places.pod("burstable", "2"), adj=586),
            _leaks("besteffort", places.pod("besteffort", "3"), adj=1000, rate=25),
        ),
    ),
    Scenario(
        "kubepods-burstable",
        (
            _holds("guaranteed", 80, places.pod("", "1"), adj=-997),
            _holds("content", 300, places.pod("burstable", "2"), adj=586),
            _leaks("greedy", places.pod("burstable", "3"), adj=938, rate=25),
        ),
    ),
    Scenario(
        "slurm-tree",
        (
            _holds("slurmstepd", 4, places.step("101", "slurm"), adj=-1000, user=ROOT),
            _holds("modest", 300, places.step("102", "user/task_0"), user=1002),
            _leaks("task-0", places.step("101", "user/task_0"), user=1001, rate=15),
            _leaks("task-1", places.step("101", "user/task_1"), user=1001, rate=15),
        ),
        at_once=True,
    ),
)

_BATCH = places.service("batch")
_RULES = f"""
[[rule]]
name = "precious"
match = {{ exe = "{places.program("precious")}" }}
do = "never"

[[rule]]
name = "batch"
match = {{ cgroup = "{_BATCH}" }}
kill = "cgroup"
"""

_TOGETHER = (
    Scenario(
        "rules",
        (
            replace(_holds("batch", 160, _BATCH), dies=True),
            replace(_holds("helper", 15, _BATCH), dies=True),
            replace(_holds("logger", 15, _BATCH), dies=True),
            replace(
                _leaks("precious", places.service("precious")),
                does=("leak", "60", "560", str(HOG_S)),
                dies=False,
            ),
        ),
        at_once=True,
        rules=_RULES,
        only="oomguardd",
    ),
    Scenario(
        "oom-group",
        (
            _INNOCENT,
            replace(_holds("worker", 30, _BATCH), dies=True),
            replace(_leaks("hog", _BATCH, rate=60), files=(("memory.oom.group", "1"),)),
        ),
        at_once=True,
    ),
)

SCENARIOS = {s.name: s for s in (*_ORDINARY, *_OF_THE_DAEMON, *_WRONG_VICTIM, *_TREES, *_TOGETHER)}


def pairs(daemons: Iterable[str], names: list[str] | None = None) -> list[tuple[Scenario, str]]:
    """Each scenario, of all or of those named, with each of the daemons that it makes sense with."""
    wanted = [s for s in SCENARIOS.values() if not names or s.name in names]
    return [(s, daemon) for s in wanted for daemon in daemons if s.only in ("", daemon)]
