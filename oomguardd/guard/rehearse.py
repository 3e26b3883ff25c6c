"""The whole path from reading to death, walked once on a child of our own, and its child, before arming.

Rule of this file: it calls what a real kill calls. What it touches (code, stacks, kernel paths) is what
gets locked, and what cannot work here fails now, with a message, instead of on a dying machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, replace
from typing import ClassVar

from oomguardd.census.muster import Muster
from oomguardd.engine.episode import Patience
from oomguardd.engine.select import Limits, weigh
from oomguardd.engine.together import Keep
from oomguardd.engine.triggers import Assessment
from oomguardd.guard.actuator import Actuator
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.scout import Scout
from oomguardd.guard.strike import Look, Orders, Striker
from oomguardd.guard.watch import Watch
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.process import inspect
from oomguardd.kernel.syscalls import set_death_signal
from oomguardd.model import Candidate, Level
from oomguardd.policies.base import Policy
from oomguardd.policies.set import PolicySet

WITHIN_S = 10.0
FEW = 8
"""Of others, so many are looked at as if they were to die as well."""


@dataclass(frozen=True, slots=True)
class Family(Policy):
    """Has the child of our own die together with its child."""

    name: ClassVar[str] = "rehearsal"

    def kill_unit(self, c: Candidate) -> str:
        return "tree"


async def rehearse(
    proc_fd: int, watch: Watch, orders: Orders, runners_up: int, muster: Muster | None = None
) -> str:
    """Kills a child and its child, with SIGTERM that they ignore and then SIGKILL; what went wrong, or
    nothing."""
    loop = asyncio.get_running_loop()
    muster = muster or Muster(proc_fd)
    child, grandchild = _spawn()
    real = watch.look()
    scout = Scout(proc_fd, 64, runners_up, only=(child,))
    outbox = Outbox("rehearsal")
    level = Level.TERM

    def look() -> Look:
        watch.look()
        return Look(real.sample, Assessment(level, watch.triggers[:1], {}))

    dead = asyncio.Event()
    impatient = replace(orders, patience=Patience(0.0, WITHIN_S, 0.0), max_per_minute=10, dry_run=False)
    striker = Striker("rehearsal", proc_fd, scout, outbox, look, dead.set, impatient, muster=muster)
    actuator = Actuator(proc_fd, loop, striker.died)
    striker.bind(actuator)
    limits = Limits(1000, 0, (), (), policies=PolicySet((Family(),)))
    try:
        _look_at_others(muster, inspect(proc_fd, child, 0.0), watch, limits)
        scout.look_ahead(real.unused_bytes, watch.totals(), limits)
        if not striker.strike(look(), watch.totals(), limits, monotonic_s()):
            return _last(outbox)
        level = Level.KILL
        striker.advance(look(), monotonic_s())
        await asyncio.wait_for(dead.wait(), WITHIN_S)
        _walk_the_rest(striker, look(), watch, limits)
    except (asyncio.TimeoutError, OSError) as error:
        return f"a child of our own did not die: {error or 'time over'}; {_last(outbox)}"
    finally:
        actuator.close()
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)  # our own child, not yet waited for: the pid cannot be another's
        os.waitpid(child, 0)
        if grandchild:
            with contextlib.suppress(ChildProcessError):  # who has adopted it waits for it; that may be us
                os.waitpid(grandchild, 0)
    return ""


def warm_up(scout: Scout, watch: Watch, limits: Limits) -> int:
    """Scans and judges everybody as a kill would, without one. The number of processes."""
    look = watch.look()
    scout.look_ahead(look.unused_bytes, watch.totals(), limits)
    scout.choose(look.unused_bytes, watch.totals(), limits)
    scout.ahead = None
    return scout.choose(look.unused_bytes, watch.totals(), limits).scanned


def _walk_the_rest(striker: Striker, look: Look, watch: Watch, limits: Limits) -> None:
    """What is said when nobody may be taken, or too many were: it must not be read from a disk then."""
    striker.advance(look, monotonic_s())
    striker.strike(look, watch.totals(), limits._replace(smallest_bytes=1 << 62), monotonic_s())
    striker.orders = replace(striker.orders, max_per_minute=0)
    striker.strike(look, watch.totals(), limits, monotonic_s())


def _look_at_others(muster: Muster, child: Candidate | None, watch: Watch, limits: Limits) -> None:
    """Finds those who would die with the child if all like it had to; nobody does."""
    if child is not None:
        weighed = weigh(child, watch.totals(), limits)
        for unit in ("swarm", "cgroup"):
            muster.gather(replace(weighed, kill=unit), Keep(max_processes=FEW), (child.ppid,))


def _spawn() -> tuple[int, int]:
    """A child and its child, which ignore SIGTERM and may be killed: ready when this returns. The second is
    0 if there could be none."""
    readable, writable = os.pipe()
    ours = os.getpid()
    pid = os.fork()
    if pid:
        os.close(writable)
        word = os.read(readable, 32)
        os.close(readable)
        return pid, int(word or b"0")
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _expose()
        _stay_with(ours)
        first, second = os.getpid(), 0
        with contextlib.suppress(OSError):
            second = os.fork()
        if os.getpid() != first:
            _stay_with(first)
            second = os.getpid()
        if second in (0, os.getpid()):
            os.write(writable, b"%d" % second)
        while True:
            signal.pause()
    finally:
        os._exit(0)


def _stay_with(parent: int) -> None:
    """It must not outlive its parent, with our lock in its hands."""
    set_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _expose() -> None:
    fd = os.open("/proc/self/oom_score_adj", os.O_RDWR)
    if int(os.read(fd, 32)) < 0:
        os.write(fd, b"0")  # we may be at -1000, and so would it; raising is always allowed
    os.close(fd)


def _last(outbox: Outbox) -> str:
    texts = [datagram.decode(errors="replace") for datagram in outbox.unseen()]
    return texts[-1] if texts else "the child was not found in /proc"
