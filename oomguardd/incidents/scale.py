"""Round numbers for axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from oomguardd.engine.words import size

_TIME_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600, 6 * 3600, 86400)


class Axis(NamedTuple):
    """From 0 upwards."""

    top: float
    ticks: tuple[float, ...]
    label: Callable[[float], str]


def byte_axis(largest: float) -> Axis:
    """Three or four steps, each a power of two: 256 MiB, 512 MiB, 1 GiB have short labels."""
    step = 2.0 ** math.ceil(math.log2(max(largest, 4.0) / 4) - 1e-9)
    steps = max(1, math.ceil(largest / step - 1e-9))
    return Axis(steps * step, tuple(step * at for at in range(steps + 1)), size)


def percent_axis() -> Axis:
    """All of it: a pressure of 40 % looks like 40 %."""
    return Axis(100.0, (0.0, 50.0, 100.0), lambda value: f"{value:.0f} %")


def time_ticks(from_s: float, to_s: float, most: int = 6) -> tuple[float, ...]:
    """Round moments between the two, 0 among them if it lies there."""
    span = max(to_s - from_s, 1e-3)
    step = next((s for s in _TIME_STEPS_S if span / s <= most - 0.4), _TIME_STEPS_S[-1])
    step = max(step, span / 50)
    first = math.ceil(from_s / step - 1e-9)
    return tuple(at * step for at in range(first, math.floor(to_s / step + 1e-9) + 1))
