"""Handing out: each notifier at its own pace, and nobody in another's way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any

from oomguardd.notifiers.base import Maker, Notice, NotifyError
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.people.biggest import read_biggest
from oomguardd.reporter.people.herald import ROOM, Herald
from oomguardd.telling import Hook, NotifySettings, Telling
from tests.fakes import MIB, FakeProc


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


class Ear:
    """A notifier that does what a test says."""

    limit_s = 5.0
    pause_s = 0.0

    def __init__(
        self, label: str, most: int = 1, failure: Exception | None = None, hang: bool = False
    ) -> None:
        self.label = label
        self.settings: object = label
        self.most = most
        self.heard: list[Notice] = []
        self.batches: list[int] = []
        self.failure = failure
        self.hang = hang
        self.started = self.closed = 0

    def start(self) -> None:
        self.started += 1

    def wants(self, notice: Notice) -> bool:
        return True

    async def tell(self, notices: Sequence[Notice]) -> None:
        if self.hang:
            await asyncio.sleep(1000)
        if self.failure is not None:
            raise self.failure
        self.heard += notices
        self.batches.append(len(notices))

    async def close(self) -> None:
        self.closed += 1


class Stage:
    def __init__(
        self, *makers: Maker, telling: Telling | None = None, biggest: Any = lambda: "hog 1 GiB"
    ) -> None:
        self.meters = Meters()
        self.published: list[Record] = []
        self.herald = Herald(
            telling or Telling(),
            self.meters,
            self.published.append,
            {},
            "box",
            makers=makers,
            biggest=biggest,
        )

    def count(self, name: str, label: str) -> int:
        return self.meters.counts[name, label]


def always(*ears: Ear) -> Maker:
    return lambda telling, gear: ears


@contextlib.asynccontextmanager
async def started(stage: Stage) -> AsyncIterator[Herald]:
    stage.herald.start()
    try:
        yield stage.herald
    finally:
        await stage.herald.close()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0.005)


def limit(number: int = 1) -> Record:
    return {"kind": "limit", "time_s": time.time(), "per_minute": number}


def warn() -> Record:
    return {"kind": "level", "level": "warn", "was": "calm", "time_s": time.time(), "readings": {}}


def test_everybody_is_told() -> None:
    async def scenario() -> None:
        one, other = Ear("one"), Ear("other")
        stage = Stage(always(one), always(other))
        async with started(stage) as herald:
            await herald.take([limit(1), {"kind": "tick"}, limit(2)])
            await settled()
        assert [notice.facts["per_minute"] for notice in one.heard] == [1, 2]
        assert len(other.heard) == 2
        assert (stage.count("told", "one"), one.started, one.closed) == (2, 1, 1)

    run(scenario())


def test_one_that_hangs_delays_nobody() -> None:
    async def scenario() -> None:
        stuck, other = Ear("stuck", hang=True), Ear("other")
        stuck.limit_s = 0.1
        stage = Stage(always(stuck, other))
        async with started(stage) as herald:
            await herald.take([limit()] * (ROOM + 10))
            await settled()
            assert len(other.heard) == ROOM, "it had no turn meanwhile, so the first ones were dropped"
            assert stage.count("dropped", "other") == 10
            await asyncio.sleep(0.25)
            assert stage.count("failed", "stuck") >= 2
            faults = [record for record in stage.published if record["kind"] == "fault"]
            assert [(fault["where"], fault["error"]) for fault in faults] == [
                ("notifier stuck", "no end within 100 ms")
            ], "once per cause"
        assert stuck.closed == 1, "in the middle of it"

    run(scenario())


def test_failures_are_counted_and_told_once() -> None:
    async def scenario() -> None:
        ear = Ear("ear", failure=NotifyError("the pager is off"))
        stage = Stage(always(ear))
        async with started(stage) as herald:
            await herald.take([limit(), limit()])
            await settled()
            ear.failure = ValueError("a mistake of ours")
            await herald.take([limit()])
            await settled()
            ear.failure = None
            await herald.take([limit()])
            await settled()
        errors = [record["error"] for record in stage.published]
        assert errors == ["the pager is off", "ValueError: a mistake of ours"]
        assert (stage.count("failed", "ear"), stage.count("told", "ear")) == (3, 1)

    run(scenario())


def test_what_comes_in_a_pause_is_told_together() -> None:
    async def scenario() -> None:
        ear = Ear("ear", most=10)
        ear.pause_s = 0.1
        stage = Stage(always(ear))
        async with started(stage) as herald:
            await herald.take([limit()])
            await settled()
            for _ in range(5):
                await herald.take([limit()])
            await asyncio.sleep(0.2)
        assert ear.batches == [1, 5]

    run(scenario())


def test_a_warning_names_the_biggest() -> None:
    async def scenario() -> None:
        ear = Ear("ear")
        async with started(Stage(always(ear))) as herald:
            await herald.take([warn(), warn()])
            await settled()
        (warning,) = ear.heard
        assert "The largest: hog 1 GiB." in warning.body
        assert warning.facts["biggest"] == "hog 1 GiB"

    run(scenario())


def test_a_warning_without_names_is_still_one() -> None:
    def fails() -> str:
        raise OSError("no /proc")

    async def scenario() -> None:
        ear = Ear("ear")
        async with started(Stage(always(ear), biggest=fails)) as herald:
            await herald.take([warn()])
            await settled()
        assert len(ear.heard) == 1

    run(scenario())


def test_a_reload_keeps_what_stays() -> None:
    async def scenario() -> None:
        made: list[Ear] = []

        def make(telling: Telling, gear: object) -> list[Ear]:
            ears = [Ear(hook.name) for hook in telling.hooks]
            made.extend(ears)
            return ears

        first = Telling(hooks=(Hook("a", ("kill",)), Hook("b", ("kill",))))
        stage = Stage(make, telling=first)
        async with started(stage) as herald:
            herald.retune(Telling(hooks=(Hook("b", ("kill",)), Hook("c", ("kill",)))))
            await settled()
            await herald.take([limit()])
            await settled()
        a, b, b_again, c = made
        assert (a.closed, len(a.heard)) == (1, 0)
        assert (b.started, len(b.heard)) == (1, 1)
        assert (b_again.started, b_again.closed) == (0, 0)
        assert len(c.heard) == 1

    run(scenario())


def test_a_reload_may_switch_warnings_off() -> None:
    async def scenario() -> None:
        ear = Ear("ear")
        async with started(Stage(always(ear))) as herald:
            herald.retune(Telling(notify=NotifySettings(warn=False)))
            await herald.take([warn()])
            await settled()
        assert [notice.people for notice in ear.heard] == [False]

    run(scenario())


def test_closing_gives_what_is_on_its_way_a_moment() -> None:
    async def scenario() -> None:
        slow = Ear("slow")
        stage = Stage(always(slow))
        stage.herald.start()
        await stage.herald.take([limit()])
        await stage.herald.close()
        assert len(slow.heard) == 1
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()][1:] == []

    run(scenario())


def test_all_makers_with_the_defaults() -> None:
    async def scenario() -> None:
        published: list[Record] = []
        environ = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/bus"}
        herald = Herald(Telling(), Meters(), published.append, environ, "box")
        herald.start()
        await settled()
        await herald.close()
        assert [record["kind"] for record in published] == ["missing"]

    run(scenario())


def test_the_biggest_by_application(proc: FakeProc) -> None:
    scope = "/user.slice/user-1.slice/user@1.service/app.slice/app-gnome-firefox-1.scope"
    proc.add(1, comm="init", rss=10 * MIB)
    proc.add(10, comm="Web Content", rss=300 * MIB, cgroup=scope)
    proc.add(11, comm="firefox-bin", rss=200 * MIB, cgroup=scope)
    proc.add(12, comm="gcc\n", rss=400 * MIB, cgroup="/")
    proc.add(13, comm="small", rss=20 * MIB, cgroup="/")
    assert read_biggest(proc.proc_root).startswith("firefox 5")
    words = read_biggest(proc.proc_root)
    assert "gcc\\n 4" in words
    assert "small" not in words


def test_no_biggest_without_a_view(tmp_path: Path) -> None:
    assert read_biggest(str(tmp_path)) == ""
    assert read_biggest(str(tmp_path / "none")) == ""
