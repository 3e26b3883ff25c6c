"""What a metric is; the table of all of them is metrics_table.py."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One metric."""

    name: str
    """As it is exposed: of a counter with its _total, of an info with its _info."""
    type: str
    """counter, gauge, histogram or info."""
    unit: str
    """The ending of the name where that is a base unit, otherwise what is counted."""
    help: str
    labels: tuple[str, ...] = ()


def counter(name: str, unit: str, help_: str, *labels: str) -> Row:
    return Row(name, "counter", unit, help_, labels)


def gauge(name: str, unit: str, help_: str, *labels: str) -> Row:
    return Row(name, "gauge", unit, help_, labels)


def histogram(name: str, unit: str, help_: str, *labels: str) -> Row:
    return Row(name, "histogram", unit, help_, labels)


def info(name: str, unit: str, help_: str, *labels: str) -> Row:
    return Row(name, "info", unit, help_, labels)
