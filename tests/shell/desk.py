"""A herald, an agent and a desktop on buses of their own; and records for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from oomguardd.notifiers.bus import Bus
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.people.herald import Herald
from oomguardd.telling import Telling
from tests.shell.buses import ROOT, Daemon, Desktop, running

UNIT = "app-gnome-firefox-4711.scope"


def kill(comm: str = "hog", uid: int | None = None, **more: object) -> Record:
    uid = os.getuid() if uid is None else uid
    cgroup = f"/user.slice/user-{uid}.slice/user@{uid}.service/app.slice/{UNIT}"
    victim = {"pid": 4711, "comm": comm, "uid": uid, "cgroup": cgroup, "held_bytes": 2 << 30}
    return {
        "kind": "kill",
        "run": "r",
        "seq": 1,
        "time_s": time.time(),
        "signal": "SIGTERM",
        "victim": victim,
        "conditions": ["mem_available <5%"],
        "readings": {"mem_available": 1 << 20, "mem_total": 1 << 30},
        **more,
    }


def limit() -> Record:
    return {"kind": "limit", "time_s": time.time(), "per_minute": 6, "level": "kill"}


def warn() -> Record:
    readings = {"mem_available": 50 << 20, "mem_total": 1 << 30, "swap_free": 0}
    return {"kind": "level", "level": "warn", "was": "calm", "time_s": time.time(), "readings": readings}


class Stage:
    """A herald with the bus notifier only, an agent, and a desktop."""

    def __init__(self, system: Daemon, session: Daemon) -> None:
        self.system, self.session = system, session
        self.desktop = Desktop()
        self.meters = Meters()
        self.published: list[Record] = []
        environ = {"DBUS_SYSTEM_BUS_ADDRESS": system.address}
        self.herald = Herald(
            Telling(),
            self.meters,
            self.published.append,
            environ,
            "box",
            makers=[lambda telling, gear: [Bus(gear, system.address, first_pause_s=0.1)]],
            biggest=lambda: "hog 2 GiB",
        )
        self.agents: list[subprocess.Popen[str]] = []

    def agent(self, *arguments: str, desktop: str = "KDE") -> subprocess.Popen[str]:
        environ = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": self.system.address,
            "DBUS_SESSION_BUS_ADDRESS": self.session.address,
            "XDG_CURRENT_DESKTOP": desktop,
            "XDG_DATA_DIRS": "/nonexistent",
            "LC_ALL": "C",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "oomguardd.agent", *arguments],
            cwd=ROOT,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.agents.append(process)
        return process

    async def until_heard(self) -> None:
        """Tells something until it is shown: the agent is there, and listens; then forgets what was shown."""
        for _ in range(100):
            await self.herald.take([limit()])
            if await self.desktop.until(1, within_s=0.2):
                break
        await asyncio.sleep(0.3)  # what else was on its way
        assert self.desktop.shown, "the agent shows nothing"
        self.desktop.shown.clear()


def ends(process: subprocess.Popen[str]) -> bool:
    """Whether it ends by itself; it is gone afterwards in any case."""
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    return True


@contextlib.asynccontextmanager
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running(tmp_path) as (system, session):
        made = Stage(system, session)
        try:
            await made.desktop.start(session.address)
            made.herald.start()
            yield made
        finally:
            await made.herald.close()
            await made.desktop.close()
            for process in made.agents:
                process.terminate()
            deaf = [process for process in made.agents if not ends(process)]
            assert not deaf, "SIGTERM ends an agent"
