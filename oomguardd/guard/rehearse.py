"""The whole path from reading to death, walked once on a child of our own before arming.

Rule of this file: it calls what a real kill calls. What it touches (code, stacks, kernel paths) is what
gets locked, and what cannot work here fails now, with a message, instead of on a dying machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import replace

from oomguardd.engine.episode import Patience
from oomguardd.engine.select import Limits
from oomguardd.engine.triggers import Assessment
from oomguardd.guard.actuator import Actuator
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.scout import Scout
from oomguardd.guard.strike import Look, Orders, Striker
from oomguardd.guard.watch import Watch
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.syscalls import set_death_signal
from oomguardd.model import Level

WITHIN_S = 10.0


async def rehearse(proc_fd: int, watch: Watch, orders: Orders, runners_up: int) -> str:
    """Kills a child, with SIGTERM that it ignores and then SIGKILL; what went wrong, or nothing."""
    loop = asyncio.get_running_loop()
    child = _spawn()
    real = watch.look()
    scout = Scout(proc_fd, 64, runners_up, only=(child,))
    outbox = Outbox("rehearsal")
    level = Level.TERM

    def look() -> Look:
        watch.look()
        return Look(real.sample, Assessment(level, watch.triggers[:1], {}))

    dead = asyncio.Event()
    impatient = replace(orders, patience=Patience(0.0, WITHIN_S, 0.0), max_per_minute=10, dry_run=False)
    striker = Striker("rehearsal", proc_fd, scout, outbox, look, dead.set, impatient)
    actuator = Actuator(proc_fd, loop, striker.died)
    striker.bind(actuator)
    limits = Limits(1000, 0, (), ())
    try:
        scout.look_ahead(real.unused_bytes, limits)
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
    return ""


def warm_up(scout: Scout, watch: Watch, limits: Limits) -> int:
    """Scans and judges everybody as a kill would, without one. The number of processes."""
    look = watch.look()
    scout.look_ahead(look.unused_bytes, limits)
    scout.choose(look.unused_bytes, watch.totals(), limits)
    scout.ahead = None
    return scout.choose(look.unused_bytes, watch.totals(), limits).scanned


def _walk_the_rest(striker: Striker, look: Look, watch: Watch, limits: Limits) -> None:
    """What is said when nobody may be taken, or too many were: it must not be read from a disk then."""
    striker.advance(look, monotonic_s())
    striker.strike(look, watch.totals(), limits._replace(smallest_bytes=1 << 62), monotonic_s())
    striker.orders = replace(striker.orders, max_per_minute=0)
    striker.strike(look, watch.totals(), limits, monotonic_s())


def _spawn() -> int:
    """A child that ignores SIGTERM and may be killed: ready when this returns."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writable)
        os.read(readable, 1)
        os.close(readable)
        return pid
    try:
        set_death_signal(signal.SIGKILL)  # it must not outlive us, with our lock in its hands
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        fd = os.open("/proc/self/oom_score_adj", os.O_RDWR)
        if int(os.read(fd, 32)) < 0:
            os.write(fd, b"0")  # we may be at -1000, and so would it; raising is always allowed
        os.close(fd)
        os.write(writable, b"x")
        while True:
            signal.pause()
    finally:
        os._exit(0)


def _last(outbox: Outbox) -> str:
    texts = [datagram.decode(errors="replace") for datagram in outbox.unseen()]
    return texts[-1] if texts else "the child was not found in /proc"
