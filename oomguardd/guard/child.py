"""The reporter as our child, where no service manager starts it: in the foreground and in containers.

Rule of this file: started again only when all is calm, and less and less often; a kill never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from oomguardd.interpreter import command
from oomguardd.kernel.clock import monotonic_s

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
HEALTHY_S = 60.0
"""A reporter that lived so long is started again as if it were the first time."""


class ReporterChild:
    """`revive` is to be called when calm: it starts the reporter if there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, arguments: Sequence[str]) -> None:
        self._loop = loop
        self._argv = command("oomguardd.reporter.__main__", "--die-with", str(os.getpid()), *arguments)
        self._pid = 0
        self._pidfd = -1
        self._started_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._again_s = 0.0

    @property
    def pid(self) -> int:
        """0 if it does not run."""
        return self._pid

    def revive(self) -> str:
        """Starts it if it is not there and its pause is over; what went wrong, or nothing."""
        now_s = monotonic_s()
        if self._pid or now_s < self._again_s:
            return ""
        try:
            self._pid = os.posix_spawn(self._argv[0], self._argv, os.environ, setsigmask=())
            self._pidfd = os.pidfd_open(self._pid)
        except OSError as error:
            self._again_s = now_s + self._pause_s
            if self._pid:  # nobody would notice its end
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                self._pid = 0
            return f"the reporter cannot be started: {error.strerror}"
        self._started_s = now_s
        self._loop.add_reader(self._pidfd, self._ended)
        return ""

    def stop(self, within_s: float) -> None:
        """Asks it to end, waits for that long, and then insists. Only for our own end: it waits."""
        if not self._pid:
            return
        self._signal(signal.SIGTERM)
        deadline_s = monotonic_s() + within_s
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(self._pid, os.WNOHANG)[0] == 0:
                if monotonic_s() >= deadline_s:
                    self._signal(signal.SIGKILL)
                    os.waitpid(self._pid, 0)
                    break
                signal.sigtimedwait([signal.SIGCHLD], 0.02)
        self._forget()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, number)

    def _ended(self) -> None:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(self._pid, os.WNOHANG)[0] == 0:
                return
        now_s = monotonic_s()
        if now_s - self._started_s >= HEALTHY_S:
            self._pause_s = FIRST_PAUSE_S
        self._again_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        self._forget()

    def _forget(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self._pid, self._pidfd = 0, -1
