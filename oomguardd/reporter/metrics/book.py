"""Numbers by metric and labels, as the tally keeps them. Pure.

Rule of this file: there is no end of names in the world, so every set of labels has one. What may be counted
is there as 0 from the beginning: a series that begins at 1 is no increase to Prometheus.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from oomguardd.engine.words import as_number

Labels = tuple[str, ...]

MOST_SERIES = 200
"""Of one metric; what would be more is not counted by name. The caps of the callers are far below."""

Wire = dict[str, object]


class Histogram:
    """How many values were at most as large as each bound; the last count is for those above all bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Counts it; a time that is negative or no number would spoil the sum, and is left out."""
        if math.isfinite(value) and value >= 0:
            self.counts[bisect_left(self.bounds, value)] += 1
            self.sum += value

    def to_json(self) -> Wire:
        return {"bounds": list(self.bounds), "counts": list(self.counts), "sum": self.sum}

    def restore(self, wire: object) -> None:
        """What to_json() gave; anything else, or other bounds, changes nothing."""
        if not isinstance(wire, Mapping) or wire.get("bounds") != list(self.bounds):
            return
        counts, total = wire.get("counts"), as_number(wire.get("sum"))
        if not isinstance(counts, list) or len(counts) != len(self.counts) or total is None:
            return
        if all(isinstance(each, int) and each >= 0 for each in counts):
            self.counts, self.sum = list(counts), total


class Book:
    """All of it, by the metric's name."""

    def __init__(
        self,
        counters: Mapping[str, Iterable[Labels]],
        lasts: Iterable[str],
        histograms: Mapping[str, Sequence[float]],
    ) -> None:
        self.counts: dict[str, dict[Labels, float]] = {
            name: dict.fromkeys(expected, 0.0) for name, expected in counters.items()
        }
        self.lasts: dict[str, float] = dict.fromkeys(lasts, 0.0)
        """When something happened last; 0 if never."""
        self.histograms = {name: Histogram(bounds) for name, bounds in histograms.items()}

    def expect(self, name: str, *labels: Labels) -> None:
        """These may be counted."""
        for each in labels:
            self._room(name, each).setdefault(each, 0.0)

    def add(self, name: str, labels: Labels = (), number: float | None = 1.0) -> None:
        """Counts up; None and what is not positive does not count. KeyError for a name that it has not."""
        series = self._room(name, labels)
        if number is not None and number > 0:
            series[labels] = series.get(labels, 0.0) + number

    def _room(self, name: str, labels: Labels) -> dict[Labels, float]:
        series = self.counts[name]
        return series if labels in series or len(series) < MOST_SERIES else {}

    def to_json(self) -> Wire:
        return {
            "counts": {
                name: [[*labels, value] for labels, value in series.items()]
                for name, series in self.counts.items()
            },
            "lasts": dict(self.lasts),
            "histograms": {name: histogram.to_json() for name, histogram in self.histograms.items()},
        }

    def restore(self, wire: Mapping[str, object]) -> None:
        """What to_json() gave, perhaps of another version: what is unknown or makes no sense is left out."""
        for name, rows in _items(wire.get("counts")):
            if name in self.counts and isinstance(rows, list):
                self._restore_counter(name, rows)
        for name, value in _items(wire.get("lasts")):
            number = as_number(value)
            if name in self.lasts and number is not None:
                self.lasts[name] = number
        for name, histogram in _items(wire.get("histograms")):
            if name in self.histograms:
                self.histograms[name].restore(histogram)

    def _restore_counter(self, name: str, rows: list[object]) -> None:
        width = {len(labels) for labels in self.counts[name]}
        for row in rows:
            if not isinstance(row, list) or not row:
                continue
            labels, value = row[:-1], as_number(row[-1])
            fits = not width or len(labels) in width
            if fits and value is not None and value >= 0 and all(isinstance(each, str) for each in labels):
                self._room(name, tuple(labels))[tuple(labels)] = value


def _items(wire: object) -> Iterable[tuple[str, object]]:
    return [(str(key), value) for key, value in wire.items()] if isinstance(wire, Mapping) else []
