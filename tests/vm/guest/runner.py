"""Runs the job inside the guest and says what happened, one JSON object a line, over the second serial port.

Started by vmjob.service, never a victim itself (oom_score_adj -1000).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import traceback
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import cgroups, daemons, machine, places, play, telling
from .daemons import DAEMONS
from .scenarios import SCENARIOS, Actor
from .stage import PROGRAM, Stage

JOB = Path(places.JOB)
CANARY_MIB = 40
PACKAGES = Path("/usr/lib/python3/dist-packages")
UNITS = Path("/usr/lib/systemd/system")
OTHER_FILES = {
    "oomguard.catalog": "/usr/lib/systemd/catalog/",
    "org.oomguard1.conf": "/usr/share/dbus-1/system.d/",
}
"""Of packaging/ -> where a package would put it."""
RELOAD_BUS = ("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ReloadConfig")
CALM_S = 8.0
LEAST_BUDGET_MS = 200.0  # less, nobody notices


def main() -> None:
    say = Voice("/dev/ttyS1")
    job = json.loads((JOB / "job.json").read_text())
    try:
        say(event="boot", kernel=os.uname().release, mem_total_mib=machine.meminfo_mib("MemTotal"))
        if (JOB / "oomguardd").exists():
            install_oomguardd()
        for name in job["checks"]:
            say(event="check", check=name, **CHECKS[name](lambda step: say(event="step", step=step)))
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
    for name, module in (
        ("oomguardd", "oomguardd"),
        ("oomguardd-reporter", "oomguardd.reporter"),
        ("oomguardctl", "oomguardd.ctl"),
    ):
        script = Path("/usr/bin") / name
        script.write_text(f'#!/bin/sh\nexec /usr/bin/python3 -P -m {module} "$@"\n')
        script.chmod(0o755)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(PACKAGES / "oomguardd")])
    for unit in (JOB / "systemd").glob("*"):
        if unit.suffix in (".service", ".socket", ".slice", ".target"):
            shutil.copy(unit, UNITS)
    for users in (JOB / "packaging").glob("*.sysusers"):
        subprocess.run(["systemd-sysusers", str(users)])
    for name, target in OTHER_FILES.items():
        if (JOB / "packaging" / name).exists():
            shutil.copy(JOB / "packaging" / name, target)
    subprocess.run(["journalctl", "--update-catalog"])
    subprocess.run(["busctl", "--system", "call", *RELOAD_BUS], stdout=subprocess.DEVNULL)
    daemons.systemctl("daemon-reload")


def check_badness(tell: Callable[[str], None]) -> dict[str, Any]:
    """Every adjustment, a leader that is a zombie, shared memory and much in swap: then compares."""
    stage = Stage()
    machine.swap(True)
    try:
        for adj in (-1000, -999, -500, -17, -1, 0, 1, 200, 500, 1000):
            _start_ready(stage, Actor(f"hold{adj}", ("hold", "20"), adj=adj))
        for adj in (-300, 300):
            swapped = Actor(f"swapped{adj}", ("hold", "150"), adj=adj)
            _start_ready(stage, swapped)
            (cgroups.path_of(places.session_app(swapped.name)) / "memory.high").write_text("30M")
        stage.start(Actor("zombie", ("leak", "0", "60", "600", "zombie"), adj=100))
        stage.start(Actor("shared", ("leak", "0", "60", "600", "shared"), adj=-100))
        time.sleep(10)
        compare = [sys.executable, "-m", "guest.badness"]
        return dict(json.loads(subprocess.run(compare, check=True, stdout=subprocess.PIPE, cwd=JOB).stdout))
    finally:
        cgroups.clear()
        machine.swap(False)


CHECKS = {"badness": check_badness, "telling": telling.run}
"""What can be asked for besides scenarios."""


def _start_ready(stage: Stage, actor: Actor) -> None:
    stage.start(actor)
    stage.wait_ready(actor)


def run_all(say: Voice, runs: list[list[str]]) -> None:
    """`runs` are pairs of scenario and daemon."""
    if not runs:
        return
    Path(play.CANARY_FILE).write_bytes(os.urandom(CANARY_MIB << 20))
    os.sync()
    machine.wait_idle()  # the rest of the boot
    calm = json.loads(subprocess.check_output([PROGRAM, "calm", play.CANARY_FILE, str(CALM_S)]))
    budget_ms = max(LEAST_BUDGET_MS, 3 * calm["p95_ms"])
    available_mib = machine.meminfo_mib("MemAvailable")
    say(event="calm", budget_ms=budget_ms, available_mib=available_mib, **calm)
    for scenario, daemon in runs:
        say(event="result", **play.run(SCENARIOS[scenario], DAEMONS[daemon], budget_ms))
        machine.settle(available_mib)


if __name__ == "__main__":
    main()
