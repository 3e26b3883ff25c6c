"""The processes of a scenario: who is on stage, by name, and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from . import cgroups, places
from .scenarios import Actor

PROGRAM = Path(places.JOB, "actors")
# It says how its command ended (128 + n for a signal), and goes on waiting as a terminal's shell does.
SHELL = ("sh", "-c", '"$@"; echo $?; read _', "sh")
BY_SIGNAL = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
"""What a shell says of those who were killed."""


class Stage:
    """Holds the processes that were started as actors; their children are their own affair."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._statuses: dict[str, int] = {}
        self._began_s = 0.0

    def start(self, actor: Actor, within: tuple[str, ...] = ()) -> None:
        """Puts it into its cgroup and starts it there; `within` is a command that starts it in its turn."""
        if not self._processes:
            self._began_s = time.monotonic()
        time.sleep(max(0.0, self._began_s + actor.after_s - time.monotonic()))
        group = cgroups.make(actor.cgroup or places.session_app(actor.name))
        for file, content in actor.files:
            (group / file).write_text(content)

        def enter() -> None:
            (group / "cgroup.procs").write_text("0")
            Path("/proc/self/oom_score_adj").write_text(str(actor.adj))
            os.setgid(actor.user)
            os.setuid(actor.user)

        self._processes[actor.name] = subprocess.Popen(
            [*(SHELL if actor.shell else ()), *within, _program(actor), *actor.does],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=actor.leader or actor.shell,
            preexec_fn=enter,
        )

    def wait_ready(self, actor: Actor) -> None:
        self._read(actor)

    def ended(self, actor: Actor, limit_s: float) -> int | None:
        """Its exit status, negative for a signal; None if it still runs after so long."""
        if actor.name not in self._statuses:
            status = self._shell_says(actor, limit_s) if actor.shell else self._wait(actor, limit_s)
            if status is None:
                return None
            self._statuses[actor.name] = status
        return self._statuses[actor.name]

    def killed(self, actor: Actor) -> bool:
        """Whether it ended by a signal."""
        status = self.ended(actor, 0.0)
        return status is not None and (status < 0 or status in BY_SIGNAL)

    def lost_its_shell(self, actor: Actor) -> bool:
        return actor.shell and self._processes[actor.name].poll() is not None

    def finish_canary(self, actor: Actor) -> dict[str, Any]:
        """What the canary felt; empty if it was killed."""
        canary = self._processes[actor.name]
        canary.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            return dict(json.loads(canary.communicate(timeout=60)[0]))
        return {}

    def _wait(self, actor: Actor, limit_s: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._processes[actor.name].wait(limit_s)
        return None

    def _shell_says(self, actor: Actor, limit_s: float) -> int | None:
        stdout = self._processes[actor.name].stdout
        assert stdout is not None
        if not select.select([stdout], [], [], limit_s)[0]:
            return None
        said = self._read(actor)
        return int(said) if said else self._wait(actor, limit_s)

    def _read(self, actor: Actor) -> str:
        stdout = self._processes[actor.name].stdout
        assert stdout is not None
        return stdout.readline().strip()


def _program(actor: Actor) -> str:
    """A link with the actor's name: so it is called, and so a rule can tell it by its path."""
    path = Path(places.program(actor.name))
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.hardlink_to(PROGRAM)
    return str(path)
