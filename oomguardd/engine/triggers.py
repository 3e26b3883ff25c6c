"""When: which triggers hold, and the level they order.

Rule of this file: a condition whose signal could not be read never holds (no kill on a guess), except
swap on a machine that has none, which cannot help and is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from oomguardd.model import Condition, Level, Sample, Trigger

Since = Mapping[str, float]
"""Trigger name -> the moment (monotonic) from which all of its conditions have held without a break."""


class Assessment(NamedTuple):
    """What the sample means."""

    level: Level
    holding: tuple[Trigger, ...]
    """Those that order something now, worst first."""
    since: Since
    """To be handed to the next assessment."""


def limit(c: Condition, sample: Sample, total: str) -> float | None:
    """The condition's bound in its signal's own unit; None if its total could not be read."""
    if not c.relative:
        return c.bound
    whole = sample.get(total)
    return None if whole is None else whole * c.bound / 100


def holds(c: Condition, sample: Sample, totals: Mapping[str, str]) -> bool:
    """Whether the condition is true of this sample. `totals`: signal -> the one its percentages refer to."""
    if c.signal == "swap_free" and c.below and sample.get("swap_total") == 0:
        return True
    value = sample.get(c.signal)
    bound = limit(c, sample, totals.get(c.signal, ""))
    if value is None or bound is None:
        return False
    return value < bound if c.below else value > bound


def assess(
    triggers: tuple[Trigger, ...], sample: Sample, totals: Mapping[str, str], since: Since, now_s: float
) -> Assessment:
    """The level of this sample: that of the worst trigger whose conditions have held for its `for_s`."""
    started: dict[str, float] = {}
    holding: list[Trigger] = []
    for t in triggers:
        if not all(holds(c, sample, totals) for c in t.conditions):
            continue
        started[t.name] = since.get(t.name, now_s)
        if now_s - started[t.name] >= t.for_s:
            holding.append(t)
    holding.sort(key=lambda t: t.level, reverse=True)
    return Assessment(holding[0].level if holding else Level.CALM, tuple(holding), started)
