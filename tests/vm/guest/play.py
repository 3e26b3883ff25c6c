"""One scenario with one daemon, from a settled machine to one that is settling again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import cgroups, daemons, machine, places
from .daemons import Daemon
from .scenarios import HOG_S, Actor, Scenario
from .stage import Stage

CANARY_FILE = "/var/tmp/canary"
CANARY_ADJ = -300  # it measures; it must not be among the victims of the herd
RULES = Path("/etc/oomguard.toml.d/scenario.toml")
BEFORE_S, AFTER_S = 1.0, 2.0
"""How long the canary runs before the first of the late actors starts and after the last of those who must
die has ended.
"""
END_LIMIT_S = 180.0
"""For those who end by themselves after a minute: longer, because a machine that thrashes is slow."""
HOLD_LIMIT_S = 60.0
"""A held guard is given up within seconds; on a slow machine its successor takes some to start."""
LOG_LINES = 400
BOX_LOG = Path("/run/box.log")
BOX = """
mount -t cgroup2 none /sys/fs/cgroup
oomguardd 2>/run/box.log &
guard=$!
sleep 6
"$@"
status=$?
kill $guard
exit $status
"""
IN_BOX = ("unshare", "-C", "-m", "-p", "-f", "--mount-proc", "sh", "-c", BOX, "sh")


def run(scenario: Scenario, daemon: Daemon, budget_ms: float) -> dict[str, Any]:
    """What happened. `budget_ms` is what a cycle of the canary may take without counting as a stall."""
    since_s = time.time()
    machine.swap(scenario.swap)
    try:
        with daemons.watching(daemon, units(scenario.cast)), drop_in(scenario.rules):
            stage = Stage()
            guard = begin(stage, scenario, daemon)
            with frozen(scenario.freeze):
                result = measure(stage, scenario, guard, budget_ms)
    finally:
        time.sleep(0.5)
        lines = daemons.log(daemon, since_s)
        daemons.stop(daemon)
        cgroups.clear()
        machine.swap(False)
    if scenario.boxed and BOX_LOG.exists():
        lines += BOX_LOG.read_text(errors="replace").splitlines()
    return {
        "scenario": scenario.name,
        "daemon": daemon.name,
        "runs": bool(guard or scenario.boxed),
        **result,
        "decisions": daemons.decisions(daemon, lines),
        "log": lines[-LOG_LINES:],
    }


@contextmanager
def drop_in(rules: str) -> Iterator[None]:
    """What an administrator would have written, if anything, for as long as this lasts."""
    if rules:
        RULES.parent.mkdir(exist_ok=True)
        RULES.write_text(rules)
    yield
    RULES.unlink(missing_ok=True)


def units(cast: Iterable[Actor]) -> set[str]:
    """The units that hold the applications: the session, or the slices at the top."""
    outside = {actor.cgroup.split("/")[1] for actor in cast if actor.cgroup}
    inside = {Path(places.SESSION).name for actor in cast if not actor.cgroup}
    return outside | inside


def begin(stage: Stage, scenario: Scenario, daemon: Daemon) -> int:
    """Those who are there early, and the daemon; the pid of its guard, or 0 where it does not run."""
    for actor in scenario.cast:
        if actor.early:
            stage.start(actor)
            stage.wait_ready(actor)
    guard = 0 if scenario.boxed else daemons.start(daemon)
    machine.wait_idle()
    return outlive(daemon, guard) if scenario.hold else guard


def outlive(daemon: Daemon, guard: int) -> int:
    """Holds the guard's main thread until it is given up; the pid of the next one, when that is armed."""
    subprocess.run(
        [sys.executable, "-m", "guest.hold", str(guard)], cwd=places.JOB, timeout=HOLD_LIMIT_S, check=True
    )
    deadline_s = time.monotonic() + HOLD_LIMIT_S
    while time.monotonic() < deadline_s:
        unit = daemon.units[0]
        pid = daemons.main_pid(unit)
        if pid not in (0, guard) and daemons.systemctl("is-active", unit).strip() == "active":
            return pid
        time.sleep(0.5)
    return 0


@contextmanager
def frozen(unit: str) -> Iterator[None]:
    """Stops the main process of that unit, if one is given."""
    pid = daemons.main_pid(unit) if unit else 0
    machine.send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        machine.send(pid, signal.SIGCONT)


def measure(stage: Stage, scenario: Scenario, guard: int, budget_ms: float) -> dict[str, Any]:
    canary = Actor("canary", ("canary", CANARY_FILE, str(budget_ms)), adj=CANARY_ADJ)
    stage.start(canary)
    time.sleep(BEFORE_S)
    population, kills, before = machine.processes(), machine.kernel_oom_kills(), machine.footprint(guard)
    took_s = perform(stage, scenario)
    time.sleep(AFTER_S)
    after = machine.footprint(guard)
    survivors = machine.processes()
    population.pop(guard, None)
    gone = {comm for pid, comm in population.items() if pid not in survivors} - machine.PASSING
    felt = stage.finish_canary(canary)
    return {
        "kernel": os.uname().release,
        "took_s": round(took_s, 2),
        **judge(stage, scenario.cast, gone, list(survivors.values()), bool(felt)),
        "kernel_oom_kills": machine.kernel_oom_kills() - kills,
        "canary": felt,
        "guard_survived": guard in survivors or scenario.boxed,
        "guard_rss_kb": after.get("rss_kb", 0),
        "guard_majflt": after.get("majflt", 0) - before.get("majflt", 0),
    }


def perform(stage: Stage, scenario: Scenario) -> float:
    """The late actors come, until all who must die have ended or it is too late; how long they lived."""
    late = [actor for actor in scenario.cast if not actor.early]
    for actor in late:
        stage.start(actor, IN_BOX if scenario.boxed else ())
    start_s = time.monotonic()
    hogs = [actor for actor in late if actor.dies]
    for actor in hogs:
        stage.ended(actor, END_LIMIT_S)
    # Those who wait for ever have nothing to fear any more when the hogs have gone.
    deadline_s = time.monotonic() + (AFTER_S if hogs else HOG_S)
    for actor in scenario.cast:
        if actor.early and actor.dies:
            stage.ended(actor, max(0.0, deadline_s - time.monotonic()))
    return time.monotonic() - start_s


def judge(
    stage: Stage, cast: Iterable[Actor], gone: set[str], survivors: list[str], answered: bool
) -> dict[str, Any]:
    """Who died, by name, whether those were the right ones, and how many of those remained."""
    must = {actor.name for actor in cast if actor.dies}
    killed = {actor.name for actor in cast if stage.killed(actor)}
    shells = {"sh" for actor in cast if stage.lost_its_shell(actor)}
    left = sum(comm in must for comm in survivors)
    died = gone | killed | shells
    return {
        "died": sorted(died),
        "left": left,
        "right_victim": killed >= must and not left and died <= must and answered,
    }
