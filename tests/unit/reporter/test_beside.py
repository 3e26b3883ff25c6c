"""The thread for a disk that may hang: one call after the other, and nobody waits for it at the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from oomguardd.reporter.beside import Beside

HANGS = """
import asyncio, time
from oomguardd.reporter.beside import Beside

async def work():
    thread = Beside("disk")
    hanging = asyncio.get_running_loop().run_in_executor(thread, time.sleep, 60)
    await asyncio.wait({hanging}, timeout=0.1)
    hanging.cancel()
    thread.shutdown(cancel_futures=True)

asyncio.run(work())
"""


def test_one_after_the_other_with_results_and_errors() -> None:
    thread, order = Beside("disk"), list[int]()
    futures = [thread.submit(order.append, number) for number in range(20)]
    failing = thread.submit(int, "x")
    assert [future.result(10) for future in futures] == [None] * 20
    assert order == list(range(20))
    with pytest.raises(ValueError, match="'x'"):
        failing.result(10)
    thread.shutdown()
    thread.shutdown()
    with pytest.raises(RuntimeError):
        thread.submit(int)


def test_what_was_asked_for_before_the_end_is_done_unless_it_is_cancelled() -> None:
    go, done = threading.Event(), list[int]()
    thread = Beside("disk")
    first, second = thread.submit(go.wait, 10), thread.submit(done.append, 1)
    thread.shutdown()
    go.set()
    assert first.result(10)
    second.result(10)
    assert done == [1]
    go.clear()
    thread = Beside("disk")
    thread.submit(go.wait, 10)
    waiting = thread.submit(done.append, 2)
    while thread._calls.qsize() > 1:  # until the first one runs
        time.sleep(0.001)
    thread.shutdown(cancel_futures=True)
    go.set()
    assert waiting.cancelled()


def test_the_interpreter_does_not_wait_for_a_call_that_hangs() -> None:
    began_s = time.monotonic()
    assert subprocess.run([sys.executable, "-c", HANGS], timeout=50, check=False).returncode == 0
    assert time.monotonic() - began_s < 20


def test_in_a_loop() -> None:
    async def work() -> int:
        thread = Beside("disk")
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, max, 1, 2)
        finally:
            thread.shutdown()

    assert asyncio.run(work()) == 2
