"""Points in time as people write and read them: in the zone of whoever asks."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import datetime

from oomguardd.units import parse_duration_s, quote

_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
_THIS_YEAR_S = 300 * 86400.0
"""For so long a day without its year is not mistaken for another."""


def parse_since(clock: Callable[[], float]) -> Callable[[str], float]:
    """A parser of "2d" (before now) and of "2026-11-23 14:30" (here): seconds since the epoch."""

    def parse(text: str) -> float:
        for form in _FORMATS:
            try:
                return datetime.strptime(text, form).timestamp()
            except (ValueError, OverflowError, OSError):  # noqa: PERF203  # one of them fits, or none
                continue
        try:
            return clock() - parse_duration_s(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'{quote(text)} is no time (write "2d", "90m", "2026-11-23" or "2026-11-23 14:30")'
            ) from None

    return parse


def day_words(time_s: float, now_s: float) -> str:
    """`Nov 23 14:30:12`; with the year instead of the seconds if it is long ago."""
    form = "%b %d %H:%M:%S" if abs(now_s - time_s) < _THIS_YEAR_S else "%Y-%m-%d %H:%M"
    return _said(time_s, form)


def time_words(time_s: float) -> str:
    """`2026-11-23 14:30:12.345 +0100`"""
    said = _said(time_s, "%Y-%m-%d %H:%M:%S")
    return f"{said}.{int(time_s * 1000) % 1000:03d}{_said(time_s, ' %z')}"


def _said(time_s: float, form: str) -> str:
    try:
        return time.strftime(form, time.localtime(time_s))
    except (ValueError, OverflowError, OSError):
        return "unknown time"
