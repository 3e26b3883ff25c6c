"""How long it is safe to sleep: no trigger that kills may be reached unseen.

Rule of this file: a bound is computed from how fast a signal can move at the worst, never from how it
moved lately: the leak that matters is the one that starts during the sleep.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from oomguardd.engine.triggers import holds, limit
from oomguardd.model import Condition, Level, Ramp, Sample, Signal, Trigger, Unit


class Speeds(NamedTuple):
    """The fastest that this machine could use up the rest, in bytes per second."""

    fill: float
    swap: float


def time_to_hold(c: Condition, signal: Signal, sample: Sample, speeds: Speeds) -> float:
    """Seconds before the condition could hold: 0 if it does, infinite if its signal is not there.

    0 also where nothing limits it: memory that cannot be read at this moment may be at its end, and a rate
    goes from nothing to any number with one burst.
    """
    if holds(c, sample, {signal.name: signal.total}):
        return 0.0
    value = sample.get(c.signal)
    bound = limit(c, sample, signal.total)
    if value is None or bound is None:
        if signal.ramp in (Ramp.FILL, Ramp.SWAP):
            return 0.0
        # a window that has not been watched for long enough yet
        return signal.window_s / 2 if signal.ramp is Ramp.WINDOW else math.inf
    distance = abs(value - bound)
    if signal.ramp is Ramp.FILL:
        return distance / speeds.fill
    if signal.ramp is Ramp.SWAP:
        return distance / speeds.swap
    if signal.ramp is Ramp.WINDOW and signal.unit is Unit.PERCENT:
        return distance / 100 * signal.window_s
    return 0.0


def time_to_act(
    triggers: tuple[Trigger, ...], signals: Mapping[str, Signal], sample: Sample, speeds: Speeds
) -> float:
    """Seconds before the first trigger that kills could hold; all conditions of one must hold together."""
    return min(
        (
            max(time_to_hold(c, signals[c.signal], sample, speeds) for c in t.conditions)
            for t in triggers
            if t.level >= Level.TERM
        ),
        default=math.inf,
    )


def sleep_s(level: Level, to_act_s: float, fastest_s: float, slowest_s: float, margin: float) -> float:
    """The next sleep: a fraction of the time in which a threshold could be reached, within the two ends."""
    if level >= Level.TERM:
        return fastest_s
    return min(max(to_act_s / margin, fastest_s), slowest_s)
