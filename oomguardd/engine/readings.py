"""Readings and conditions as words: `mem_available 8.7% < 10%`."""

from __future__ import annotations

from collections.abc import Mapping

from oomguardd.engine.words import digits, percent, safe, size
from oomguardd.model import Signal, Unit

Signals = Mapping[str, Signal]
"""The signals that are known, by name. One that is not is shown as a plain number."""

Readings = Mapping[str, float]

_PLAIN_NAMES = {"mem": "memory", "psi": "pressure"}
_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def plain(name: str) -> str:
    """The signal's name for a sentence: `mem_available` is `memory available`."""
    return " ".join(_PLAIN_NAMES.get(word, word) for word in name.split("_"))


def value_words(name: str, value: float | None, signals: Signals) -> str:
    """The value with its unit."""
    signal = signals.get(name)
    if value is None or signal is None:
        return digits(value)
    if signal.unit is Unit.BYTES:
        return size(value)
    if signal.unit is Unit.BYTES_PER_S:
        return f"{size(value)}/s"
    if signal.unit is Unit.PERCENT:
        return percent(value)
    return f"{digits(value)}/s" if signal.unit is Unit.PER_S else digits(value)


def share_pct(name: str, readings: Readings, signals: Signals) -> float | None:
    """The reading in percent of its signal's total; None without one, or when that is not above 0."""
    signal = signals.get(name)
    value, total = readings.get(name), readings.get(signal.total) if signal else None
    return 100 * value / total if value is not None and total is not None and total > 0 else None


def reading_words(name: str, readings: Readings, signals: Signals) -> str:
    """`mem_available 812 MiB (8.7%)`."""
    share = share_pct(name, readings, signals)
    shown = f"{name} {value_words(name, readings.get(name), signals)}"
    return shown if share is None else f"{shown} ({percent(share)})"


def all_readings(readings: Readings, signals: Signals) -> str:
    return ", ".join(reading_words(name, readings, signals) for name in readings) or "none"


def condition_words(text: object, readings: Readings, signals: Signals, in_prose: bool) -> str:
    """A condition with the reading it was held against: `mem_available 8.7% < 10%`.

    `text` is as the administrator wrote it, with the signal's name in front: `mem_available <10%`,
    with or without the quotes and the `=` of the file. What reads otherwise is given back as it is.
    """
    whole = safe(text)
    bare = whole.replace('"', "").replace("=", " ").strip()
    length = next((at for at, char in enumerate(bare) if char not in _NAME_CHARS), len(bare))
    name, bound = bare[:length], bare[length:].strip()
    if not name or bound[:1] not in {"<", ">"}:
        return whole
    said = plain(name) if in_prose else name
    return f"{said} {_held(name, bound, readings, signals)} {bound[0]} {bound[1:].strip()}"


def _held(name: str, bound: str, readings: Readings, signals: Signals) -> str:
    signal = signals.get(name)
    if not bound.endswith("%") or signal is None or not signal.total:
        return value_words(name, readings.get(name), signals)
    if readings.get(signal.total) == 0:
        return "0% (there is none)"
    return percent(share_pct(name, readings, signals))
