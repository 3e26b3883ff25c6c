"""A real Prometheus on loopback, with our rules, and what it answers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.prometheus.tools import Tools, free_port

RULES = Path(__file__).resolve().parents[2] / "packaging/prometheus/oomguard.rules.yml"

CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: ["{rules}"]
scrape_configs:
  - job_name: oomguard
    static_configs:
      - targets: ["{target}"]
"""


class Prometheus:
    """Its HTTP API."""

    def __init__(self, address: str, log: Path) -> None:
        self._address = address
        self._log = log

    def get(self, path: str, **query: str) -> Any:
        """`data` of /api/v1/PATH."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float | None:
        """Of the first series that the expression has now; None if there is none."""
        result = self.get("query", query=expression)["result"]
        return float(result[0]["value"][1]) if result else None

    def firing(self) -> dict[str, dict[str, str]]:
        """The alerts that fire now, by name, with their annotations."""
        alerts = self.get("alerts")["alerts"]
        return {
            each["labels"]["alertname"]: each["annotations"] for each in alerts if each["state"] == "firing"
        }

    def until(self, said: Callable[[], Any], within_s: float = 30.0) -> Any:
        """What `said` returns as soon as that is true; it may fail while the server starts."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError, urllib.error.URLError):
                if answer := said():
                    return answer
            time.sleep(0.1)
        raise AssertionError(f"not within {within_s} s\n{self._log.read_text()[-2000:]}")


@contextlib.contextmanager
def prometheus(tools: Tools, target: str, directory: Path) -> Iterator[Prometheus]:
    """Scrapes `target` (host:port) every second."""
    config, log, address = directory / "prometheus.yml", directory / "log", f"127.0.0.1:{free_port()}"
    config.write_text(CONFIG.format(rules=RULES, target=target))
    command = [
        tools.prometheus,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=directory)
    try:
        yield Prometheus(address, log)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
