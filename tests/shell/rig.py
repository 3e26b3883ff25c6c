"""A guard built by hand on a fake /proc, whose records are read as they are put."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from oomguardd.census.muster import Muster
from oomguardd.engine.episode import Event
from oomguardd.engine.pace import Speeds
from oomguardd.guard.actuator import Actuator
from oomguardd.guard.loop import Guard
from oomguardd.guard.options import orders_of
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.scout import Scout
from oomguardd.guard.strike import Look, Striker
from oomguardd.guard.warden import Warden
from oomguardd.guard.watch import Watch
from oomguardd.kernel.cgroupfs import Cgroups
from oomguardd.kernel.notify import Notifier
from oomguardd.kernel.syscalls import same_memory
from oomguardd.model import Candidate, Condition, Domain, Level, Member, Party, Trigger
from oomguardd.policies import Policy
from oomguardd.rules import Rule
from oomguardd.sections import Config, GuardSettings, KillSettings, LogSettings
from oomguardd.sensors import machine_sensors
from tests.fakes import MIB, FakeProc

DEADLINE_S = 20.0
WARN_MIB, TERM_MIB, KILL_MIB, CALM_MIB = 140, 80, 30, 800
"""Available memory of a machine of 1 GiB at which TRIGGERS order that level."""


def low(name: str, level: Level, percent: float, for_s: float = 0.0) -> Trigger:
    """Holds when less than that is available."""
    return Trigger(name, level, (Condition("mem_available", True, percent, True, f"<{percent}%"),), for_s)


TRIGGERS = (low("warned", Level.WARN, 15), low("low", Level.TERM, 10), low("very-low", Level.KILL, 5))


def candidate(pid: int, **fields: Any) -> Candidate:
    """An ordinary process without memory, but for what is given."""
    plain: dict[str, Any] = {
        "ppid": 1,
        "start_ticks": 100,
        "comm": "task",
        "uid": 1000,
        "nice": 0,
        "age_s": 1.0,
        "state": "S",
        "threads": 1,
        "cgroup": "/",
        "rss_anon_bytes": 0,
        "rss_file_bytes": 0,
        "rss_shmem_bytes": 0,
        "swap_bytes": 0,
        "pagetables_bytes": 0,
        "oom_score_adj": 0,
    }
    return Candidate(pid=pid, **{**plain, **fields})


class Recorder(Outbox):
    """An outbox that can be looked into."""

    def __init__(self, ring_bytes: int = 1 << 20) -> None:
        super().__init__("test", ring_bytes)
        self.connected = 0
        self.records: list[dict[str, Any]] = []

    @property
    def peers(self) -> int:
        return self.connected

    def _encode(self, kind: str, priority: int, seq: int, fields: dict[str, object]) -> bytes:
        self.records.append({"kind": kind, "priority": priority, "seq": seq, **fields})
        return super()._encode(kind, priority, seq, fields)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == kind]


class Hand(Actuator):
    """Signals nobody: what it is told is written down, and who dies is scripted."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, signal.Signals]] = []
        """To victims, not to those who die with them."""
        self.held: dict[int, tuple[Member, ...]] = {}
        self.reaps: list[int] = []
        self.vanished: set[int] = set()
        self.refused: set[int] = set()
        self.unsendable: dict[int, Event] = {}

    def seize(self, kill_id: int, party: Party) -> Event | None:
        victim = party.members[0]
        if victim.pid in self.vanished:
            return Event.VANISHED
        if victim.pid in self.refused:
            return Event.REFUSED
        self.held[kill_id] = party.members
        return None

    def join(self, kill_id: int, members: Iterable[Member]) -> None:
        self.held[kill_id] += tuple(members)

    def send(self, kill_id: int, number: signal.Signals) -> Event | None:
        victim = self.held[kill_id][0].pid
        failed = self.unsendable.get(victim)
        if failed is None:
            self.sent.append((victim, number))
        return failed

    def reap(self, kill_id: int) -> None:
        self.reaps.append(self.held[kill_id][0].pid)

    def reaped(self, kill_id: int) -> bool | None:
        return None

    def living(self, kill_id: int) -> tuple[Member, ...]:
        return self.held.get(kill_id, ())

    def release(self, kill_id: int) -> None:
        self.held.pop(kill_id, None)

    def close(self) -> None:
        self.held.clear()

    @property
    def pids(self) -> list[int]:
        """Who was signalled, in order."""
        return [pid for pid, _ in self.sent]


class Rig:
    """Use it as a context manager. With `loop` real processes are signalled, without nobody is."""

    def __init__(
        self,
        proc: FakeProc,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        triggers: tuple[Trigger, ...] = TRIGGERS,
        kill: KillSettings | None = None,
        guard: GuardSettings | None = None,
        policies: tuple[Policy, ...] = (),
        room: int = 64,
        warden: Warden | None = None,
        untouchable: frozenset[int] = frozenset(),
        rules: tuple[Rule, ...] = (),
        cgroups: Cgroups | None = None,
        swarm: int | None = None,
    ) -> None:
        self.proc = proc
        self.loop = loop
        self.outbox = Recorder()
        self.before_signal: Callable[[], None] = lambda: None
        self.config = Config(
            guard=guard or GuardSettings(),
            kill=kill or KillSettings(grace_s=0.0, stuck_after_s=0.0, settle_s=0.0, stand_down_s=0.0),
            log=LogSettings(state_interval_s=None),
            triggers=triggers,
            policies=policies,
            rules=rules,
        )
        memory, pressure, reclaim = machine_sensors(proc.proc_root, proc.sys_root)
        self.watch = Watch(
            Domain("machine"), memory, (pressure, reclaim), triggers, Speeds(1e9, 1e9), self._fault
        )
        self.scout = Scout(proc.fd, room, 5, swarm=swarm)
        self.striker = Striker(
            "machine",
            proc.fd,
            self.scout,
            self.outbox,
            self._look,
            self._wake,
            orders_of(self.config),
            # Pids that are made up may be those of real kernel threads, which are all alike.
            muster=Muster(proc.fd, cgroups, share=same_memory if loop is not None else lambda a, b: None),
        )
        self.hand = Hand()
        self.actuator = Actuator(proc.fd, loop, self.striker.died) if loop is not None else self.hand
        self.striker.bind(self.actuator)
        self.directory = tempfile.TemporaryDirectory()
        self.warden = warden or Warden(self.directory.name, 60.0)
        self.notifier = Notifier({})
        self.guard = Guard(
            self.config,
            self.watch,
            self.striker,
            self.outbox,
            self.warden,
            self.notifier,
            lambda: untouchable,
        )

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.guard.stop()
        self.warden.close()
        self.actuator.close()
        self.watch.close()
        self.outbox.close()
        self.directory.cleanup()

    def available(self, mib: int) -> None:
        """So much memory is available from now on."""
        self.proc.machine(mem_available=mib * MIB, mem_free=mib * MIB // 2)

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.guard.tick()

    def retune(self, **kill: Any) -> None:
        """Other settings of the room that kills."""
        self.config = replace(self.config, kill=replace(self.config.kill, **kill))
        self.guard.config = self.config
        self.striker.orders = orders_of(self.config)

    def dies(self, pid: int) -> None:
        """That victim's pidfd says so, and those of all who die with it; its files go too."""
        self.proc.remove(pid)
        kill_id = next(kill_id for kill_id, members in self.hand.held.items() if members[0].pid == pid)
        self.striker.died(kill_id)

    def until(self, done: Callable[[], bool], each: Callable[[], None] = lambda: None) -> bool:
        """Runs the loop until `done`, calling `each` in between; False if it never was."""
        assert self.loop is not None
        deadline_s = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > deadline_s:
                return False
            each()
            self.loop.run_until_complete(asyncio.sleep(0.005))
        return True

    def _look(self) -> Look:
        self.before_signal()
        return self.watch.look()

    def _wake(self) -> None:
        self.guard.wake()

    def _fault(self, where: str, error: Exception) -> None:
        self.guard.fault(where, error)


@contextlib.contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.close()


@contextlib.contextmanager
def sleeper(stubborn: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A child that does nothing; a stubborn one ignores SIGTERM. It is dead at the end, whatever happens."""
    trap = "trap '' TERM; " if stubborn else ""
    command = ["sh", "-c", f"{trap}echo ready; exec sleep 1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)


def open_fds() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))
