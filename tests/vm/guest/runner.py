"""Runs the job inside the guest and says what happened, one JSON object a line, over the second serial port.

Started by vmjob.service, never a victim itself (oom_score_adj -1000).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import tty
from pathlib import Path
from typing import Any

from . import daemons, machine
from .daemons import DAEMONS, Daemon
from .scenarios import SCENARIOS, Scenario
from .stage import Stage

JOB = Path("/job")
ACTORS = str(JOB / "actors")
CANARY_FILE = Path("/var/tmp/canary")
CANARY_MIB = 40
CANARY_ADJ = -300  # it measures; it must not be among the victims of the herd
PACKAGES = Path("/usr/lib/python3/dist-packages")
UNITS = Path("/usr/lib/systemd/system")
CALM_S = 8.0
LEAST_BUDGET_MS = 200.0  # less, nobody notices
BEFORE_S, AFTER_S = 1.0, 2.0
"""How long the canary runs before the hog starts and after it ended."""
HOG_LIMIT_S = 180.0
HOLD_LIMIT_S = 60.0
"""A held guard is given up within seconds; on a slow machine its successor takes some to start."""
LOG_LINES = 400
BOX = """
mount -t cgroup2 none /sys/fs/cgroup
oomguardd 2>/run/box.log &
guard=$!
sleep 6
/job/actors leak 0 900 60
status=$?
kill $guard
exit $status
"""


def main() -> None:
    say = Voice("/dev/ttyS1")
    job = json.loads((JOB / "job.json").read_text())
    try:
        say(event="boot", kernel=os.uname().release, mem_total_mib=machine.meminfo_mib("MemTotal"))
        if (JOB / "oomguardd").exists():
            install_oomguardd()
        if job["badness"]:
            say(event="badness", **check_badness())
        run_all(say, job["runs"])
    except Exception:
        say(event="error", text=traceback.format_exc())
    say(event="end")
    subprocess.run(["systemctl", "poweroff", "--force", "--force"])


class Voice:
    """The serial line to the host."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._fd)

    def __call__(self, **what: Any) -> None:
        line = json.dumps(what).encode() + b"\n"
        while line:
            line = line[os.write(self._fd, line) :]


def install_oomguardd() -> None:
    """As a package would put it there."""
    shutil.copytree(JOB / "oomguardd", PACKAGES / "oomguardd", dirs_exist_ok=True)
    for name, module in (("oomguardd", "oomguardd"), ("oomguardd-reporter", "oomguardd.reporter")):
        script = Path("/usr/bin") / name
        script.write_text(f'#!/bin/sh\nexec /usr/bin/python3 -P -m {module} "$@"\n')
        script.chmod(0o755)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(PACKAGES / "oomguardd")])
    for unit in (JOB / "systemd").glob("*"):
        if unit.suffix in (".service", ".socket", ".slice", ".target"):
            shutil.copy(unit, UNITS)
    for users in (JOB / "packaging").glob("*.sysusers"):
        subprocess.run(["systemd-sysusers", str(users)])
    daemons.systemctl("daemon-reload")


def check_badness() -> dict[str, Any]:
    """Every adjustment, a leader that is a zombie, shared memory and much in swap: then compares."""
    stage = Stage()
    machine.swap(True)
    try:
        for adj in (-1000, -999, -500, -17, -1, 0, 1, 200, 500, 1000):
            stage.start(f"hold{adj}", ACTORS, "hold", "20", adj=adj)
            stage.wait_ready(f"hold{adj}")
        for adj in (-300, 300):
            stage.start(f"swapped{adj}", ACTORS, "hold", "150", adj=adj)
            stage.wait_ready(f"swapped{adj}")
            (machine.SESSION / f"app-swapped{adj}" / "memory.high").write_text("30M")
        stage.start("zombie", ACTORS, "leak", "0", "60", "600", "zombie", adj=100)
        stage.start("shared", ACTORS, "leak", "0", "60", "600", "shared", adj=-100)
        time.sleep(10)
        compare = [sys.executable, "-m", "guest.badness"]
        return dict(json.loads(subprocess.run(compare, check=True, stdout=subprocess.PIPE, cwd=JOB).stdout))
    finally:
        machine.clear_session()
        machine.swap(False)


def run_all(say: Voice, runs: list[list[str]]) -> None:
    """`runs` are pairs of scenario and daemon."""
    if not runs:
        return
    CANARY_FILE.write_bytes(os.urandom(CANARY_MIB << 20))
    os.sync()
    machine.wait_idle()  # the rest of the boot
    calm = json.loads(subprocess.check_output([ACTORS, "calm", str(CANARY_FILE), str(CALM_S)]))
    budget_ms = max(LEAST_BUDGET_MS, 3 * calm["p95_ms"])
    available_mib = machine.meminfo_mib("MemAvailable")
    say(event="calm", budget_ms=budget_ms, available_mib=available_mib, **calm)
    for scenario, daemon in runs:
        say(event="result", **run(SCENARIOS[scenario], DAEMONS[daemon], budget_ms))
        machine.settle(available_mib)


def run(scenario: Scenario, daemon: Daemon, budget_ms: float) -> dict[str, Any]:
    """One scenario from a settled machine back to a settled machine."""
    stage = Stage()
    since_s = time.time()
    frozen = 0
    machine.swap(scenario.swap)
    try:
        prepare(stage, scenario)
        guard = 0 if scenario.box_mib else daemons.start(daemon)
        machine.wait_idle()
        if scenario.hold:
            guard = outlive(daemon, guard)
        frozen = daemons.main_pid(scenario.freeze) if scenario.freeze else 0
        machine.send(frozen, signal.SIGSTOP)
        result = {"scenario": scenario.name, "daemon": daemon.name, "runs": bool(guard or scenario.box_mib)}
        result |= measure(stage, scenario, guard, budget_ms)
    finally:
        machine.send(frozen, signal.SIGCONT)
        time.sleep(0.5)
        lines = daemons.log(daemon, since_s)
        daemons.stop(daemon)
        machine.clear_session()
        machine.swap(False)
    if scenario.box_mib and Path("/run/box.log").exists():
        lines += Path("/run/box.log").read_text(errors="replace").splitlines()
    return result | {"log": lines[-LOG_LINES:]}


def outlive(daemon: Daemon, guard: int) -> int:
    """Holds the guard's main thread until it is given up; the pid of the next one, when that is armed."""
    subprocess.run(
        [sys.executable, "-m", "guest.hold", str(guard)], cwd=JOB, timeout=HOLD_LIMIT_S, check=True
    )
    deadline_s = time.monotonic() + HOLD_LIMIT_S
    while time.monotonic() < deadline_s:
        unit = daemon.units[0]
        pid = daemons.main_pid(unit)
        if pid not in (0, guard) and daemons.systemctl("is-active", unit).strip() == "active":
            return pid
        time.sleep(0.5)
    return 0


def prepare(stage: Stage, scenario: Scenario) -> None:
    stage.start("innocent", ACTORS, "hold", str(scenario.innocent_mib), adj=scenario.innocent_adj)
    stage.wait_ready("innocent")
    if scenario.idle:
        stage.start("idle", ACTORS, "idle", str(scenario.idle))
        stage.wait_ready("idle")


def measure(stage: Stage, scenario: Scenario, guard: int, budget_ms: float) -> dict[str, Any]:
    stage.start("canary", ACTORS, "canary", str(CANARY_FILE), str(budget_ms), adj=CANARY_ADJ)
    time.sleep(BEFORE_S)
    population, kills, before = machine.processes(), machine.kernel_oom_kills(), machine.footprint(guard)
    start_s = time.monotonic()
    if scenario.box_mib:
        box = ("unshare", "-C", "-m", "-p", "-f", "--mount-proc", "sh", "-c", BOX)
        stage.start("hog", *box, memory_max=f"{scenario.box_mib}M", user=0)
    else:
        stage.start("hog", ACTORS, *scenario.hog)
    status = stage.ended("hog", HOG_LIMIT_S)
    took_s = time.monotonic() - start_s
    time.sleep(AFTER_S)
    after = machine.footprint(guard)
    survivors = machine.processes()
    population.pop(guard, None)
    gone = sorted({c for p, c in population.items() if p not in survivors} - machine.PASSING)
    canary = stage.finish_canary()
    killed = hogs_killed(stage, status)
    return {
        "kernel": os.uname().release,
        "hog_status": status,
        "hogs_killed": killed,
        "took_s": round(took_s, 2),
        "bystanders_gone": gone,
        "right_victim": killed > 0 and not gone and bool(canary),
        "kernel_oom_kills": machine.kernel_oom_kills() - kills,
        "canary": canary,
        "guard_survived": guard in survivors or bool(scenario.box_mib),
        "guard_rss_kb": after.get("rss_kb", 0),
        "guard_majflt": after.get("majflt", 0) - before.get("majflt", 0),
    }


def hogs_killed(stage: Stage, status: int | None) -> int:
    """How many processes of the hog's ended by a signal."""
    if status is None:
        return 0
    stdout = stage.actors["hog"].stdout
    said = stdout.read() if stdout is not None else ""
    if said.startswith('{"killed"'):
        return int(json.loads(said)["killed"])
    # A shell, as in the box, says 128 + n for a signal.
    return int(status < 0 or status in (128 + signal.SIGTERM, 128 + signal.SIGKILL))


if __name__ == "__main__":
    main()
