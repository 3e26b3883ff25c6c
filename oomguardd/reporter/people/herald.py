"""Tells people and programs: hands each event to each notifier, and waits for none of them.

Rule of this file: a notifier that hangs, fails or floods is a number in the metrics and one line in the log,
and no other notifier's problem. The guard forgets a record without asking us: who must not miss one reads the
history.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from oomguardd.engine.words import duration
from oomguardd.notifiers import NOTIFIERS
from oomguardd.notifiers.aside import Aside
from oomguardd.notifiers.base import Gear, Maker, Notice, Notifier, NotifyError
from oomguardd.notifiers.lasting import lasting
from oomguardd.notifiers.stopping import stop
from oomguardd.notifiers.wording import words
from oomguardd.reporter.inbox import Record, made_here
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.people.biggest import read_biggest
from oomguardd.reporter.people.news import News
from oomguardd.sensors import SIGNAL_OF
from oomguardd.telling import Telling

ROOM = 50
"""Notices that wait for one notifier at most; the oldest go first."""
CLOSE_S = 1.5
"""For so long a stopping reporter waits for what is on its way."""
BIGGEST_S = 2.0
"""A warning waits no longer than this for the names of who holds most."""
MOST_CAUSES = 20
"""Causes of failures of one notifier that are told; all are counted."""


class Messenger:
    """One notifier with its own queue and its own task."""

    def __init__(self, notifier: Notifier, meters: Meters, fault: Callable[[str, str], None]) -> None:
        self.notifier = notifier
        self.busy = False
        self.waiting: deque[Notice] = deque()
        self._meters = meters
        self._fault = fault
        self._arrived = asyncio.Event()
        for name in ("told", "failed", "dropped"):
            meters.expect(name, notifier.label)
        notifier.start()
        self._task = lasting(self._run())

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.busy

    def put(self, notice: Notice) -> None:
        """Queues it, if it is wanted."""
        if not self.notifier.wants(notice):
            return
        if len(self.waiting) >= ROOM:
            self.waiting.popleft()
            self._meters.add("dropped", self.notifier.label)
        self.waiting.append(notice)
        self._arrived.set()

    async def close(self) -> None:
        """Ends it in the middle of whatever it does."""
        await stop(self._task)
        await self.notifier.close()

    async def _run(self) -> None:
        while True:
            while not self.waiting:
                self._arrived.clear()
                await self._arrived.wait()
            most = min(self.notifier.most, len(self.waiting))
            batch = [self.waiting.popleft() for _ in range(most)]
            self.busy = True
            failure = await self._tell(batch)
            self.busy = False
            self._meters.add("failed" if failure else "told", self.notifier.label, len(batch))
            if failure:
                self._fault(self.notifier.label, failure)
            if self.notifier.pause_s:
                await asyncio.sleep(self.notifier.pause_s)

    async def _tell(self, batch: Sequence[Notice]) -> str:
        """Empty, or why it did not arrive."""
        limit_s = self.notifier.limit_s
        try:
            await asyncio.wait_for(self.notifier.tell(batch), limit_s)
        except asyncio.TimeoutError:
            return f"no end within {duration(limit_s)}"
        except NotifyError as error:
            return str(error)
        except Exception as error:  # a notifier's own mistake must not end it for good
            return f"{type(error).__name__}: {error}"
        return ""


class Herald:
    """A sink of the relay; it must be made in the running loop's process, and starts with `start`."""

    name = "people"
    must = False
    ticks = False

    def __init__(
        self,
        telling: Telling,
        meters: Meters,
        publish: Callable[[Record], None],
        environ: Mapping[str, str],
        host: str,
        makers: Sequence[Maker] = NOTIFIERS,
        biggest: Callable[[], str] = read_biggest,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._telling = telling
        self._meters = meters
        self._publish = publish
        self._makers = makers
        self._biggest = biggest
        self._clock = clock
        self._monotonic = monotonic
        self._gear = Gear(self._missing, environ, host, lambda: self._level)
        self._level = ""
        self._messengers: list[Messenger] = []
        self._news = self._new_news()
        self._looking: Aside[str] = Aside("reading /proc")
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: dict[str, set[str]] = {}

    def start(self) -> None:
        """Makes the notifiers; in the running loop."""
        self._messengers = [self._messenger(notifier) for notifier in self._wanted(self._telling)]

    async def take(self, records: Sequence[Record]) -> None:
        """See Sink. Never waits for anybody."""
        for record in records:
            if record.get("kind") in ("level", "started", "state"):
                level = record.get("level")
                self._level = level if isinstance(level, str) else ""
            notice = self._news.of(record, self._clock(), self._monotonic())
            if notice is None:
                continue
            if notice.kind == "warn":
                self._go(self._warn(notice))
            else:
                self._put(notice)

    def retune(self, telling: Telling) -> None:
        """A new configuration: notifiers that it does not change go on with what they are doing."""
        previous, self._telling = self._telling, telling
        if previous.notify != telling.notify:
            self._news = self._new_news()
        old = {(each.notifier.label, each.notifier.settings): each for each in self._messengers}
        kept = []
        for notifier in self._wanted(telling):
            same = old.pop((notifier.label, notifier.settings), None)
            kept.append(same or self._messenger(notifier))
        self._messengers = kept
        self._told.clear()
        for messenger in old.values():
            self._go(messenger.close())

    async def close(self) -> None:
        """See Sink."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + CLOSE_S
        while loop.time() < deadline_s and not self._idle():
            await asyncio.sleep(0.02)
        closing = [messenger.close() for messenger in self._messengers]
        await asyncio.gather(stop(*self._tasks), *closing, return_exceptions=True)

    def _idle(self) -> bool:
        return not self._tasks and all(messenger.idle for messenger in self._messengers)

    def _wanted(self, telling: Telling) -> list[Notifier]:
        return [notifier for make in self._makers for notifier in make(telling, self._gear)]

    def _messenger(self, notifier: Notifier) -> Messenger:
        return Messenger(notifier, self._meters, self._fault)

    def _new_news(self) -> News:
        notify = self._telling.notify
        return News(notify.warn, notify.warn_pause_s, SIGNAL_OF)

    def _put(self, notice: Notice) -> None:
        for messenger in self._messengers:
            messenger.put(notice)

    async def _warn(self, notice: Notice) -> None:
        """With the names of who holds most, unless finding them takes too long on such a machine."""
        biggest = ""
        with contextlib.suppress(asyncio.TimeoutError, NotifyError, OSError):
            biggest = await asyncio.wait_for(self._looking.run(self._biggest, _forget), BIGGEST_S)
        if biggest:
            facts = {**notice.facts, "biggest": biggest}
            summary, body = words("warn", facts)
            notice = replace(notice, facts=facts, summary=summary, body=body)
        self._put(notice)

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = lasting(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _missing(self, what: str, cost: str, remedy: str) -> None:
        self._publish(made_here("missing", 5, self._clock(), what=what, cost=cost, remedy=remedy))

    def _fault(self, label: str, cause: str) -> None:
        """Once per cause."""
        told = self._told.setdefault(label, set())
        if cause in told or len(told) >= MOST_CAUSES:
            return
        told.add(cause)
        self._publish(made_here("fault", 4, self._clock(), where=f"notifier {label}", error=cause, count=1))


def _forget(biggest: str) -> None:
    """It came too late."""
