"""The command as systemd runs it, in a dry run: what it says to whom, and what is left of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.armed.stage import Listener

NEVER = (
    "[guard]\ndefault_triggers = false\n[[trigger]]\nname = 'never'\nlevel = 'kill'\nmem_available = '<1M'\n"
)
DEADLINE_S = 60.0
WATCHDOG_S = 2.0


class Manager:
    """A service manager with one service. Its notifications are kept with the time at which they came."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.run = self.directory / "run"
        self.socket = self.run / "guard.sock"
        self.log = self.directory / "log"
        self.config = self.directory / "oomguard.toml"
        self.config.write_text(NEVER)
        self.heard: list[tuple[float, list[str]]] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sock.bind(f"{directory}/notify")
        self._services: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        *options: str,
        before: tuple[str, ...] = (),
        stdin: int = subprocess.DEVNULL,
        log: str = "log",
    ) -> subprocess.Popen[bytes]:
        """`before` is what execs the command."""
        given = ["--dry-run", "--no-reporter", "--config", str(self.config)]
        if "--socket" not in options:
            given += ["--socket", str(self.socket)]
        notify = {
            "NOTIFY_SOCKET": f"{self.directory}/notify",
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        }
        with (self.directory / log).open("wb") as file:
            service = subprocess.Popen(
                [*before, sys.executable, "-m", "oomguardd", *given, *options],
                env={**os.environ, **notify},
                stdin=stdin,
                stdout=file,
                stderr=file,
            )
        self._services.append(service)
        return service

    def fails(self, *options: str) -> str:
        """What a service says that cannot start."""
        service = self.start(*options, log="failed")
        assert service.wait(DEADLINE_S) == 1
        return (self.directory / "failed").read_text()

    def listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append((time.monotonic(), self._sock.recv(1 << 16).decode().split("\n")))

    def saying(self, word: str) -> list[tuple[float, list[str]]]:
        return [each for each in self.heard if word in each[1]]

    def until(self, done: Callable[[], object]) -> bool:
        """Hears notifications until then; False, with the log, if that never was."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > deadline_s:
                print(self.log.read_text(errors="replace") if self.log.exists() else "", self.heard)
                return False
            time.sleep(0.005)
            self.listen()
        return True

    def ready(self, times: int = 1) -> bool:
        return self.until(lambda: len(self.saying("READY=1")) >= times)

    def close(self) -> None:
        for service in self._services:
            if service.poll() is None:
                service.kill()
            service.wait(DEADLINE_S)
        self._sock.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    """In a directory with a short name: that of a socket has to fit into 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="oomguard-test-") as directory:
        made = Manager(directory)
        try:
            yield made
        finally:
            made.close()


def processes_in(directory: Path) -> list[str]:
    """Everybody whose command line names it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(directory).encode() in file.read_bytes():
                found.append(file.parent.name)
    return found


def test_from_ready_to_stopping(manager: Manager) -> None:
    service = manager.start()
    assert manager.ready()
    (_, first), *_ = manager.saying("READY=1")
    assert any(re.fullmatch(r"STATUS=armed, watching \d+ processes", line) for line in first)
    listener = Listener(str(manager.socket))
    assert manager.until(lambda: listener.of("armed"))
    assert [r["dry_run"] for r in listener.of("started")] == [True]
    assert manager.until(
        lambda: any(line.startswith("STATUS=calm") for _, said in manager.heard for line in said)
    )
    service.send_signal(signal.SIGTERM)
    assert service.wait(DEADLINE_S) == 0
    manager.listen()
    assert manager.heard[-1][1] == ["STOPPING=1"]
    assert not manager.socket.exists()
    assert not (manager.run / "stalled").exists()
    assert listener.of("fault") == []
    assert processes_in(manager.directory) == []


def test_the_watchdog_is_fed_twice_as_often_as_it_asks(manager: Manager) -> None:
    """On a calm machine too, which would be looked at every five seconds otherwise."""
    manager.start()
    assert manager.ready()
    assert manager.until(lambda: len(manager.saying("WATCHDOG=1")) >= 7)
    times = [when_s for when_s, _ in manager.saying("WATCHDOG=1")]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert statistics.median(gaps) < WATCHDOG_S * 0.75


def test_a_reload_is_told_to_systemd_and_to_the_reporter(manager: Manager) -> None:
    service = manager.start()
    assert manager.ready()
    listener = Listener(str(manager.socket))
    for times, text, kind in (
        (2, "[kil]\n", "reload_failed"),
        (3, f"{NEVER}[kill]\ngrace = '7s'\n", "reloaded"),
    ):
        manager.config.write_text(text)
        before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        service.send_signal(signal.SIGHUP)
        assert manager.ready(times)
        assert manager.until(lambda kind=kind: listener.of(kind))  # type: ignore[misc]
        (_, reloading), (_, ready) = manager.saying("RELOADING=1")[-1], manager.saying("READY=1")[-1]
        (stamp,) = (int(line.partition("=")[2]) for line in reloading if line.startswith("MONOTONIC_USEC="))
        assert before_us <= stamp <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert any("the old one stays" in line for line in ready) == (kind == "reload_failed")
    (failed,), (reloaded,) = listener.of("reload_failed"), listener.of("reloaded")
    assert any("kill" in problem for problem in failed["problems"])
    assert reloaded["changes"] == ["kill"]
    assert len(manager.saying("RELOADING=1")) == 2
    assert service.poll() is None


def test_a_second_guard_on_the_same_socket(manager: Manager) -> None:
    first = manager.start()
    assert manager.ready()
    assert "another oomguardd is running" in manager.fails()
    assert first.poll() is None
    assert manager.socket.exists()
    listener = Listener(str(manager.socket))
    assert manager.until(lambda: listener.of("armed"))


def test_killed_outright_it_can_be_started_again(manager: Manager) -> None:
    """Its socket is still there, and nobody listens on it."""
    first = manager.start()
    assert manager.ready()
    first.kill()
    assert first.wait(DEADLINE_S) == -signal.SIGKILL
    assert manager.socket.exists()
    manager.start()
    assert manager.ready(2)
    assert Listener(str(manager.socket)).of("stopping") == []


def test_a_file_that_is_no_socket_is_left_alone(manager: Manager) -> None:
    file = manager.directory / "precious"
    file.write_text("precious")
    said = manager.fails("--socket", str(file))
    assert f"{file}: exists and is no socket" in said
    assert "Traceback" not in said
    assert file.read_text() == "precious"
    assert manager.saying("READY=1") == []


@pytest.mark.parametrize("junk", ["a file", "/dev/null", "/proc/self/status", "closed"])
def test_a_descriptor_that_is_no_pressure_file_is_survived(manager: Manager, junk: str) -> None:
    """LISTEN_FDNAMES says "psi": nothing is written to it, and the guard opens its own."""
    file = manager.directory / "junk"
    file.write_text("precious")
    path = {"a file": str(file), "closed": "&-"}.get(junk, junk)
    redirected = f"3>{path}" if junk == "closed" else f"3{'<' if 'proc' in junk else '<>'}{path}"
    script = f'export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=psi; exec "$@" {redirected}'
    service = manager.start(before=("sh", "-c", script, "sh"))
    assert manager.ready()
    listener = Listener(str(manager.socket))
    assert manager.until(lambda: listener.of("armed"))
    assert listener.of("armed")[0]["psi_source"] in ("direct", "slow_window", "polling", "none")
    assert file.read_text() == "precious"
    service.send_signal(signal.SIGTERM)
    assert service.wait(DEADLINE_S) == 0
    assert manager.log.read_text() == ""


def test_a_kernel_without_psi(manager: Manager) -> None:
    """An empty directory in its place, in a mount namespace of its own."""
    empty = manager.directory / "empty"
    empty.mkdir()
    script = f'mount --bind "{empty}" /proc/pressure && exec "$@"'
    before = (shutil.which("unshare") or "", "--mount", "sh", "-c", script, "sh")
    if not before[0] or os.geteuid() or subprocess.run([*before, "true"], check=False, timeout=60).returncode:
        pytest.skip("needs root and mount namespaces")
    service = manager.start(before=before)
    assert manager.ready()
    listener = Listener(str(manager.socket))
    assert manager.until(lambda: listener.of("armed"))
    (missing,) = (each for each in listener.of("missing") if "PSI" in each["what"])
    assert missing["cost"].startswith("Conditions on psi_* never hold")
    assert missing["cost"].endswith("it goes by memory and swap alone")
    assert "psi=1" in missing["what"]
    assert listener.of("armed")[0]["psi_source"] == "none"
    service.send_signal(signal.SIGTERM)
    assert service.wait(DEADLINE_S) == 0
    assert listener.of("fault") == []
