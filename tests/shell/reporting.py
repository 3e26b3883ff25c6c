"""A real reporter process in front of a real outbox, with all that it keeps in a directory of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from oomguardd.guard.outbox import Outbox, listen, reporter_uids
from tests.shell.rig import event_loop

CONFIG = """
[history]
directory = "{0}/state"
[metrics]
listen = "{0}/metrics.sock"
[notify]
desktop = false
wall = false
[watch]
kernel_kills = false
"""


class Reporting:
    """The outbox's loop runs in the test; the reporter is started and ended as the test asks."""

    def __init__(self, directory: Path, loop: asyncio.AbstractEventLoop, more: str = "") -> None:
        self.directory = directory
        self.loop = loop
        self.config = directory / "oomguard.toml"
        self.config.write_text(CONFIG.format(directory) + more)
        self.log = directory / "log"
        self.outbox = Outbox(os.urandom(4).hex())
        uids = reporter_uids("oomguard")
        listener, self.lock = listen(str(directory / "guard.sock"), uids)
        self.outbox.serve(loop, listener, uids)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def history(self) -> str:
        return str(self.directory / "state")

    @property
    def metrics(self) -> str:
        return str(self.directory / "metrics.sock")

    @property
    def control(self) -> str:
        return str(self.directory / "io.oomguard.Manager")

    def start(self, *options: str) -> int:
        """The reporter's pid, when it has connected."""
        words = ["--socket", str(self.directory / "guard.sock"), "--config", str(self.config), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oomguardd.reporter", *words], stderr=log, stdin=subprocess.DEVNULL
            )
        assert self.run(lambda: self.outbox.peers > 0), self.written()
        return self.process.pid

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends the reporter, and waits until that is known here."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(30)
        self.run(lambda: self.outbox.peers == 0)

    def run(self, done: Callable[[], Any], for_s: float = 30.0) -> bool:
        """Runs the loop until that is so; False after so long."""
        deadline_s = time.monotonic() + for_s
        while not done():
            if time.monotonic() > deadline_s:
                return False
            self.loop.run_until_complete(asyncio.sleep(0.005))
        return True

    def written(self) -> str:
        return self.log.read_text(errors="replace")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.outbox.close()
        os.close(self.lock)


@contextlib.contextmanager
def reporting(more: str = "") -> Iterator[Reporting]:
    """`more`: what else the configuration says."""
    # Not tmp_path: its parents are closed to other users, of whom the reporter is one.
    directory = Path(tempfile.mkdtemp(prefix="oomguard-reporting-", dir="/tmp"))
    directory.chmod(0o755)
    try:
        with event_loop() as loop:
            place = Reporting(directory, loop, more)
            try:
                yield place
            finally:
                place.close()
    finally:
        shutil.rmtree(directory)


def kill_fields(kill_id: int, pid: int = 4711) -> dict[str, Any]:
    """What a kill's record has, as the guard makes it."""
    victim = {
        "pid": pid,
        "ppid": 1,
        "comm": "leak",
        "uid": 1000,
        "cgroup": "/system.slice/leaky.service",
        "state": "R",
        "age_s": 12.0,
        "nice": 0,
        "threads": 1,
        "oom_score_adj": 0,
        "rss_anon_bytes": 800 << 20,
        "rss_file_bytes": 1 << 20,
        "rss_shmem_bytes": 0,
        "swap_bytes": 64 << 20,
        "pagetables_bytes": 2 << 20,
        "held_bytes": 866 << 20,
        "kernel_pages": 221952,
        "pages": 221952,
        "points": 586.0,
        "adjustments": [["growth", 0.0, "growing"]],
    }
    return {
        "kill_id": kill_id,
        "signal": "SIGTERM",
        "dry_run": False,
        "domain": "machine",
        "level": "terminate",
        "triggers": ["low-memory"],
        "conditions": ["mem_available <10%"],
        "readings": {"mem_total": 1014.0 * 2**20, "mem_available": 60.0 * 2**20, "psi_some_avg10": 12.0},
        "victim": victim,
        "runners_up": [dict(victim, pid=4712, comm="other", points=20.0)],
        "spared": [[1, "systemd", "init"]],
        "totals": {"ram_bytes": 1 << 30, "swap_bytes": 512 << 20},
        "page_bytes": 4096,
        "party": {
            "unit": "process",
            "cgroup": "",
            "count": 1,
            "held_bytes": 866 << 20,
            "why": "",
            "reduced": "",
            "members": [[pid, "leak", 866 << 20]],
        },
        "timings": {
            "sense_s": 0.001,
            "scan_s": 0.004,
            "judge_s": 0.001,
            "signal_s": 0.0005,
            "total_s": 0.0065,
        },
        "scanned": 120,
        "ahead": True,
        "major_faults": 0,
    }


def outcome_fields(kill_id: int, pid: int = 4711) -> dict[str, Any]:
    """How it ended."""
    return {
        "kill_id": kill_id,
        "pid": pid,
        "comm": "leak",
        "foreign": False,
        "outcome": "died",
        "after_s": 0.081,
        "state": "",
        "count": 1,
        "living": [],
        "held_bytes": 866 << 20,
        "available_before_bytes": 60 << 20,
        "available_after_bytes": 900 << 20,
        "reaped": True,
        "why": "",
    }
