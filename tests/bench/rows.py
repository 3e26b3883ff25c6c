"""The table."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One line: what was measured, its value, and what it is compared with."""

    what: str
    value: str
    ratio: str


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
