"""The history's sink, with a real store on a real disk, which may be slow, full or gone."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from oomguardd.history.incident import Record
from oomguardd.history.store import Store, StoreError, open_store, read_store
from oomguardd.reporter.keeper import BACKLOG_BYTES, Keeper, Pace
from oomguardd.reporter.sampler import make_sampler
from tests.unit.history.scene import NOON_S, YEAR_S, kernel_kill, kill, outcome, started, tick

FAST = Pace(sample_s=0.02, flush_s=0.05, hold_s=0.5)


class Place:
    """A keeper with its store, what it published and what its tally was given."""

    def __init__(
        self, store: Store, pace: Pace = FAST, sense: Callable[[], Mapping[str, float]] | None = None
    ):
        self.store = store
        self.published: list[Record] = []
        self.counted: list[Record] = []
        self.keeper = Keeper(store, self.tally, lambda: NOON_S, sense, self.published.append, pace)

    def tally(self, new: Sequence[Record]) -> str:
        self.counted += new
        return str(len(self.counted))

    def numbers(self) -> list[int]:
        with read_store(self.store.directory) as reader:
            return [int(str(each.record["seq"])) for each in reader.kills()]


class SlowStore(Store):
    """A disk that does not answer before it is told to."""

    answers: threading.Event

    def append(self, records: Sequence[Record], meta: Mapping[str, str] | None = None) -> list[Record]:
        assert self.answers.wait(20)
        return super().append(records, meta)


class BrokenStore(Store):
    """A disk that is full as long as we want it to be."""

    broken = True

    def append(self, records: Sequence[Record], meta: Mapping[str, str] | None = None) -> list[Record]:
        if self.broken:
            raise StoreError("history.db: database or disk is full (make room)")
        return super().append(records, meta)


def ordinary(path: Path) -> Store:
    return open_store(str(path), 64 << 20, YEAR_S, lambda: NOON_S)


def broken(path: Path) -> BrokenStore:
    return BrokenStore(str(path), 64 << 20, YEAR_S, lambda: NOON_S)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


async def until(done: Callable[[], object], for_s: float = 10.0) -> bool:
    deadline_s = time.monotonic() + for_s
    while not done():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(0.005)
    return True


def test_what_was_taken_is_on_the_disk_and_counted_once(tmp_path: Path) -> None:
    async def work() -> None:
        place = Place(ordinary(tmp_path))
        await place.keeper.take([started(1), kill(2), tick(NOON_S), kernel_kill("k")])
        assert len(place.counted) == 3
        assert place.numbers() == [2, 0]
        await place.keeper.take([kill(2), outcome(3, 2)])
        assert [each["kind"] for each in place.counted] == ["started", "kill", "kernel_kill", "outcome"]
        await place.keeper.close()
        assert ordinary(tmp_path).meta("tally") == "4"

    run(work())


def test_nobody_waits_for_a_slow_disk_but_the_guard(tmp_path: Path) -> None:
    async def work() -> None:
        store = SlowStore(str(tmp_path), 64 << 20, YEAR_S, lambda: NOON_S)
        store.answers = threading.Event()
        place = Place(store, sense=lambda: {"mem_available": 1.0})
        taking = asyncio.ensure_future(place.keeper.take([kill(2)]))
        turns = 0
        for _ in range(20):
            await asyncio.sleep(0.01)
            turns += 1
        assert turns == 20
        assert not taking.done(), "confirmed before it was written"
        store.answers.set()
        await taking
        assert place.numbers() == [2]
        await place.keeper.close()

    run(work())


def test_a_batch_waits_for_a_disk_that_is_full_for_a_moment(tmp_path: Path) -> None:
    async def work() -> None:
        store = broken(tmp_path)
        place = Place(store, Pace(0.02, 0.05, 20.0))
        taking = asyncio.ensure_future(place.keeper.take([kill(2)]))
        assert await until(lambda: place.published)
        assert not taking.done()
        store.broken = False
        await taking
        assert place.numbers() == [2]
        assert len(place.counted) == 1, "counted again when it was tried again"
        (fault,) = place.published
        assert (fault["kind"], fault["where"]) == ("fault", "history")
        assert "make room" in str(fault["error"])
        await place.keeper.close()

    run(work())


def test_after_a_while_records_wait_in_memory_and_are_written_later(tmp_path: Path) -> None:
    async def work() -> None:
        store = broken(tmp_path)
        place = Place(store)
        with pytest.raises(StoreError, match="wait in memory"):
            await place.keeper.take([started(1), kill(2)])
        began_s = time.monotonic()
        with pytest.raises(StoreError, match="wait in memory"):
            await place.keeper.take([kill(3)])
        assert time.monotonic() - began_s < FAST.hold_s, "each one waits as long as the first"
        store.broken = False
        assert await until(lambda: store.seen() == (kill(3)["run"], 3))
        assert place.numbers() == [2, 3]
        assert [each["seq"] for each in place.counted] == [1, 2, 3]
        assert len(place.published) == 1
        await place.keeper.close()

    run(work())


def test_memory_has_an_end_and_what_is_given_up_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        store = broken(tmp_path)
        place = Place(store, Pace(0.02, 0.05, 0.0))
        for seq in range(1, 400):
            with pytest.raises(StoreError):
                await place.keeper.take([kill(seq, note="x" * 3000)])
        store.broken = False
        await place.keeper.take([kill(400)])
        numbers = place.numbers()
        assert numbers[-1] == 400
        assert BACKLOG_BYTES // 6000 < len(numbers) < BACKLOG_BYTES // 3000 + 2
        gone = place.published[-1]
        assert gone["count"] == 400 - len(numbers)
        assert len(place.counted) == len(numbers)
        await place.keeper.close()

    run(work())


def test_a_batch_that_is_larger_than_memory_has_room_for_is_written_whole(tmp_path: Path) -> None:
    async def work() -> None:
        place = Place(ordinary(tmp_path))
        await place.keeper.take([kill(seq, note="x" * 20_000) for seq in range(1, 101)])
        assert place.numbers() == list(range(1, 101))
        assert place.published == []
        await place.keeper.close()

    run(work())


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        (tmp_path / "history.db").write_bytes(b"garbage" * 1000)
        place = Place(ordinary(tmp_path))
        await place.keeper.take([kill(2)])
        assert await until(lambda: place.published)
        assert "damaged" in str(place.published[0]["error"])
        await place.keeper.close()

    run(work())


def test_the_guards_looks_around_a_kill_are_kept(tmp_path: Path) -> None:
    async def work() -> None:
        place = Place(ordinary(tmp_path))
        for at in range(-90, 0):
            await place.keeper.take([tick(NOON_S + at)])
        await place.keeper.take([kill(2)])
        for at in range(1, 90):
            await place.keeper.take([tick(NOON_S + at)])
        await place.keeper.close()
        with read_store(str(tmp_path)) as reader:
            incident = reader.incident("last")
        moments = [reading.time_s - NOON_S for reading in incident.readings]
        assert moments == list(range(-60, 61))
        assert {reading.level for reading in incident.readings} == {"calm", "terminate"}

    run(work())


def test_between_rare_looks_it_reads_by_itself(tmp_path: Path) -> None:
    async def work() -> None:
        place = Place(ordinary(tmp_path), sense=lambda: {"mem_available": 7.0})
        place.keeper.start()
        await asyncio.sleep(0.2)
        await place.keeper.take([kernel_kill("k")])
        await asyncio.sleep(0.2)
        await place.keeper.close()
        with read_store(str(tmp_path)) as reader:
            readings = reader.incident("last").readings
        assert len(readings) >= 6
        assert {reading.level for reading in readings} == {""}

    run(work())


def test_the_minute_after_goes_on_in_the_next_reporter(tmp_path: Path) -> None:
    async def work() -> None:
        first = Place(ordinary(tmp_path))
        await first.keeper.take([kill(2)])
        await first.keeper.close()
        second = Place(ordinary(tmp_path))
        second.keeper.start()
        await asyncio.sleep(0.1)
        await second.keeper.take([tick(NOON_S + 30)])
        await second.keeper.close()
        with read_store(str(tmp_path)) as reader:
            moments = [reading.time_s - NOON_S for reading in reader.incident("last").readings]
        assert moments == [0.0, 30.0]

    run(work())


def test_the_machine_is_read_without_privileges() -> None:
    sense = make_sampler()
    assert sense is not None
    sample = sense()
    assert 0 < sample["mem_available"] < sample["mem_total"]
    sense.close()
    sense.close()
    assert sense() == {}, "what cannot be read is left out"


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_ten_thousand_events_leave_the_memory_where_it_was(tmp_path: Path) -> None:
    async def work() -> None:
        place = Keeper(ordinary(tmp_path), lambda new: "x" * 5000, lambda: NOON_S, None, pace=FAST)

        async def events(first: int, count: int) -> None:
            for seq in range(first, first + count, 50):
                batch = [kill(each, NOON_S + each / 10) for each in range(seq, seq + 50)]
                await place.take([*batch, tick(NOON_S + seq / 10)])

        await events(1, 2000)
        gc.collect()
        before = resident_bytes()
        await events(2001, 10_000)
        gc.collect()
        assert resident_bytes() - before < 2 << 20
        await place.close()

    run(work())
