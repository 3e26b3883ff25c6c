"""The processes of a scenario, each in a control group of its own as applications are."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from . import machine

USER = 1000


class Stage:
    """Who is on it, by name."""

    def __init__(self) -> None:
        self.actors: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, *words: str, adj: int = 0, memory_max: str = "max", user: int = USER) -> None:
        procs = machine.cgroup(f"app-{name}", memory_max) / "cgroup.procs"

        def enter() -> None:
            procs.write_text("0")
            Path("/proc/self/oom_score_adj").write_text(str(adj))
            os.setgid(user)
            os.setuid(user)

        self.actors[name] = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=enter)

    def wait_ready(self, name: str) -> None:
        stdout = self.actors[name].stdout
        assert stdout is not None
        stdout.readline()

    def ended(self, name: str, limit_s: float) -> int | None:
        """Its exit status; None if it still runs after so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.actors[name].wait(limit_s)
        return None

    def finish_canary(self) -> dict[str, Any]:
        """What the canary felt; empty if it was killed."""
        canary = self.actors["canary"]
        canary.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            return dict(json.loads(canary.communicate(timeout=60)[0]))
        return {}
