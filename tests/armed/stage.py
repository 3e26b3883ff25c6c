"""Process 1 of a namespace: starts a guard, a hog of shared memory when it is armed, tells what came of it.

Shared memory, because a small hog can push it over a threshold on any machine, and it falls back when that is
dead. Prints one JSON object; when it ends, everybody in the namespace ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MIB = 1 << 20
DEADLINE_S = 30.0
HOG = """
import mmap, sys
with open("/proc/self/comm", "w") as f: f.write("shared-hog")
area = mmap.mmap(-1, 128 << 20)
print("ready", flush=True)
sys.stdin.readline()
for at in range(0, 128 << 20, 4096): area[at] = 1
sys.stdin.read()
"""


def shmem_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Shmem:"):
            return int(line.split()[1]) * 1024
    return 0


def wait_for(what: str, done: Any) -> Any:
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        found = done()
        if found:
            return found
        time.sleep(0.01)
    raise TimeoutError(what)


class Listener:
    """A reporter that only listens."""

    def __init__(self, path: str) -> None:
        self.records: list[dict[str, Any]] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wait_for("the socket", lambda: self._connect(path))
        self._sock.send(b'{"hello":1,"run":"","last":0}')
        self._sock.setblocking(False)

    def _connect(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            self._sock.connect(path)
            return True
        return False

    def of(self, kind: str) -> list[dict[str, Any]]:
        with contextlib.suppress(BlockingIOError):
            while data := self._sock.recv(1 << 16):
                self.records.append(json.loads(data))
        return [record for record in self.records if record["kind"] == kind]


class Stage:
    """One guard and one hog."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.socket = f"{directory}/run/guard.sock"
        self.events = f"{directory}/events"
        self.log = Path(directory, "log")
        self.config = Path(directory, "oomguard.toml")
        self.bound = f"{(shmem_bytes() + 64 * MIB) // 1024}K"
        self.configure(self.bound)
        self.options = ["--config", str(self.config), "--socket", self.socket]

    def configure(self, bound: str, more: str = "") -> None:
        """More shared memory than this, and somebody is killed at once."""
        self.config.write_text(
            "[guard]\ndefault_triggers = false\n[[trigger]]\nname = 'shared'\nlevel = 'kill'\n"
            f"shmem = '>{bound}'\n"
            # This machine's history is no place for made-up kills, its port no place for their metrics.
            f"[history]\ndirectory = '{self.directory}/history'\n[metrics]\nenabled = false\n"
            f"[control]\nsocket = 'off'\n[notify]\nwall = false\ndesktop = false\n{more}"
        )

    def guard(self, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.armed.watched", self.events, *self.options, *more]
        with self.log.open("wb") as log:
            return subprocess.Popen(command, stderr=log)

    def hog(self) -> subprocess.Popen[bytes]:
        """Ready to fill memory when it is told to."""
        hog = subprocess.Popen([sys.executable, "-c", HOG], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert hog.stdout is not None
        hog.stdout.readline()
        return hog


def fill(hog: subprocess.Popen[bytes]) -> None:
    assert hog.stdin is not None
    hog.stdin.write(b"now\n")
    hog.stdin.flush()


def reporter_of(guard: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{guard.pid}/task/{guard.pid}/children").read_text().split()
    return int(children[0]) if children else 0


def audited(stage: Stage) -> dict[str, Any]:
    """One kill, and all that Python reported of the guard."""
    guard = stage.guard("--no-reporter")
    listener = Listener(stage.socket)
    (armed,) = wait_for("arming", lambda: listener.of("armed"))
    hog = stage.hog()
    time.sleep(0.3)  # it looks around a few times
    fill(hog)
    status = hog.wait(DEADLINE_S)
    (outcome,) = wait_for("the outcome", lambda: listener.of("outcome"))
    guard.send_signal(signal.SIGTERM)
    guard.wait(DEADLINE_S)
    (kill,) = listener.of("kill")
    events = json.loads(Path(stage.events).read_text())
    between = [e for e in events if armed["time_s"] < e[0] <= outcome["time_s"]]
    return {
        "hog": hog.pid,
        "hog_status": status,
        "guard_status": guard.returncode,
        "kill": kill,
        "outcome": outcome,
        "faults": listener.of("fault"),
        "events": between,
        "before": len(events) - len(between),
    }


def reporter_hit(stage: Stage, number: signal.Signals) -> dict[str, Any]:
    """One kill while the reporter is stopped or dead; what it has written in the end."""
    guard = stage.guard()
    wait_for("the log", lambda: "armed" in stage.log.read_text(errors="replace"))
    reporter = wait_for("the reporter", lambda: reporter_of(guard))
    hog = stage.hog()
    os.kill(reporter, number)
    fill(hog)
    status = hog.wait(DEADLINE_S)
    during = stage.log.read_text(errors="replace")
    if number == signal.SIGSTOP:
        os.kill(reporter, signal.SIGCONT)
    wait_for("the lines", lambda: "died" in stage.log.read_text(errors="replace"))
    guard.send_signal(signal.SIGTERM)
    guard.wait(DEADLINE_S)
    return {
        "hog": hog.pid,
        "hog_status": status,
        "guard_status": guard.returncode,
        "during": during,
        "log": stage.log.read_text(errors="replace"),
    }


def reloading(stage: Stage) -> dict[str, Any]:
    """A wrong configuration, then a right one that kills the hog which the first let live."""
    stage.configure("99%")
    guard = stage.guard("--no-reporter")
    listener = Listener(stage.socket)
    wait_for("arming", lambda: listener.of("armed"))
    hog = stage.hog()
    fill(hog)
    stage.configure(stage.bound, "[triger]\n")
    guard.send_signal(signal.SIGHUP)
    wait_for("the refusal", lambda: listener.of("reload_failed"))
    lived = hog.poll() is None and not listener.of("kill")
    stage.configure(stage.bound)
    guard.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: listener.of("reloaded"))
    status = hog.wait(DEADLINE_S)
    guard.send_signal(signal.SIGTERM)
    guard.wait(DEADLINE_S)
    return {
        "failed_reloads": listener.of("reload_failed"),
        "reloads": listener.of("reloaded"),
        "faults": listener.of("fault"),
        "hog_status": status if lived else "killed too early",
    }


def main() -> None:
    what, directory = sys.argv[1:]
    stage = Stage(directory)
    try:
        if what == "audited":
            result = audited(stage)
        elif what == "reload":
            result = reloading(stage)
        else:
            result = reporter_hit(stage, signal.Signals[what])
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        log = stage.log.read_text(errors="replace") if stage.log.exists() else ""
        result = {"failed": repr(error), "log": log}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
