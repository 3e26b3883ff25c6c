"""What promtool says of our exposition and of our rules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.prometheus.story import Machine, everything
from tests.prometheus.tools import Tools

FILES = Path(__file__).resolve().parents[2] / "packaging/prometheus"


def promtool(tools: Tools, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [tools.promtool, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, cwd=FILES)


@pytest.mark.parametrize("machine", [Machine(connected=False), Machine(*everything())], ids=["new", "rich"])
def test_check_metrics_is_silent(tools: Tools, machine: Machine) -> None:
    done = promtool(tools, "check", "metrics", stdin=machine.text())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_check_metrics_would_not_be_silent(tools: Tools) -> None:
    done = promtool(tools, "check", "metrics", stdin="# TYPE oomguard_kills counter\noomguard_kills 1\n")
    assert done.returncode != 0


def test_check_rules(tools: Tools) -> None:
    done = promtool(tools, "check", "rules", "oomguard.rules.yml")
    assert done.returncode == 0, done.stderr


def test_test_rules(tools: Tools) -> None:
    done = promtool(tools, "test", "rules", "oomguard.rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_config(tools: Tools, tmp_path: Path) -> None:
    text = (FILES / "scrape.yml").read_text(encoding="utf-8")
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/etc/prometheus/oomguard.rules.yml", str(FILES / "oomguard.rules.yml")))
    done = promtool(tools, "check", "config", str(config))
    assert done.returncode == 0, done.stdout + done.stderr
