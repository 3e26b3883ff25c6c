"""What several verbs take from the command line, and how it is read."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from oomguardd.units import format_duration, parse_duration_s

ALL = 1 << 30
"""No limit to how many are shown."""


def count(text: str) -> int:
    """How many are shown: "20" or "all"."""
    if text.lower() == "all":
        return ALL
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0):
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is no number from 1 on (write 20, or all)')
    return int(text[:9])


def pid(text: str) -> int:
    """The number of a process."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:10]) < 1 << 31 and len(text) <= 10):
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is no process id (write a number such as 4711)')
    return int(text)


def seconds(least_s: float, most_s: float) -> Callable[[str], float]:
    """A parser of a time: "2", "1.5s", "200ms", "10m"."""

    def parse(text: str) -> float:
        try:
            value = parse_duration_s(f"{text}s" if text[-1:].isdecimal() else text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if not least_s <= value <= most_s:
            low, high = format_duration(least_s), format_duration(most_s)
            raise argparse.ArgumentTypeError(
                f'"{text}" is out of range (write something from {low} to {high})'
            )
        return value

    return parse
