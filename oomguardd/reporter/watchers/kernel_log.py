"""The kernel's log, from /dev/kmsg or the journal, as reports of its OOM killer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from oomguardd.kernel.kmsg import KernelLog
from oomguardd.oomlog import Decoder, Report
from oomguardd.reporter.watchers.journal import Entry, JournalFollower, text_of

QUIET_S = 0.4
"""A report is over when the log was silent for so long after its last line."""
LONGEST_S = 2.0
"""Where the log is never silent, what is complete is told after that time."""

Heard = Callable[[Report, str, float], None]
"""Called with a report, where it is from ("kmsg" or "journal"), and when its first line was logged (wall
clock)."""


class ReportReader:
    """Lines in, reports out, each within a second of its end."""

    def __init__(self, source: str, heard: Heard, clock: Callable[[], float]) -> None:
        self._source = source
        self._heard = heard
        self._clock = clock
        self._decoder = Decoder()
        self._skew_s: float | None = None
        """Wall clock minus the log's, which stands still in suspend."""
        self._timer: asyncio.TimerHandle | None = None
        self._since_s = 0.0

    def feed(self, lines: list[str], newest_uptime_s: float | None) -> None:
        """What was logged just now."""
        if newest_uptime_s is not None:
            self._skew_s = self._clock() - newest_uptime_s
        for line in lines:
            self._tell(self._decoder.feed(line))
        self._arm()

    def close(self) -> None:
        """What is complete is told; the rest is forgotten."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._tell(self._decoder.flush())

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if self._timer is None:
            self._since_s = now_s
        else:
            self._timer.cancel()
        self._timer = loop.call_at(min(now_s + QUIET_S, self._since_s + LONGEST_S), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._tell(self._decoder.flush())

    def _tell(self, reports: list[Report]) -> None:
        now_s = self._clock()
        for report in reports:
            time_s = now_s
            if report.uptime_s is not None and self._skew_s is not None:
                time_s = min(now_s, report.uptime_s + self._skew_s)
            self._heard(report, self._source, round(time_s, 3))


def past_reports(path: str, most: int) -> list[Report]:
    """The last kills that the log still has: somebody was killed, and nobody may have been there to tell.
    Empty where it cannot be read. It takes as long as a megabyte of log takes to read."""
    found: deque[Report] = deque(maxlen=most)
    decoder = Decoder()
    try:
        log = KernelLog(path, past=True)
    except OSError:
        return []
    try:
        while messages := log.read()[0]:
            for message in messages:
                if message.facility == 0:
                    found.extend(each for each in decoder.feed(message.line) if each.victims)
    except OSError:
        pass  # what was read so far
    finally:
        log.close()
    found.extend(each for each in decoder.finish() if each.victims)
    return list(found)


class KmsgWatch:
    """/dev/kmsg from now on. OSError from the constructor: see KernelLog. `lost` is called when messages were
    overwritten before they were read."""

    def __init__(self, path: str, heard: Heard, lost: Callable[[], None], clock: Callable[[], float]) -> None:
        self._log = KernelLog(path)
        self._reader = ReportReader("kmsg", heard, clock)
        self._lost = lost
        self._on = False

    def start(self) -> None:
        """In a running loop."""
        asyncio.get_running_loop().add_reader(self._log.fileno(), self._readable)
        self._on = True

    def _readable(self) -> None:
        try:
            messages, lost = self._log.read()
        except OSError:
            self._stop()
            self._lost()
            return
        if lost:
            self._lost()
        kernels = [message for message in messages if message.facility == 0]
        if kernels:
            self._reader.feed([message.line for message in kernels], kernels[-1].uptime_s)

    def _stop(self) -> None:
        if self._on:
            self._on = False
            asyncio.get_running_loop().remove_reader(self._log.fileno())

    async def close(self) -> None:
        """May be called twice."""
        self._stop()
        self._reader.close()
        self._log.close()


class JournalWatch:
    """The kernel's messages in the journal."""

    def __init__(
        self, heard: Heard, on_trouble: Callable[[str], None], clock: Callable[[], float], program: str
    ) -> None:
        self._reader = ReportReader("journal", heard, clock)
        self._follower = JournalFollower(("--dmesg",), self._entry, on_trouble, program)

    def start(self) -> None:
        """In a running loop."""
        self._follower.start()

    def _entry(self, entry: Entry) -> None:
        stamp = text_of(entry, "_SOURCE_MONOTONIC_TIMESTAMP")
        message = text_of(entry, "MESSAGE")
        # What processes write into /dev/kmsg has the same transport, but never facility 0.
        kernels = text_of(entry, "_TRANSPORT") == "kernel" and text_of(entry, "SYSLOG_FACILITY") in ("", "0")
        if not message or not kernels:
            return
        uptime_us = int(stamp) if stamp.isascii() and stamp.isdecimal() and len(stamp) < 20 else None
        if uptime_us is None:
            self._reader.feed([message], None)
        else:
            self._reader.feed(
                [f"[{uptime_us // 1000000}.{uptime_us % 1000000:06d}] {message}"], uptime_us / 1e6
            )

    async def close(self) -> None:
        """May be called twice."""
        await self._follower.close()
        self._reader.close()
