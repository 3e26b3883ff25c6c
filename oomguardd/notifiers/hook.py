"""`[[hook]] run`: a program for each event, told as data. See systemd.exec(5) for what it inherits otherwise.

Rule of this file: there is no shell; nothing of the event is ever an argument; whatever the program starts
ends with it. It runs as the reporter's user, under the reporter's sandbox, without its capabilities,
and gains none (no_new_privs).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from oomguardd.engine.words import duration, safe
from oomguardd.kernel.ambient import clear_ambient
from oomguardd.notifiers.aside import Aside
from oomguardd.notifiers.base import Gear, Notice, NotifyError, utc
from oomguardd.notifiers.stopping import stop
from oomguardd.notifiers.wording import tame
from oomguardd.telling import Hook, Telling

# With vfork, the interpreter would stand still until the program's file has been read from a disk that may
# hang; subprocess documents this switch. Before Python 3.11 it does nothing.
subprocess._USE_VFORK = False  # type: ignore[misc]

TERM_S = 1.0
"""Between SIGTERM and SIGKILL."""
KILL_S = 1.0
"""For so long we wait for one whom SIGKILL has reached."""
START_S = 5.0
"""A program that is not running by then lies on a disk that hangs."""
OUTPUT_BYTES = 4096
"""Of what it writes, the last so many are kept, for the one line that says why it failed."""
_READ_BYTES = 65536
_READ_PAUSE_S = 0.02
"""Bounds what a program that writes without end costs us."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make(telling: Telling, gear: Gear) -> Iterable[Program]:
    """One for each hook that runs a program."""
    return [Program(hook, gear.host) for hook in telling.hooks if hook.run]


def environment(notice: Notice) -> dict[str, str]:
    """All of its environment: OOMGUARD_EVENT, _TIME and _SUMMARY, and the facts by their names."""
    found = {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "HOME": "/",
        "OOMGUARD_EVENT": notice.kind,
        "OOMGUARD_TIME": utc(notice.time_s),
        "OOMGUARD_SUMMARY": tame(notice.summary),
    }
    for name, value in notice.facts.items():
        if name not in ("kind", "time_s"):
            text = str(int(value)) if isinstance(value, bool) else tame(str(value))
            found[f"OOMGUARD_{name.upper()}"] = text
    return found


@dataclass(slots=True)
class Running:
    """A child, leader of a session and process group of its own."""

    process: subprocess.Popen[bytes]
    output_fd: int
    tail: deque[int] = field(default_factory=lambda: deque(maxlen=OUTPUT_BYTES))

    def signal_group(self, number: signal.Signals) -> None:
        """To it and all that it started. Only before it is waited for: its id is not another's until then."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, number)

    def end(self) -> None:
        """Leaves nothing of it but what the kernel has not let go of yet."""
        if self.process.returncode is None:
            self.signal_group(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Our end of its output. May be called twice."""
        if self.output_fd >= 0:
            os.close(self.output_fd)
            self.output_fd = -1

    def last_line(self) -> str:
        """What it wrote last, safe to print; empty for nothing."""
        lines = bytes(self.tail).decode("utf-8", "surrogateescape").split("\n")
        return safe(next((line.strip() for line in reversed(lines) if line.strip()), ""), 200)


def launch(command: Sequence[str], event: bytes, environ: Mapping[str, str]) -> Running:
    """Starts it with the event on its standard input. OSError. Blocks until its file has been read."""
    event_fd = os.memfd_create("oomguard-event", os.MFD_CLOEXEC)
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.set_blocking(write_fd, True)
        os.write(event_fd, event)
        os.lseek(event_fd, 0, os.SEEK_SET)
        process = subprocess.Popen(
            list(command),
            stdin=event_fd,
            stdout=write_fd,
            stderr=write_fd,
            cwd="/",
            env=dict(environ),
            start_new_session=True,
        )
    except BaseException:
        os.close(read_fd)
        raise
    finally:
        os.close(event_fd)
        os.close(write_fd)
    with contextlib.suppress(OSError):  # it is over already
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
    return Running(process, read_fd)


class Program:
    """One hook. It runs once at a time; what happens meanwhile waits in its queue."""

    most = 1
    pause_s = 0.0

    def __init__(self, hook: Hook, host: str) -> None:
        self.settings: object = (hook, host)
        self.label = f"hook:{hook.name}"
        self.limit_s = hook.timeout_s + START_S + TERM_S + KILL_S + 1.0
        self._hook = hook
        self._host = host
        self._starting: Aside[Running] = Aside("start of the program")
        self._dying: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """See Notifier. Threads have their capabilities from whoever starts them, and that is this thread."""
        clear_ambient()

    def wants(self, notice: Notice) -> bool:
        """What it was configured for."""
        return notice.kind in self._hook.on

    async def tell(self, notices: Sequence[Notice]) -> None:
        """See Notifier. It is through when the program is: with status 0, and within its time."""
        self._reap()
        for notice in notices:
            event = json.dumps(notice.event(self._host)).encode() + b"\n"
            running = await self._start(event, environment(notice))
            try:
                await self._run(running)
            finally:
                running.end()
                self._dying.append(running.process)
                self._reap()

    async def close(self) -> None:
        """See Notifier."""
        for _ in range(int(KILL_S / 0.02)):
            started = self._starting.idle  # what it has started is ours only in the loop's next turn
            await asyncio.sleep(0.02)
            self._reap()
            if started and not self._dying:
                break

    async def _start(self, event: bytes, environ: Mapping[str, str]) -> Running:
        command = self._hook.run
        try:
            return await asyncio.wait_for(
                self._starting.run(lambda: launch(command, event, environ), self._end_late), START_S
            )
        except asyncio.TimeoutError:
            raise NotifyError(f"{command[0]} could not be started within {START_S:.0f} s") from None
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise NotifyError(f"{command[0]}: {getattr(error, 'strerror', None) or error}") from error

    async def _run(self, running: Running) -> None:
        reading = asyncio.ensure_future(_read(running))
        try:
            in_time = await _ended(running, self._hook.timeout_s)
            if not in_time:
                running.signal_group(signal.SIGTERM)
                await _ended(running, TERM_S)
            running.signal_group(signal.SIGKILL)
            await _ended(running, KILL_S)
        finally:
            await stop(reading)
        _read_rest(running)
        status = running.process.poll()
        said = f", its last words: {line}" if (line := running.last_line()) else ""
        if not in_time:
            raise NotifyError(f"ended after {duration(self._hook.timeout_s)}: it took too long{said}")
        if status:
            how = f"status {status}" if status > 0 else _signal_name(-status)
            raise NotifyError(f"ended with {how}{said}")

    def _end_late(self, running: Running) -> None:
        """For one that started when nobody waited for it any more."""
        running.end()
        self._dying.append(running.process)

    def _reap(self) -> None:
        self._dying = [process for process in self._dying if process.poll() is None]


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


async def _ended(running: Running, within_s: float) -> bool:
    """Whether it ends in time. It is not waited for (wait(2)), so that its process group stays its own."""
    pidfd = os.pidfd_open(running.process.pid)
    try:
        await asyncio.wait_for(_readable(pidfd), within_s)
    except asyncio.TimeoutError:
        return False
    finally:
        os.close(pidfd)
    return True


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


async def _read(running: Running) -> None:
    """Keeps its pipe from filling up, as long as anybody holds the other end."""
    while True:
        await _readable(running.output_fd)
        data = os.read(running.output_fd, _READ_BYTES)
        if not data:
            return
        running.tail.extend(data[-OUTPUT_BYTES:])
        await asyncio.sleep(_READ_PAUSE_S)


def _read_rest(running: Running) -> None:
    with contextlib.suppress(BlockingIOError):
        running.tail.extend(os.read(running.output_fd, _READ_BYTES)[-OUTPUT_BYTES:])
