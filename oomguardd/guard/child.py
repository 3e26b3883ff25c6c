"""Children of the guard: processes of ours that it starts, and never waits for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence

from oomguardd.interpreter import command, spawn
from oomguardd.kernel.clock import monotonic_s

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
HEALTHY_S = 60.0
"""A reporter that lived so long is started again as if it were the first time."""


class Child:
    """One child until its end, of which `on_end` is told. OSError if it cannot be started."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        argv: Sequence[str],
        on_end: Callable[[], None],
        stdout: int | None = None,
    ) -> None:
        self._loop = loop
        self._on_end = on_end
        self.pid = spawn(argv, stdout)
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:  # nobody would notice its end
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise
        loop.add_reader(self._pidfd, self._ended)

    def send(self, number: signal.Signals) -> None:
        """Nothing if it has ended."""
        if self._pidfd >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, number)

    def stop(self, within_s: float) -> None:
        """Asks it to end, waits for that long, and then insists. Only for our own end: it waits."""
        self.send(signal.SIGTERM)
        deadline_s = monotonic_s() + within_s
        while not self._reap():
            if monotonic_s() >= deadline_s:
                self.send(signal.SIGKILL)
                deadline_s += within_s
            signal.sigtimedwait([signal.SIGCHLD], 0.02)

    def _ended(self) -> None:
        if self._reap():
            self._on_end()

    def _reap(self) -> bool:
        with contextlib.suppress(ChildProcessError):
            if self._pidfd >= 0 and os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                return False
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        return True


class ReporterChild:
    """The reporter, where no service manager starts it: in the foreground and in containers.

    `revive` is to be called when calm: it starts the reporter if there is none, less and less often. A
    kill never waits for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, arguments: Sequence[str]) -> None:
        self._loop = loop
        self._argv = command("oomguardd.reporter.__main__", "--die-with", str(os.getpid()), *arguments)
        self._child: Child | None = None
        self._started_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._again_s = 0.0

    @property
    def pid(self) -> int:
        """0 if it does not run."""
        return self._child.pid if self._child else 0

    def revive(self) -> str:
        """Starts it if it is not there and its pause is over; what went wrong, or nothing."""
        now_s = monotonic_s()
        if self._child or now_s < self._again_s:
            return ""
        self._started_s = now_s
        try:
            self._child = Child(self._loop, self._argv, self._ended)
        except OSError as error:
            self._again_s = now_s + self._pause_s
            return f"the reporter cannot be started: {error.strerror}"
        return ""

    def stop(self, within_s: float) -> None:
        """As Child.stop()."""
        if self._child:
            self._child.stop(within_s)
            self._child = None

    def _ended(self) -> None:
        now_s = monotonic_s()
        if now_s - self._started_s >= HEALTHY_S:
            self._pause_s = FIRST_PAUSE_S
        self._again_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        self._child = None
