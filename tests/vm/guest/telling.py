"""How a kill is told, with the units as they are shipped: journal, metrics, history, control socket, the
kernel's own kills. Everything is collected here and judged on the host.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import daemons, machine, places
from .daemons import DAEMONS

OURS = DAEMONS["oomguardd"]
REPORTER = OURS.units[1]
PROGRAM = str(Path(places.JOB, "actors"))
SOCKET = "/run/oomguard/io.oomguard.Manager"
CONFIG = Path("/etc/oomguard.toml.d/telling.toml")
HOOKED = Path("/opt/hooked")
DIES_LIMIT_S = 120.0
TOLD_LIMIT_S = 60.0
JOURNAL_STOPPED_S = 60.0
SETTINGS = f"""
[[hook]]
name = "hooked"
on = ["kill"]
run = ["{HOOKED}/hook"]
"""
SANDBOX = Path("/run/systemd/system/oomguardd-reporter.service.d/hooked.conf")
HOOK = '#!/bin/sh\ncat > "$0.$$"\n'

Facts = dict[str, Any]


def run(tell: Callable[[str], None]) -> Facts:
    """All that there is to know. `tell` hears which scene is over: all of them take minutes."""
    HOOKED.mkdir(exist_ok=True)
    hook = HOOKED / "hook"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    HOOKED.chmod(0o777)
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(SETTINGS)
    # A hook lives in the reporter's sandbox: where it writes has to be said, as an administrator would.
    SANDBOX.parent.mkdir(parents=True, exist_ok=True)
    SANDBOX.write_text(f"[Service]\nReadWritePaths={HOOKED}\n")
    daemons.systemctl("daemon-reload")
    guard = daemons.start(OURS)
    machine.wait_idle()
    try:
        return {
            "guard": guard,
            "scene": {name: played(name, scene, tell) for name, scene in SCENES},
            "log": daemons.log(OURS, 0.0)[-400:],
        }
    finally:
        daemons.stop(OURS)
        CONFIG.unlink()
        SANDBOX.unlink()
        daemons.systemctl("daemon-reload")


def played(name: str, scene: Callable[[], Facts], tell: Callable[[str], None]) -> Facts:
    began_s = time.monotonic()
    facts = scene()
    tell(f"{name}: {time.monotonic() - began_s:.0f} s")
    return facts


def sh(*words: str, within_s: float = 120.0) -> Facts:
    """A command's status and what it wrote."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=within_s)
    except (subprocess.TimeoutExpired, OSError) as error:
        return {"status": -1, "out": "", "err": str(error)}
    return {"status": done.returncode, "out": done.stdout[-20000:], "err": done.stderr[-4000:]}


def journal(*matches: str) -> list[Facts]:
    """Entries of the journal, every field."""
    out = subprocess.run(
        ["journalctl", "--no-pager", "-q", "-a", "-o", "json", *matches], capture_output=True, text=True
    ).stdout
    return [json.loads(line) for line in out.splitlines()]


def metrics() -> dict[str, float]:
    """Series -> value; empty where nothing answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 10066, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
    except OSError:
        return {}
    rows = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


def total(series: dict[str, float], name: str) -> float:
    return sum(value for key, value in series.items() if key.partition("{")[0] == name)


def until(condition: Callable[[], Any], limit_s: float, every_s: float = 0.1) -> Any:
    """What it says when that is true at last; or what it said in the end."""
    deadline_s = time.monotonic() + limit_s
    while not (said := condition()) and time.monotonic() < deadline_s:
        time.sleep(every_s)
    return said


def leak(unit: str, *properties: str, cap_mib: int = 4000) -> Facts:
    """A service that leaks until it is ended; when that was, and what systemd says of it."""
    words = [word for each in properties for word in ("-p", each)]
    daemons.systemctl("reset-failed", f"{unit}.service")
    # The shell is not the main process that matters: the leak is.
    sh("systemd-run", "-q", f"--unit={unit}", *words, PROGRAM, "leak", "0", str(cap_mib), "600")
    until(lambda: not daemons.main_pid(f"{unit}.service"), DIES_LIMIT_S, 0.02)
    ended_s = time.time()
    time.sleep(0.2)
    shown = daemons.systemctl("show", "-p", "Result,ActiveState,ExecMainStatus", f"{unit}.service").split()
    return {"ended_s": ended_s, **dict(line.split("=", 1) for line in shown)}


def killed(unit: str) -> list[Facts]:
    """Our entries of kills whose victim was in that unit."""
    found = journal("SYSLOG_IDENTIFIER=oomguardd", "OOMGUARDD_KIND=kill")
    return [entry for entry in found if f"{unit}.service" in str(entry.get("OOMGUARDD_VICTIM_CGROUP"))]


class Counter(threading.Thread):
    """Asks for the metrics all the time, as Prometheus does now and then; when a kill was there first."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._before = total(metrics(), "oomguard_kills_total")
        self.counted_s = 0.0
        self.start()

    def run(self) -> None:
        counted = until(lambda: total(metrics(), "oomguard_kills_total") > self._before, DIES_LIMIT_S)
        self.counted_s = time.time() if counted else 0.0


def a_kill() -> Facts:
    """A leaking service dies, and that is in the journal and in the metrics."""
    counter = Counter()
    end = leak("leaky")
    entries = until(lambda: killed("leaky"), TOLD_LIMIT_S)
    counter.join(TOLD_LIMIT_S)
    time.sleep(2)
    outcomes = journal("SYSLOG_IDENTIFIER=oomguardd", "OOMGUARDD_KIND=outcome")
    return {
        "end": end,
        "entries": entries,
        "outcomes": outcomes,
        "counted": counter.counted_s > 0,
        "counted_after_s": counter.counted_s - end["ended_s"],
        "of_unit": journal("-u", "leaky.service"),
        "status": sh("systemctl", "--no-pager", "-n", "20", "status", "leaky.service"),
        "explained": sh("journalctl", "--no-pager", "-x", "-t", "oomguardd", "-n", "40"),
        "hooked": [json.loads(path.read_text()) for path in HOOKED.glob("hook.*")],
    }


def the_kernels() -> Facts:
    """A service with a limit is killed by the kernel, and that is told as such."""
    before = metrics()
    end = leak("limited", "MemoryMax=40M", "MemorySwapMax=0")
    entries = until(
        lambda: journal("SYSLOG_IDENTIFIER=oomguardd", "OOMGUARDD_KIND=kernel_kill"), TOLD_LIMIT_S
    )
    time.sleep(1)
    return {
        "end": end,
        "entries": entries,
        "counted": total(metrics(), "oomguard_kernel_oom_kills_total")
        - total(before, "oomguard_kernel_oom_kills_total"),
        "decoded": sh("oomguardctl", "decode", "--journal"),
    }


def asked() -> Facts:
    """The control socket, by systemd's own client and by ours."""
    manager = "io.oomguard.Manager"
    return {
        "info": sh("varlinkctl", "info", SOCKET),
        "introspect": sh("varlinkctl", "introspect", SOCKET, manager),
        "call": sh("varlinkctl", "call", "--json=short", SOCKET, f"{manager}.Status", "{}"),
        "wrong": sh("varlinkctl", "call", SOCKET, f"{manager}.Nothing", "{}"),
        "status": sh("oomguardctl", "status"),
        "status_json": sh("oomguardctl", "status", "--json"),
        "as_nobody": sh("setpriv", "--reuid=65534", "--clear-groups", "oomguardctl", "status"),
    }


def the_past() -> Facts:
    """The history, as the administrator sees it."""
    return {
        "history": sh("oomguardctl", "history"),
        "history_json": sh("oomguardctl", "history", "--json"),
        "as_nobody": sh("setpriv", "--reuid=65534", "--clear-groups", "oomguardctl", "history"),
        "show": sh("oomguardctl", "show", "last"),
        "report": sh("oomguardctl", "report", "last", "-o", "/run/report.html"),
        "page": len(Path("/run/report.html").read_bytes()) if Path("/run/report.html").exists() else 0,
    }


def the_bus() -> Facts:
    return {
        "owner": sh("busctl", "--system", "status", "org.oomguard1"),
        "introspect": sh("busctl", "--system", "introspect", "org.oomguard1", "/org/oomguard1"),
        "stolen": sh("setpriv", "--reuid=65534", "--clear-groups", "python3", "-c", STEAL),
    }


STEAL = """
from jeepney import DBus, MessageGenerator
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection
connection = open_dbus_connection("SYSTEM")
print(connection.send_and_get_reply(message_bus.RequestName("org.oomguard1")).body)
"""


def journal_stopped() -> Facts:
    """A kill while journald does not run, for a minute; and afterwards."""
    journald = daemons.main_pid("systemd-journald.service")
    machine.send(journald, signal.SIGSTOP)
    began_s = time.monotonic()
    try:
        before = total(metrics(), "oomguard_kills_total")
        end = leak("unseen")
        counted = until(lambda: total(metrics(), "oomguard_kills_total") > before, TOLD_LIMIT_S)
        time.sleep(max(0.0, began_s + JOURNAL_STOPPED_S - time.monotonic()))
    finally:
        machine.send(journald, signal.SIGCONT)
    entries = until(lambda: killed("unseen"), TOLD_LIMIT_S, 1.0)
    return {"end": end, "counted": bool(counted), "entries": entries}


def reporter_killed() -> Facts:
    """The reporter is killed, and what happens meanwhile is told once when it is back."""
    pid = daemons.main_pid(REPORTER)
    machine.send(pid, signal.SIGKILL)
    end = leak("orphaned")
    entries = until(lambda: killed("orphaned"), TOLD_LIMIT_S, 0.5)
    time.sleep(2)
    history = sh("oomguardctl", "history", "--json", "-n", "1000")
    return {
        "end": end,
        "entries": entries,
        "again": daemons.main_pid(REPORTER),
        "was": pid,
        "history": history,
    }


def told_of(daemon: str) -> list[Facts]:
    """Our entries of kills by that one."""
    found = journal("SYSLOG_IDENTIFIER=oomguardd", "OOMGUARDD_KIND=foreign_kill")
    return [entry for entry in found if json.loads(entry["OOMGUARDD_RECORD"])["by"] == daemon]


def of_another(name: str) -> Facts:
    daemons.start(DAEMONS[name])
    daemons.systemctl(
        "restart", REPORTER
    )  # which looks who else is there at its start, and then once a minute
    machine.wait_idle()  # they start slowly here
    end = leak(f"of-{name}")
    entries = until(lambda: told_of(name), 20.0)
    daemons.stop(DAEMONS[name])
    return {"end": end, "entries": entries, "dry": len(killed(f"of-{name}"))}


def of_others() -> Facts:
    """Other daemons kill, while ours only looks on."""
    CONFIG.write_text(f"{SETTINGS}\n[guard]\ndry_run = true\n")
    daemons.systemctl("reload", OURS.units[0])
    found = {name: of_another(name) for name in ("earlyoom", "nohang")}
    CONFIG.write_text(SETTINGS)
    daemons.systemctl("reload", OURS.units[0])
    return found


def costs() -> Facts:
    """What it takes, as it is shipped, and with process events."""
    shipped = footprint(daemons.main_pid(REPORTER))
    CONFIG.write_text(f"{SETTINGS}\n[watch]\nprocess_events = true\n")
    daemons.systemctl("restart", REPORTER)
    pid = until(lambda: daemons.main_pid(REPORTER), 30.0)
    until(lambda: metrics(), 60.0)
    time.sleep(8)
    sleeper = subprocess.Popen(["sleep", "600"])
    time.sleep(2)
    os.kill(sleeper.pid, signal.SIGKILL)
    sleeper.wait()
    time.sleep(5)
    shown = sh("oomguardctl", "history", "--pid", str(sleeper.pid), "--json")
    with_events = footprint(pid)
    CONFIG.write_text(SETTINGS)
    return {"shipped": shipped, "with_events": with_events, "exit": shown, "pid": sleeper.pid}


def footprint(pid: int) -> Facts:
    """In kB, of the process; and the processor time that it has taken."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kb = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
    return {"pss_kb": kb["Pss"], "rss_kb": kb["Rss"], **machine.footprint(pid)}


def security() -> Facts:
    return {unit: sh("systemd-analyze", "--no-pager", "security", unit)["out"][-300:] for unit in OURS.units}


SCENES: tuple[tuple[str, Callable[[], Facts]], ...] = (
    ("kill", a_kill),
    ("kernel", the_kernels),
    ("asked", asked),
    ("past", the_past),
    ("bus", the_bus),
    ("reporter", reporter_killed),
    ("journald", journal_stopped),
    ("others", of_others),
    ("costs", costs),
    ("security", security),
)
