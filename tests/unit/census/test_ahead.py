"""Reading ahead: bounds, what is kept, and threads that are stuck."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from oomguardd.census.ahead import KEPT_MAX, QUEUED_MAX, ReadAhead, Reading


class Source:
    """Reads "n" for n; negative ones not before `release`, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.release = threading.Event()

    def read(self, key: int) -> Reading:
        self.asked[key] += 1
        if key < 0:
            self.release.wait(10)
        return Reading(str(key), True)


def until(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def test_each_is_read_once() -> None:
    source = Source()
    ahead = ReadAhead[int]("test", source.read)
    ahead.start()
    ahead.start()
    assert [ahead.get(7, 5.0) for _ in range(3)] == ["7"] * 3
    ahead.ask(7)
    assert ahead.get(7) == "7"
    ahead.close()
    ahead.close()
    assert source.asked == {7: 1}


def test_nothing_is_read_before_the_start() -> None:
    source = Source()
    ahead = ReadAhead[int]("test", source.read)
    began_s = time.monotonic()
    assert ahead.get(7, 5.0) is None
    assert time.monotonic() - began_s < 2
    assert not source.asked
    ahead.close()


def test_one_that_is_stuck_does_not_stop_the_others() -> None:
    source = Source()
    ahead = ReadAhead[int]("test", source.read)
    ahead.start()
    assert ahead.get(-1, 0.01) is None
    assert ahead.get(7, 5.0) == "7"
    assert ahead.get(-2, 0.01) is None
    assert ahead.get(8, 0.05) is None, "both threads are busy"
    assert ahead.stuck == 0
    assert until(lambda: ahead.stuck == 2)
    began_s = time.monotonic()
    assert ahead.get(9, 5.0) is None
    assert time.monotonic() - began_s < 2
    source.release.set()
    assert until(lambda: ahead.stuck == 0)
    assert ahead.get(9, 5.0) == "9", "asked for meanwhile"
    ahead.close()


def test_what_has_changed_meanwhile_is_not_kept() -> None:
    answers = iter([Reading("old", False), Reading("new", True)])
    ahead = ReadAhead[int]("test", lambda key: next(answers))
    ahead.start()
    began_s = time.monotonic()
    assert ahead.get(7, 5.0) is None
    assert time.monotonic() - began_s < 2, "no waiting for what does not come"
    assert ahead.get(7, 5.0) == "new"
    ahead.close()


def fail_once(key: int, failed: list[int]) -> Reading:
    if not failed:
        failed.append(key)
        raise OSError("no descriptors")
    return Reading(str(key), True)


def test_an_error_is_not_the_end() -> None:
    failed: list[int] = []
    ahead = ReadAhead[int]("test", lambda key: fail_once(key, failed), threads=1)
    ahead.start()
    assert ahead.get(7, 5.0) is None
    assert ahead.get(7, 5.0) == "7"
    ahead.close()


def test_queue_and_memory_are_bounded() -> None:
    source = Source()
    ahead = ReadAhead[int]("test", source.read, threads=1)
    ahead.start()
    ahead.ask(-1)
    for key in range(2 * QUEUED_MAX):
        ahead.ask(key)
    source.release.set()
    assert ahead.get(QUEUED_MAX - 2, 5.0) == str(QUEUED_MAX - 2)
    assert source.asked[QUEUED_MAX + 5] == 0, "too much was asked already"
    for key in range(KEPT_MAX + 10):
        assert ahead.get(key, 5.0) == str(key)
    assert ahead.get(KEPT_MAX + 9) == str(KEPT_MAX + 9)
    asked = source.asked[0]
    assert ahead.get(0, 5.0) == "0"
    assert source.asked[0] == asked + 1, "the oldest was forgotten"
    ahead.close()
