"""What an armed guard does between the trigger and the signal, and whether it needs its reporter for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = (
    "import",
    "compile",
    "exec",
    "ctypes.dlopen",
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "subprocess.Popen",
    "_thread.start_new_thread",
    "socket.connect",
    "socket.getaddrinfo",
)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not below pytest's own, which is closed to the reporter's user."""
    with tempfile.TemporaryDirectory(prefix="oomguard-test-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def on_stage(what: str, directory: Path) -> dict[str, Any]:
    """Runs the stage as process 1 of a namespace; skips where none can be had."""
    unshare = shutil.which("unshare")
    apart = [unshare or "", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if (
        not unshare
        or os.geteuid() != 0
        or subprocess.run([*apart, "true"], check=False, timeout=60).returncode
    ):
        pytest.skip("needs root and pid namespaces")
    done = subprocess.run(
        [*apart, sys.executable, "-m", "tests.armed.stage", what, str(directory)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=110,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    assert "failed" not in result, result
    return result


def test_no_import_no_fork_no_file_for_writing_once_armed(directory: Path) -> None:
    result = on_stage("audited", directory)
    assert result["hog_status"] == -signal.SIGKILL
    assert result["guard_status"] == 0
    assert result["faults"] == []
    kill = result["kill"]
    assert kill["victim"]["pid"] == result["hog"]
    assert kill["victim"]["comm"] == "shared-hog"
    assert kill["victim"]["rss_shmem_bytes"] > 64 << 20
    assert kill["major_faults"] == 0
    assert result["outcome"]["outcome"] == "died"
    names = {event for _, event, _, _ in result["events"]}
    assert "open" in names  # the hook did see what the guard reads
    assert not names & set(FORBIDDEN), [e for e in result["events"] if e[1] in FORBIDDEN]
    writing = [e for e in result["events"] if e[1] == "open" and e[3] & WRITING]
    assert writing == []
    assert result["before"] > 100  # and what it did before


@pytest.mark.parametrize("number", ["SIGSTOP", "SIGKILL"])
def test_kills_without_its_reporter_and_tells_it_later_once(directory: Path, number: str) -> None:
    result = on_stage(number, directory)
    assert result["hog_status"] == -signal.SIGKILL
    if number == "SIGSTOP":
        assert "shared-hog" not in result["during"]
    lines = result["log"].splitlines()
    assert sum(" killed shared-hog[" in line for line in lines) == 1, result["log"]
    assert sum(" shared-hog[" in line and " died " in line for line in lines) == 1, result["log"]


def test_a_reload_is_all_or_nothing_and_then_in_force(directory: Path) -> None:
    result = on_stage("reload", directory)
    (failed,), (reloaded,) = result["failed_reloads"], result["reloads"]
    assert any("triger" in problem for problem in failed["problems"])
    assert "triggers" in reloaded["changes"]
    assert result["hog_status"] == -signal.SIGKILL
    assert result["faults"] == []
