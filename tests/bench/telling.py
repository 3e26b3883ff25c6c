"""What the reporter costs: a scrape, an event, its memory, and whether it grows."""

from __future__ import annotations

import os
import socket
import statistics
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from oomguardd.reporter.metrics.exposition import CACHE_S
from tests.bench.rows import Row, ms
from tests.shell.reporting import Reporting, kill_fields, outcome_fields, reporting

WARM_UP = 1000
"""Scrapes and events: allocator pools, caches and bounded lists are full then."""
AT_ONCE = 20
FRESH = 40
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Telling(NamedTuple):
    """What was measured."""

    scrapes_s: list[float]
    fresh_s: list[float]
    """Of scrapes so far apart that nothing was ready for them, as Prometheus' are."""
    events_per_s: float
    rss_before_kb: int
    rss_after_kb: int
    pss_kb: int


def load(place: Reporting, events: int, scrapes: int) -> tuple[list[float], float]:
    """So many events, written to the history, and so many scrapes in between; how long each scrape took, and
    how long the events took alone."""
    took_s: list[float] = []
    telling_s = 0.0
    for first in range(0, events, AT_ONCE):
        began_s = monotonic()
        for number in range(first, min(first + AT_ONCE, events), 2):
            place.outbox.put_vital("kill", 1, **kill_fields(number))
            place.outbox.put_vital("outcome", 5, **outcome_fields(number))
        assert place.run(lambda: place.outbox.acked == place.outbox._seq), place.written()[-2000:]
        telling_s += monotonic() - began_s
        while len(took_s) * events < scrapes * (first + AT_ONCE):
            took_s.append(scrape(place.metrics))
    return took_s, telling_s


def scrape(path: str) -> float:
    """How long it took until everything was here."""
    began_s = monotonic()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(REQUEST)
        size = 0
        while part := sock.recv(1 << 16):
            size += len(part)
    assert size > 5000
    return monotonic() - began_s


def memory_kb(pid: int) -> tuple[int, int]:
    """Resident and proportional."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return fields["Rss"], fields["Pss"]


def scrape_late(path: str) -> float:
    """One for which the last answer is too old."""
    sleep(2 * CACHE_S)
    return scrape(path)


def measure(events: int = 10_000, scrapes: int = 10_000) -> Telling:
    """A real reporter under load, with everything on but process events."""
    with reporting('[log]\nlevel = "error"\n') as place:
        pid = place.start()
        load(place, WARM_UP, WARM_UP)
        before_kb, _ = memory_kb(pid)
        took_s, telling_s = load(place, events, scrapes)
        after_kb, pss_kb = memory_kb(pid)
        fresh_s = [scrape_late(place.metrics) for _ in range(FRESH)]
    return Telling(took_s, fresh_s, events / telling_s, before_kb, after_kb, pss_kb)


def telling() -> list[Row]:
    """`make bench`."""
    it = measure()
    grown_kb = it.rss_after_kb - it.rss_before_kb
    median_s, fresh_s = statistics.median(it.scrapes_s), statistics.median(it.fresh_s)
    worst_s = statistics.quantiles(it.scrapes_s, n=100)[98]
    return [
        Row("reporter: a scrape, 0.5 s after the last", ms(fresh_s), f"{fresh_s * 100:.2f} of 10 ms"),
        Row(
            "reporter: a scrape among many", ms(median_s), f"{median_s * 100:.2f} of 10 ms; p99 {ms(worst_s)}"
        ),
        Row(
            "reporter: events into the history", f"{it.events_per_s:.0f}/s", "20 at a time, each on the disk"
        ),
        Row(
            "reporter: memory (PSS)", f"{it.pss_kb / 1024:.1f} MiB", f"{it.pss_kb / 1024 / 32:.2f} of 32 MiB"
        ),
        Row(
            "reporter: growth over 10,000 scrapes and 10,000 events",
            f"{grown_kb} KiB",
            f"{grown_kb / 2048:.2f} of 2 MiB; {os.sysconf('SC_PAGE_SIZE') // 1024} KiB pages",
        ),
    ]
