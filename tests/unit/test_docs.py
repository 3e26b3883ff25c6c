"""What the README promises can be run, and does what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from oomguardd import __version__
from oomguardd.config import load
from oomguardd.config.files import TOML_LOADS
from oomguardd.sensors import SIGNALS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = [
    ROOT / name
    for name in (
        "README.md",
        "CHANGELOG.md",
        "docs/benchmarks.md",
        "docs/deciding.md",
        "docs/hooks.md",
        "docs/journal.md",
        "docs/metrics.md",
        "packaging/README.md",
    )
]

OOMGUARDD = (sys.executable, "-m", "oomguardd")


def toml_loads(text: str) -> dict[str, Any]:
    assert TOML_LOADS is not None
    return TOML_LOADS(text)


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def examples() -> list[str]:
    """Every configuration that a document shows."""
    return [block for path in DOCUMENTS for block in blocks("toml", path.read_text(encoding="utf-8"))]


def commands() -> list[str]:
    """Every line of the shell blocks, without its comment."""
    lines = (line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines())
    return [line for line in lines if line]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OOMGUARDD, *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )


def run_in_the_foreground(*arguments: str) -> tuple[int, str]:
    """Starts the daemon in dry run, ends it when it has armed; its status and what the reporter wrote."""
    with TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o755)  # for whomever the reporter becomes
        log = Path(directory) / "log"
        environ = {**os.environ, "STATE_DIRECTORY": f"{directory}/state"}  # not this machine's own history
        with log.open("wb") as stderr:
            guard = subprocess.Popen(
                [*OOMGUARDD, *arguments, "--socket", f"{directory}/guard.sock"],
                cwd=ROOT,
                stderr=stderr,
                env=environ,
            )
            deadline_s = time.monotonic() + 40
            while (
                b"armed in" not in log.read_bytes() and guard.poll() is None and time.monotonic() < deadline_s
            ):
                time.sleep(0.05)
            guard.send_signal(signal.SIGTERM)
            status = guard.wait(30)
        return status, log.read_text()


def test_every_command_is_known_to_a_test() -> None:
    assert sorted(set(commands())) == sorted(
        [
            "make run",
            "make test",
            "oomguardd",
            "oomguardd --dry-run",
            "oomguardd --once",
            "oomguardd --once --json",
            "oomguardd --check-config",
            "oomguardd --check-config --json",
            "oomguardd --version",
            # tests/shell/test_ctl.py runs these, with files of its own.
            "oomguardctl check",
            "oomguardctl check --protected",
            "oomguardctl check new.toml --strict",
            "oomguardctl explain 4711",
            "oomguardctl rank",
            "oomguardctl rank --watch",
            "oomguardctl record day.gz --for 8h",
            "oomguardctl simulate day.gz --config new.toml",
            "oomguardctl simulate day.gz --config old.toml --against new.toml",
            # tests/shell/test_ctl_{status,history,report,decode}.py run these.
            "oomguardctl status",
            "oomguardctl status --follow",
            "oomguardctl status --watch",
            "oomguardctl history",
            "oomguardctl history --pid 4711",
            "oomguardctl show last",
            "oomguardctl report last -o kill.html",
            "oomguardctl decode --journal",
            "oomguardctl decode dmesg.txt",
        ]
    )


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"oomguardd {__version__}\n")


def test_check_config(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    done = run("--check-config", "--config", str(empty))
    assert done.returncode == 0, done.stderr
    assert "low-memory" in done.stdout
    assert toml_loads(done.stdout), "what is printed is a configuration again"
    done = run("--check-config", "--json", "--config", str(empty))
    assert json.loads(done.stdout)["config"]["kill"]["grace_s"] == 5
    empty.write_text("[gaurd]\n")
    done = run("--check-config", "--config", str(empty))
    assert done.returncode == 1
    assert "guard" in done.stdout + done.stderr


def test_once() -> None:
    done = run("--once")
    assert done.returncode == 0, done.stderr
    assert "mem_available" in done.stdout
    assert "PID" in done.stdout


def test_once_for_programs() -> None:
    done = run("--once", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["level"] in {"calm", "warn", "terminate", "kill"}
    assert report["readings"]["mem_total"] > 0


def test_dry_run_in_the_foreground() -> None:
    status, log = run_in_the_foreground("--dry-run")
    assert status == 0, log
    assert "in dry run (nobody will be signalled)" in log
    assert "stopping" in log


def test_the_default_configuration_in_the_foreground() -> None:
    # As `make run` does, with nobody signalled: this may be a machine that is short of memory.
    status, log = run_in_the_foreground("--config", "conf/oomguard.toml", "--dry-run")
    assert status == 0, log
    assert "trigger low-memory:" in log


def test_wrong_usage() -> None:
    assert run("--no-such-option").returncode == 2


def test_options_in_the_readme_are_those_of_the_program() -> None:
    told = set(
        re.findall(r"--[a-z][a-z-]+", README.partition("## Command line")[2].partition("## Config")[0])
    )
    known = set(re.findall(r"--[a-z][a-z-]+", run("--help").stdout)) - {"--help"}
    assert told - {"--now"} == known


def test_console_scripts_can_be_called_as_installed() -> None:
    scripts = toml_loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {"oomguardd", "oomguardd-reporter", "oomguardctl", "oomguard-agent"}
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        program = (
            f"import sys; from {module} import {function}; sys.argv = ['{name}', '--version']; {function}()"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert (done.returncode, done.stdout) == (0, f"oomguardd {__version__}\n"), done.stderr


def test_the_version_is_the_same_everywhere() -> None:
    assert toml_loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


@pytest.mark.parametrize("example", examples())
def test_configuration_examples_load(tmp_path: Path, example: str) -> None:
    file = tmp_path / "oomguard.toml"
    file.write_text(example, encoding="utf-8")
    config = load(str(file), SIGNALS)
    assert config.triggers
    assert not config.warnings


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    named = {word for path in DOCUMENTS for word in re.findall(r"\bmake ([a-z-]+)", backquoted(path))}
    assert {"run", "test"} <= named
    assert named <= targets


def backquoted(path: Path) -> str:
    """What is code in that document, so that the verb `make` in a sentence is not taken for the program."""
    text = path.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```.*?```|`[^`\n]*`", text, re.DOTALL))


def test_ci_runs_what_the_readme_says() -> None:
    ci = ROOT / ".ci/run"
    assert "exec make test" in ci.read_text()
    assert ci.stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_files_that_packaging_names_exist() -> None:
    text = (ROOT / "packaging/README.md").read_text()
    named = re.findall(r"`((?:conf|systemd|packaging)/[\w./-]+)`", text)
    assert named
    assert all((ROOT / name).exists() for name in named)
