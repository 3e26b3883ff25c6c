"""The relay: who is told what, when the guard may forget, and who loses what when somebody is slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from oomguardd.reporter.inbox import Record
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.relay import ROOM, TICK_ROOM, Relay


class Listener:
    """A sink that writes down what it is told, as slowly as it is asked to."""

    def __init__(self, name: str = "listener", must: bool = True, ticks: bool = False) -> None:
        self.name, self.must, self.ticks = name, must, ticks
        self.heard: list[Record] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None
        self.closed = False

    async def take(self, records: Sequence[Record]) -> None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.heard += records

    async def close(self) -> None:
        self.closed = True

    @property
    def numbers(self) -> list[object]:
        return [record["seq"] for record in self.heard]


class Scene:
    """A relay with its sinks, and what was confirmed to the guard."""

    def __init__(self, *sinks: Listener) -> None:
        self.confirmed: list[object] = []
        self.folded: list[Record] = []
        self.meters = Meters()
        self.relay = Relay(sinks, (self.folded.append,), self._confirm, self.meters, time.time)
        self.relay.start()

    async def _confirm(self, record: Record) -> None:
        self.confirmed.append(record["seq"])

    def put(self, *numbers: int, kind: str = "level") -> None:
        for seq in numbers:
            self.relay.put({"kind": kind, "seq": seq})


async def soon(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s, "it never came to that"
        await asyncio.sleep(0.001)


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


def test_everybody_is_told_in_order_and_then_the_guard_may_forget() -> None:
    async def scene() -> None:
        one, two = Listener("one"), Listener("two", must=False)
        it = Scene(one, two)
        it.put(1, 2, 3)
        await soon(lambda: it.confirmed and it.confirmed[-1] == 3)
        await soon(lambda: len(two.heard) == 3)
        assert one.numbers == two.numbers == [1, 2, 3]
        assert len(it.folded) == 3
        await it.relay.close(1)
        assert one.closed
        assert two.closed

    play(scene)


def test_nothing_is_confirmed_before_all_have_it_who_must() -> None:
    async def scene() -> None:
        fast, slow, idle = Listener("fast"), Listener("slow"), Listener("idle", must=False)
        slow.open.clear()
        idle.open.clear()
        it = Scene(fast, slow, idle)
        it.put(1, 2)
        await soon(lambda: len(fast.heard) == 2)
        await asyncio.sleep(0.02)
        assert it.confirmed == []
        slow.open.set()
        await soon(lambda: it.confirmed and it.confirmed[-1] == 2)
        assert idle.heard == []
        await it.relay.close(0.1)

    play(scene)


def test_what_an_earlier_reporter_left_half_told() -> None:
    """It died while the journal stood still: the history has the record, the journal has not."""

    async def scene() -> None:
        journal, people = Listener("journal"), Listener("people", must=False)
        it = Scene(journal, people)
        it.relay.repeat({"kind": "kill", "seq": 4})
        it.put(5)
        await soon(lambda: it.confirmed[-1:] == [5])
        assert journal.numbers == [4, 5]
        assert people.numbers == [5], "nobody is called twice for one kill"
        assert [record["seq"] for record in it.folded] == [5], "it is counted already"
        await it.relay.close(1)

    play(scene)


def test_without_anybody_who_must_the_guard_need_not_keep_anything() -> None:
    async def scene() -> None:
        it = Scene(Listener(must=False))
        it.put(1)
        await soon(lambda: it.confirmed)
        assert it.confirmed == [1]
        await it.relay.close(1)

    play(scene)


def test_a_sink_that_hangs_loses_the_oldest_and_delays_nobody() -> None:
    async def scene() -> None:
        hung, well = Listener("hung"), Listener("well", must=False)
        hung.open.clear()
        it = Scene(hung, well)
        for seq in range(1, ROOM + 200):
            it.put(seq)
            if seq % 50 == 0:
                await asyncio.sleep(0)
        await soon(lambda: len(well.heard) == ROOM + 199)
        lost = it.meters.counts["dropped", "hung"]
        assert 0 < lost < 250
        assert len(it.relay.waiting) == 2
        hung.open.set()
        await soon(lambda: it.confirmed and it.confirmed[-1] == ROOM + 199)
        assert len(hung.heard) == ROOM + 199 - lost
        assert hung.numbers == sorted(int(str(number)) for number in hung.numbers)
        await it.relay.close(1)

    play(scene)


def test_reading_waits_for_a_busy_sink_but_not_for_a_stuck_one() -> None:
    async def scene() -> None:
        sink = Listener()
        sink.open.clear()
        it = Scene(sink)
        it.put(*range(1, ROOM))
        began_s = time.monotonic()
        await it.relay.room()
        assert time.monotonic() - began_s > 0.5
        began_s = time.monotonic()
        await it.relay.room()  # it is known to be stuck now
        assert time.monotonic() - began_s < 0.5
        sink.open.set()
        await soon(lambda: len(sink.heard) == ROOM - 1)
        await it.relay.close(1)

    play(scene)


def test_a_failure_is_counted_and_told_once_to_all() -> None:
    async def scene() -> None:
        broken, well = Listener("broken"), Listener("well", must=False)
        broken.error = ValueError("no")
        it = Scene(broken, well)
        it.put(1)
        await soon(lambda: it.confirmed == [1])
        it.put(2)
        await soon(lambda: it.confirmed[-1] == 2)
        await soon(lambda: len(well.heard) == 3)
        faults = [record for record in well.heard if record["kind"] == "fault"]
        assert [fault["where"] for fault in faults] == ["reporter, broken"]
        assert it.meters.counts["failed", "broken"] >= 2
        await it.relay.close(1)

    play(scene)


def test_a_fold_that_fails_keeps_nobody_from_being_told() -> None:
    async def scene() -> None:
        sink = Listener()

        def fold(record: Record) -> None:
            raise KeyError("what")

        async def confirm(record: Record) -> None:
            return

        relay = Relay((sink,), (fold,), confirm, Meters(), time.time)
        relay.start()
        relay.put({"kind": "level", "seq": 1})
        await soon(lambda: len(sink.heard) == 2)
        assert {record["kind"] for record in sink.heard} == {"level", "fault"}
        await relay.close(1)

    play(scene)


def test_ticks_are_for_those_who_want_them_while_they_are_new() -> None:
    async def scene() -> None:
        plain, curious = Listener("plain"), Listener("curious", must=False, ticks=True)
        curious.open.clear()
        it = Scene(plain, curious)
        for _ in range(2 * TICK_ROOM):
            it.put(0, kind="tick")
            await asyncio.sleep(0)
        curious.open.set()
        await soon(lambda: len(curious.heard) >= TICK_ROOM)
        assert len(curious.heard) < 2 * TICK_ROOM
        assert plain.heard == []
        assert it.confirmed == []
        await it.relay.close(1)

    play(scene)


@pytest.mark.parametrize("hung", [False, True])
def test_the_end_waits_for_a_while_only(hung: bool) -> None:
    async def scene() -> None:
        sink = Listener()
        if hung:
            sink.open.clear()
        it = Scene(sink)
        it.put(1)
        began_s = time.monotonic()
        await it.relay.close(0.2)
        assert time.monotonic() - began_s < 2
        assert sink.numbers == ([] if hung else [1])
        assert it.confirmed == ([] if hung else [1])
        assert len(asyncio.all_tasks()) == 2  # the test itself, and its time limit

    play(scene)
