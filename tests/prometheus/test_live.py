"""A real Prometheus scrapes a live daemon, and its alert fires for a kill (in dry run)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.prometheus.server import prometheus
from tests.prometheus.test_files import queries
from tests.prometheus.tools import Tools, free_port

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
[guard]
default_triggers = false
lock_memory = false
realtime = false
[metrics]
listen = "{address}"
[history]
directory = "{directory}/history"
[control]
socket = "off"
[notify]
desktop = false
wall = false
[[trigger]]
name = "probe"
level = "terminate"
mem_available = "<{bound}"
"""


class Daemon:
    """oomguardd in the foreground, in dry run, with one trigger that does not hold yet."""

    def __init__(self, directory: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._directory = directory
        self.log = directory / "log"
        self._configure("4K")
        command = [sys.executable, "-m", "oomguardd", "--dry-run", "--config", str(directory / "c.toml")]
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [*command, "--socket", str(directory / "guard.sock")], cwd=ROOT, stderr=stream
            )

    def make_kill(self) -> None:
        """The next configuration has a trigger that holds on every machine."""
        self._configure("100%")
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _configure(self, bound: str) -> None:
        text = CONFIG.format(address=self.address, directory=self._directory, bound=bound)
        (self._directory / "c.toml").write_text(text)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o755)  # for whomever the reporter becomes
        started = Daemon(Path(directory))
        try:
            yield started
        finally:
            started.stop()


def test_the_alert_fires_for_a_kill(tools: Tools, daemon: Daemon, tmp_path: Path) -> None:
    kills = 'oomguard_kills_total{trigger="probe", signal="SIGTERM", dry_run="true"}'
    with prometheus(tools, daemon.address, tmp_path) as server:
        server.until(lambda: server.value("oomguard_armed") == 1)
        server.until(lambda: server.value(kills) == 0)
        assert "OomguardKilledProcess" not in server.firing(), daemon.log.read_text()
        daemon.make_kill()
        alert = server.until(lambda: server.firing().get("OomguardKilledProcess"))
        assert "would have killed (dry run)" in alert["summary"]
        assert "Trigger probe held" in alert["description"]
        assert (server.value(kills) or 0) >= 1

        (scraped,) = server.get("targets")["activeTargets"]
        assert (scraped["health"], scraped["lastError"]) == ("up", "")
        rules = [rule for group in server.get("rules")["groups"] for rule in group["rules"]]
        assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
        units = server.get("metadata", metric="oomguard_freed_bytes")
        assert units["oomguard_freed_bytes"][0]["unit"] == "bytes", "it asked for OpenMetrics"
        for query in queries():
            chosen = query.replace("$job", ".+").replace("$instance", ".+")
            server.get("query", query=chosen.replace("$__rate_interval", "10s").replace("$__range", "1m"))
        assert (server.value("scrape_duration_seconds") or 9) < 0.5
