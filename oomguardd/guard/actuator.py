"""The hand: pidfd, identity, signal, process_mrelease, death.

Rule of this file: no signal goes anywhere but through a pidfd whose process was verified after it was opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue

from oomguardd.engine.episode import Event
from oomguardd.kernel.process import start_ticks
from oomguardd.kernel.syscalls import process_mrelease
from oomguardd.model import Candidate

Identity = tuple[int, int]

_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Not the victim's fault: passing over it would spare the right one for ever."""


class Grip:
    """A pidfd on a verified process, held until it is dead."""

    __slots__ = ("fd", "identity", "reaped")

    def __init__(self, fd: int, identity: Identity) -> None:
        self.fd = fd
        self.identity = identity
        self.reaped: int | None = None
        """What process_mrelease said: 0 or errno; None while it was not asked."""


class Actuator:
    """Signals victims and tells of their death through `on_death(kill_id)`."""

    def __init__(
        self, proc_fd: int, loop: asyncio.AbstractEventLoop, on_death: Callable[[int], None]
    ) -> None:
        self._proc_fd = proc_fd
        self._loop = loop
        self._on_death = on_death
        self._grips: dict[int, Grip] = {}
        self._reaper_work: SimpleQueue[tuple[Grip, int] | None] = SimpleQueue()
        self._reaper = threading.Thread(target=self._reap, name="reaper", daemon=True)
        self._reaper.start()

    def seize(self, kill_id: int, victim: Candidate) -> Event | None:
        """Open its pidfd, then see that it is still the process that was judged. None: held, and followed.

        The order matters: a pid that is given to another process after the comparison changes nothing,
        because the pidfd stays on the old one.
        """
        try:
            fd = os.pidfd_open(victim.pid)
        except ProcessLookupError:
            return Event.VANISHED
        except OSError as error:
            if error.errno in _OURS:
                raise
            return Event.VANISHED if error.errno in (errno.EINVAL, errno.ENOENT) else Event.REFUSED
        same = False
        try:
            same = start_ticks(self._proc_fd, victim.pid) == victim.start_ticks
        finally:
            if not same:
                os.close(fd)
        if not same:
            return Event.VANISHED
        self._grips[kill_id] = Grip(fd, victim.identity)
        self._loop.add_reader(fd, self._died, kill_id)
        return None

    def send(self, kill_id: int, number: signal.Signals) -> Event | None:
        """None: delivered to the process that was seized."""
        grip = self._grips.get(kill_id)
        if grip is None:
            return Event.VANISHED
        try:
            signal.pidfd_send_signal(grip.fd, number)
        except ProcessLookupError:
            return Event.VANISHED
        except OSError:
            return Event.REFUSED
        return None

    def reap(self, kill_id: int) -> None:
        """Have its memory freed now, in a thread of our own, instead of whenever the victim gets to run."""
        grip = self._grips.get(kill_id)
        if grip is not None:
            with contextlib.suppress(
                OSError
            ):  # of its own, so that a death meanwhile cannot give it to another
                self._reaper_work.put((grip, os.dup(grip.fd)))

    def reaped(self, kill_id: int) -> bool | None:
        """Whether process_mrelease freed it; None if it was not asked or has not answered."""
        grip = self._grips.get(kill_id)
        return None if grip is None or grip.reaped is None else grip.reaped == 0

    def release(self, kill_id: int) -> None:
        """Let go of it."""
        grip = self._grips.pop(kill_id, None)
        if grip is not None:
            self._loop.remove_reader(grip.fd)
            os.close(grip.fd)

    def close(self) -> None:
        """Let go of all and end the thread."""
        for kill_id in tuple(self._grips):
            self.release(kill_id)
        self._reaper_work.put(None)
        self._reaper.join(timeout=1)

    def _died(self, kill_id: int) -> None:
        grip = self._grips.get(kill_id)
        if grip is not None:
            self._loop.remove_reader(grip.fd)
            self._on_death(kill_id)

    def _reap(self) -> None:
        while (work := self._reaper_work.get()) is not None:
            grip, fd = work
            result = errno.EAGAIN
            for _ in range(10):  # partly done is normal for a big one; the kernel's own reaper tries as often
                result = process_mrelease(fd)
                if result not in (errno.EAGAIN, errno.EINTR):
                    break
            grip.reaped = result
            os.close(fd)
