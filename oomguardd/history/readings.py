"""Readings in little room: in memory as an array beside names that all of them share, on disk by column.

A column of one signal over time is much the same number again and again, which zlib takes to a tenth.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from oomguardd.engine.words import as_number
from oomguardd.history.incident import Reading

LARGEST_BLOCK_BYTES = 16 << 20
"""What a block may unpack to; ours have some ten thousand."""
_LEVEL = 6
_DIGITS = 3
"""After the decimal point: as the guard tells them."""


class Row(NamedTuple):
    """A reading as it is held for a minute, in case that something happens."""

    time_s: float
    level: str
    names: tuple[str, ...]
    values: array[float]


class Rows:
    """Makes rows; those with the same signals share their names."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def row(self, time_s: float, readings: Mapping[str, object], level: str = "") -> Row:
        """What of the readings is a number."""
        found = {
            str(name): number for name, value in readings.items() if (number := as_number(value)) is not None
        }
        names = tuple(found)
        if names not in self._names:
            if len(self._names) > 100:  # a guard has a handful of sets
                self._names.clear()
            self._names[names] = tuple(map(sys.intern, names))
        return Row(time_s, sys.intern(level), self._names[names], array("d", found.values()))


def pack(rows: Sequence[Row]) -> bytes:
    """The rows as a block."""
    names = dict.fromkeys(name for row in rows for name in row.names)
    values = [dict(zip(row.names, row.values, strict=True)) for row in rows]
    columns = {name: [_short(each.get(name)) for each in values] for name in names}
    block = {
        "time_s": [round(row.time_s, 3) for row in rows],
        "level": [row.level for row in rows],
        "signals": columns,
    }
    return zlib.compress(json.dumps(block, separators=(",", ":")).encode(), _LEVEL)


def unpack(block: bytes) -> list[Reading]:
    """What was packed. Nothing of a block that makes no sense: the rest of the history is still good."""
    try:
        inflate = zlib.decompressobj()
        raw = json.loads(inflate.decompress(block, LARGEST_BLOCK_BYTES))
        times, levels, columns = raw["time_s"], raw["level"], raw["signals"]
        return [
            Reading(
                float(time_s),
                {name: float(column[at]) for name, column in columns.items() if column[at] is not None},
                str(levels[at]),
            )
            for at, time_s in enumerate(times)
        ]
    except (zlib.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def in_order(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """By time: those of the guard arrive later than what was read here meanwhile."""
    return tuple(sorted(readings, key=lambda reading: reading.time_s))


def _short(value: float | None) -> float | None:
    if value is None:
        return None
    return int(value) if value.is_integer() else round(value, _DIGITS)
