"""Readings over time in one line each: the figures before, at and after a kill, and a curve of block letters.

Rule of this file: pure. Where the terminal has no such letters, or no room, the figures stand alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from oomguardd.ctl.text import Column, table, width_of
from oomguardd.engine.readings import Signals, value_words
from oomguardd.history.incident import Incident, Reading

_BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = " "
_WIDEST = 60
_NARROWEST = 12
"""Letters of a curve."""

_SHOWN = (
    "mem_available",
    "swap_free",
    "anon",
    "shmem",
    "psi_some_10s",
    "psi_full_10s",
    "psi_some_avg10",
    "psi_full_avg10",
    "refault_rate",
    "swap_in_rate",
    "swap_out_rate",
    "major_fault_rate",
)
"""What tells most of a kill; `--json` has every reading."""


def can_draw(encoding: str | None) -> bool:
    """Whether the letters of a curve can be written."""
    try:
        _BLOCKS.encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def curve_lines(incident: Incident, signals: Signals, width: int, drawn: bool) -> list[str]:
    """A table of the most telling signals around the kill; empty without readings."""
    readings = incident.readings
    names = [name for name in _SHOWN if any(name in reading.values for reading in readings)]
    if not names:
        return []
    columns = [
        Column("READING", left=True),
        Column(f"{readings[0].time_s - incident.time_s:+.0f} s"),
        Column("KILL"),
        Column(f"{readings[-1].time_s - incident.time_s:+.0f} s"),
    ]
    rows = [_figures(name, incident, signals) for name in names]
    room = min(_WIDEST, width - max(map(width_of, table(columns, rows, width))) - 2)
    if drawn and room >= _NARROWEST:
        columns.append(Column(" " * _slot(incident.time_s, readings, room) + "v", left=True))
        for row, name in zip(rows, names, strict=True):
            row.append(curve(readings, name, room, _top(name, readings, signals)))
    return table(columns, rows, width)


def curve(readings: Sequence[Reading], name: str, letters: int, top: float) -> str:
    """The signal from 0 to `top` over the whole time: in each letter the mean of its span, and a gap where
    nothing was read."""
    spans: list[list[float]] = [[] for _ in range(letters)]
    for reading in readings:
        if name in reading.values:
            spans[_slot(reading.time_s, readings, letters)].append(reading.values[name])
    return "".join(_block(sum(span) / len(span), top) if span else _GAP for span in spans)


def _block(value: float, top: float) -> str:
    share = value / top if top > 0 else 0.0
    return _BLOCKS[min(max(int(share * len(_BLOCKS)), 0), len(_BLOCKS) - 1)]


def _slot(time_s: float, readings: Sequence[Reading], letters: int) -> int:
    """The letter that a moment falls into."""
    first_s, last_s = readings[0].time_s, readings[-1].time_s
    share = (time_s - first_s) / (last_s - first_s) if last_s > first_s else 0.0
    return min(max(int(share * letters), 0), letters - 1)


def _top(name: str, readings: Sequence[Reading], signals: Signals) -> float:
    """What a full block stands for: all that there is, or the most that was seen."""
    total = signals[name].total if name in signals else ""
    return max(
        max((reading.values.get(total, 0.0) for reading in readings), default=0.0),
        max((reading.values.get(name, 0.0) for reading in readings), default=0.0),
    )


def _figures(name: str, incident: Incident, signals: Signals) -> list[str]:
    """First, nearest to the kill, and last."""
    known = [reading for reading in incident.readings if name in reading.values]
    at = min(known, key=lambda reading: abs(reading.time_s - incident.time_s))
    return [name, *(value_words(name, each.values[name], signals) for each in (known[0], at, known[-1]))]
