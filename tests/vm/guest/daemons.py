"""The daemons that a scenario may run with. On the host: only the names. See systemctl(1)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Daemon:
    """One that ends processes when memory runs out, as its Debian package sets it up."""

    name: str
    units: tuple[str, ...]
    """The guard first."""
    decides: str
    """What its log has, once, for each time that it chose somebody: a regular expression."""
    pressure: str = "auto"
    """ManagedOOMMemoryPressure= of the units that hold the applications."""


# Debian's systemd-oomd package sets for user@.service what we set for the session; its swap rule is off.
DAEMONS = {
    daemon.name: daemon
    for daemon in (
        Daemon("oomguardd", ("oomguardd.service", "oomguardd-reporter.service"), "(^|: )killed "),
        Daemon("earlyoom", ("earlyoom.service",), ": sending SIG[A-Z]+ to process"),
        Daemon("nohang", ("nohang.service",), r": +\[ OK \] Sending SIG[A-Z]+ to "),
        Daemon("systemd-oomd", ("systemd-oomd.service",), ": Killed /", pressure="kill"),
    )
}


@contextmanager
def watching(daemon: Daemon, units: Iterable[str]) -> Iterator[None]:
    """Tells systemd that the daemon watches the pressure of these units, if it is one that does.

    To be entered before cgroups of ours are below them: systemd may take away the controllers of those.
    """
    watched = units if daemon.pressure != "auto" else ()
    for unit in watched:
        systemctl("start", unit)
        _set_pressure(unit, daemon.pressure)
    yield
    for unit in watched:
        _set_pressure(unit, "auto")


def _set_pressure(unit: str, pressure: str) -> None:
    limit = "ManagedOOMMemoryPressureLimit=50%"
    systemctl("set-property", "--runtime", unit, f"ManagedOOMMemoryPressure={pressure}", limit)


def start(daemon: Daemon) -> int:
    """Starts it anew and returns the pid of its guard, or 0 where it does not run on this machine."""
    systemctl("reset-failed", *daemon.units)
    systemctl("restart", daemon.units[0])  # which wants the others
    return main_pid(daemon.units[0])


def stop(daemon: Daemon) -> None:
    systemctl("stop", *daemon.units)


def main_pid(unit: str) -> int:
    """The pid of the unit's main process; 0 if it has none."""
    answer = systemctl("show", "-P", "MainPID", unit).strip()
    return int(answer) if answer.isdigit() else 0


def log(daemon: Daemon, since_s: float) -> list[str]:
    """What its units wrote to the journal since that wall-clock time."""
    units = [word for unit in daemon.units for word in ("-u", unit)]
    command = ["journalctl", "--no-pager", "-q", "-o", "short-monotonic", f"--since=@{since_s:.3f}", *units]
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.splitlines()


def decisions(daemon: Daemon, lines: Iterable[str]) -> int:
    """How often it chose somebody to kill, as these lines of its log say."""
    return sum(bool(re.search(daemon.decides, line)) for line in lines)


def systemctl(*words: str) -> str:
    """What it printed; failures are for the caller to see in the state of the units."""
    try:
        return subprocess.run(
            ["systemctl", "--no-pager", *words], capture_output=True, text=True, errors="replace", timeout=60
        ).stdout
    except subprocess.TimeoutExpired:
        return ""
