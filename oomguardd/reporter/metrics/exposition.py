"""The metrics as Prometheus reads them, rendered by prometheus_client from what is known at that moment.

Rule of this file: a registry of our own with nothing in it but the table, so that there is nobody else's
process_* among it; and one rendering for everybody who asks within a quarter of a second.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from oomguardd.engine.words import Fields
from oomguardd.kernel.clock import process_cpu_s
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import resident_pages
from oomguardd.model import PAGE_BYTES
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.metrics.book import Histogram
from oomguardd.reporter.metrics.row import Row
from oomguardd.reporter.metrics.table import METRICS
from oomguardd.reporter.metrics.tally import Tally
from oomguardd.reporter.metrics.values import Series, Values, values_of
from oomguardd.reporter.present import Present

CACHE_S = 0.25

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

BASE_UNITS = ("bytes_per_second", "seconds", "bytes", "ratio")
"""What OpenMetrics knows as a unit: the ending of the name."""


class Library(NamedTuple):
    """What is used of prometheus_client."""

    core: ModuleType
    text: Callable[[Any], bytes]
    openmetrics: Callable[[Any], bytes]


LIBRARY: Library | None
try:
    from prometheus_client import core as _core
    from prometheus_client.exposition import generate_latest as _text
    from prometheus_client.openmetrics.exposition import generate_latest as _openmetrics
except ImportError:
    LIBRARY = None
else:
    LIBRARY = Library(_core, _text, _openmetrics)

MISSING = {
    "what": "metrics",
    "cost": "nothing is served to Prometheus and no textfile is written; all else works",
    "remedy": "install prometheus-client (Debian: python3-prometheus-client; pip install prometheus-client)",
}
"""The record that tells of a machine without the library."""


class Exposition:
    """All metrics of one reporter. `clock` is monotonic; `proc` is where processes' memory is read."""

    def __init__(
        self,
        present: Present,
        tally: Tally,
        meters: Meters,
        version: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        proc: str = "/proc",
        library: Library | None = LIBRARY,
    ) -> None:
        self._present = present
        self._tally = tally
        self._meters = meters
        self._version = version
        self._clock = clock
        self._proc_fd = open_dir(proc)
        self._library = library
        self._registry: Any = None
        self._cache: dict[bool, tuple[float, bytes]] = {}
        if library is not None:
            self._registry = library.core.CollectorRegistry()
            self._registry.register(self)

    @property
    def available(self) -> bool:
        """Whether the library is there; without it body() is empty."""
        return self._library is not None

    @property
    def guard_is_up(self) -> bool:
        return self._present.connected

    def body(self, openmetrics: bool = False) -> bytes:
        """As TEXT says, or as OPENMETRICS; at most CACHE_S old."""
        if self._library is None:
            return b""
        now_s = self._clock()
        made_s, body = self._cache.get(openmetrics, (float("-inf"), b""))
        if not made_s <= now_s < made_s + CACHE_S:
            render = self._library.openmetrics if openmetrics else self._library.text
            body = render(self._registry)
            self._cache[openmetrics] = (now_s, body)
        return body

    def collect(self) -> Iterator[Any]:
        """What the registry asks for: every metric of the table of which something is known."""
        values = values_of(self._present, self._tally, self._meters)
        values.update(self._own_values())
        for row in METRICS:
            if histogram := self._tally.histograms.get(row.name):
                yield self._histogram(row, histogram)
            elif series := values.get(row.name):
                yield self._family(row, series)

    def close(self) -> None:
        """May be called twice."""
        if self._proc_fd >= 0:
            os.close(self._proc_fd)
            self._proc_fd = -1

    def _own_values(self) -> Values:
        """What the machine itself tells: who we are, and what both processes cost."""
        present = self._present
        builds: Series = [(("reporter", self._version, platform.python_version()), 1.0)]
        cpu: Series = [(("reporter",), process_cpu_s())]
        memory = [("reporter", resident_pages(self._proc_fd, os.getpid()))]
        if present.connected:
            started = Fields(present.started)
            builds.append((("guard", started.text("version", ""), ""), 1.0))
            pid, guard_cpu_s = started.number("pid"), Fields(present.tick).number("cpu_s")
            if guard_cpu_s is not None:
                cpu.append((("guard",), guard_cpu_s))
            if pid is not None and pid > 0:
                memory.append(("guard", resident_pages(self._proc_fd, int(pid))))
        return {
            "oomguard_build_info": builds,
            "oomguard_process_cpu_seconds_total": cpu,
            "oomguard_process_resident_memory_bytes": [
                ((process,), float(pages * PAGE_BYTES)) for process, pages in memory if pages is not None
            ],
        }

    def _family(self, row: Row, series: Series) -> Any:
        assert self._library is not None
        core = self._library.core
        family = core.Metric(_family_name(row), row.help, row.type, base_unit(row))
        for labels, value in series:
            family.add_sample(row.name, dict(zip(row.labels, labels, strict=True)), value)
        return family

    def _histogram(self, row: Row, histogram: Histogram) -> Any:
        assert self._library is not None
        family = self._library.core.HistogramMetricFamily(row.name, row.help, unit=base_unit(row))
        buckets, below = [], 0
        for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(below)))
        family.add_metric((), buckets=buckets, sum_value=histogram.sum)
        return family


def base_unit(row: Row) -> str:
    """The unit as OpenMetrics has it; empty for a number of things."""
    return row.unit if row.unit in BASE_UNITS else ""


def _family_name(row: Row) -> str:
    """Of the series without what the type adds to it."""
    return row.name.removesuffix({"counter": "_total", "info": "_info"}.get(row.type, ""))
