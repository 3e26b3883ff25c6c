"""The hand: pidfds, identity, signals, process_mrelease, death.

Rule of this file: no signal goes anywhere but through a pidfd whose process was verified after it was opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from oomguardd.engine.episode import Event
from oomguardd.kernel.process import start_ticks
from oomguardd.kernel.syscalls import process_mrelease
from oomguardd.model import Member, Party

REAP_MAX = 16
"""Of a party so many are reaped, the victim and then the biggest: each takes one more descriptor."""
SPARE_FDS = 16
"""So many descriptors are left for reading /proc when there are not enough for a party."""

_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Not the victim's fault: passing over it would spare the right one for ever."""


class Grip:
    """Pidfds on the verified processes of one party, each held until it is dead."""

    __slots__ = ("fds", "number", "poll", "reaped", "rest")

    def __init__(self) -> None:
        self.fds: dict[int, Member] = {}
        """The victim's first, as long as it lives."""
        self.poll: select.epoll | None = None
        """Of more than one: the loop waits for a single descriptor, however many die."""
        self.rest: list[Member] = []
        """For these there was no descriptor: their turn comes when others are dead."""
        self.number: signal.Signals | None = None
        """What was sent last."""
        self.reaped: int | None = None
        """What process_mrelease said: 0 or errno, of several the best; None while it was not asked."""


class Actuator:
    """Signals parties and tells of their death, when the last one is dead, through `on_death(kill_id)`."""

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

    def seize(self, kill_id: int, party: Party) -> Event | None:
        """Take hold of the victim and of those that die with it. None: held, and followed.

        Of the others, who has gone or may not be touched is let go. The victim's failure is the event.
        """
        victim, *others = party.members
        fd = self._open(victim)
        if isinstance(fd, Event):
            return fd
        grip = self._grips[kill_id] = Grip()
        grip.fds[fd] = victim
        self._loop.add_reader(fd, self._died, kill_id)
        if others:
            self._take(kill_id, grip, others)
        return None

    def join(self, kill_id: int, members: Iterable[Member]) -> None:
        """Take hold of more of the same party, even if all so far are dead."""
        grip = self._grips.get(kill_id)
        if grip is not None:
            self._take(kill_id, grip, members)

    def send(self, kill_id: int, number: signal.Signals) -> Event | None:
        """None: delivered to the processes that were seized. The first signal goes to nobody if the victim
        cannot be reached; after that, who has died by the one before does not matter."""
        grip = self._grips.get(kill_id)
        if grip is None:
            return Event.VANISHED
        first, grip.number = grip.number is None, number
        failed: Event | None = Event.VANISHED
        for fd in tuple(grip.fds):
            event = _signal(fd, number)
            if first and event is not None:
                return event
            if event is Event.REFUSED and len(grip.fds) > 1:
                self._let_go(grip, fd)  # it will not die of this, and must not be waited for
            first, failed = False, failed and event
        return failed

    def reap(self, kill_id: int) -> None:
        """Have their memory freed now, in a thread of our own, instead of whenever they get to run."""
        grip = self._grips.get(kill_id)
        if grip is None:
            return
        with contextlib.suppress(OSError):
            for fd in tuple(grip.fds)[:REAP_MAX]:
                # Of its own, so that a death meanwhile cannot give it to another.
                self._reaper_work.put((grip, os.dup(fd)))

    def reaped(self, kill_id: int) -> bool | None:
        """Whether process_mrelease freed it; None if it was not asked or has not answered."""
        grip = self._grips.get(kill_id)
        return None if grip is None or grip.reaped is None else grip.reaped == 0

    def living(self, kill_id: int) -> tuple[Member, ...]:
        """Those of them that are not known to be dead."""
        grip = self._grips.get(kill_id)
        return () if grip is None else (*grip.fds.values(), *grip.rest)

    def release(self, kill_id: int) -> None:
        """Let go of them."""
        grip = self._grips.pop(kill_id, None)
        if grip is None:
            return
        for fd in tuple(grip.fds):
            self._let_go(grip, fd)
        if grip.poll is not None:
            self._loop.remove_reader(grip.poll.fileno())
            grip.poll.close()

    def close(self) -> None:
        """Let go of all and end the thread."""
        for kill_id in tuple(self._grips):
            self.release(kill_id)
        self._reaper_work.put(None)
        self._reaper.join(timeout=1)

    def _open(self, member: Member) -> int | Event:
        """Open its pidfd, then see that it is still the process that was judged. OSError if that fails for
        want of something of ours.

        The order matters: a pid that is given to another process after the comparison changes nothing,
        because the pidfd stays on the old one.
        """
        try:
            fd = os.pidfd_open(member.pid)
        except ProcessLookupError:
            return Event.VANISHED
        except OSError as error:
            if error.errno in _OURS:
                raise
            return Event.VANISHED if error.errno in (errno.EINVAL, errno.ENOENT) else Event.REFUSED
        same = False
        try:
            same = start_ticks(self._proc_fd, member.pid) == member.start_ticks
        finally:
            if not same:
                os.close(fd)
        return fd if same else Event.VANISHED

    def _take(self, kill_id: int, grip: Grip, members: Iterable[Member]) -> None:
        """Hold as many of these as there are descriptors for; the rest have to wait."""
        ahead = list(members)
        poll = self._one_poll(grip)
        if poll is None:
            grip.rest += ahead
            return
        held = 0
        with contextlib.suppress(OSError):  # no descriptor for the next one
            for member in ahead:
                fd = self._open(member)
                if not isinstance(fd, Event):
                    _follow(poll, fd)
                    grip.fds[fd] = member
                held += 1
        if held < len(ahead):
            grip.rest += ahead[held:]
            self._spare_some(grip)
        self._loop.add_reader(poll.fileno(), self._died, kill_id)

    def _one_poll(self, grip: Grip) -> select.epoll | None:
        """Descriptors that were waited for by the loop itself are moved into a poll of their own; None if
        there is no descriptor for that."""
        if grip.poll is None:
            try:
                grip.poll = select.epoll()
            except OSError:
                return None
            for fd in grip.fds:
                self._loop.remove_reader(fd)
                _follow(grip.poll, fd)
        return grip.poll

    def _spare_some(self, grip: Grip) -> None:
        for fd in tuple(grip.fds)[1:][-SPARE_FDS:]:
            grip.rest.append(grip.fds[fd])
            self._let_go(grip, fd)

    def _let_go(self, grip: Grip, fd: int) -> None:
        del grip.fds[fd]
        if grip.poll is None:
            self._loop.remove_reader(fd)
        else:
            grip.poll.unregister(fd)  # closing is not enough while the reaper has a duplicate
        os.close(fd)

    def _died(self, kill_id: int) -> None:
        grip = self._grips.get(kill_id)
        if grip is None:
            return
        dead = tuple(grip.fds) if grip.poll is None else [fd for fd, _ in grip.poll.poll(0)]
        for fd in dead:
            self._let_go(grip, fd)
        if not grip.fds and grip.rest:
            self._next_of_the_rest(kill_id, grip)
        if grip.fds:
            return
        if grip.poll is not None:
            self._loop.remove_reader(grip.poll.fileno())
        self._on_death(kill_id)

    def _next_of_the_rest(self, kill_id: int, grip: Grip) -> None:
        """Take as many more as were let go of, and send them what the others have got."""
        ahead, grip.rest = grip.rest, []
        self._take(kill_id, grip, ahead)
        if grip.number is not None:
            for fd in tuple(grip.fds):
                _signal(fd, grip.number)

    def _reap(self) -> None:
        while (work := self._reaper_work.get()) is not None:
            grip, fd = work
            result = errno.EAGAIN
            for _ in range(10):  # partly done is normal for a big one; the kernel's own reaper tries as often
                result = process_mrelease(fd)
                if result not in (errno.EAGAIN, errno.EINTR):
                    break
            if grip.reaped != 0:
                grip.reaped = result
            os.close(fd)


def _follow(poll: select.epoll, fd: int) -> None:
    """Wait for its end. OSError, and it is closed, if the kernel has no room for one more."""
    try:
        poll.register(fd, select.EPOLLIN)
    except OSError:
        os.close(fd)
        raise


def _signal(fd: int, number: signal.Signals) -> Event | None:
    """None: delivered, if only to a zombie."""
    try:
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return Event.VANISHED
    except OSError:
        return Event.REFUSED
    return None
