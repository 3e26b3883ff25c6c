"""How a rule compares numbers and ages: `nice = ">=10"`, `oom_score_adj = "-20..-1"`, `age = "<30s"`."""

from __future__ import annotations

from collections.abc import Callable

from oomguardd.settings import type_name
from oomguardd.units import parse_duration_s, parse_int, quote

LIMITS = {"nice": (-20, 19), "oom_score_adj": (-1000, 1000)}
"""The least and the most that the kernel allows."""

_SIGNS = (">=", "<=", ">", "<")
_RANGE_EXAMPLE = 'write it like ">=10", "<0", 5 or "-20..-1"'
_AGE_EXAMPLE = 'write it like ">1h", "<30s" or "10s..5m"'

Bounds = tuple[float | None, float | None]
"""The least and the most that match, both included; None where there is none."""


def parse_range(key: str, raw: object) -> Bounds:
    """Of whole numbers. `key`: whose, because of its limits."""
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise ValueError(f"{type_name(raw)} is not a comparison ({_RANGE_EXAMPLE})")
    if isinstance(raw, int):
        low: float | None = raw
        high: float | None = raw
    else:
        low, high = _parse_bounds(raw, _parse_whole, step=1, example=_RANGE_EXAMPLE)
    least, most = LIMITS.get(key, (low, high))
    if (low is not None and most is not None and low > most) or (
        high is not None and least is not None and high < least
    ):
        raise ValueError(f"can never hold: {key} goes from {least} to {most} ({_RANGE_EXAMPLE})")
    return low, high


def parse_age(raw: object) -> Bounds:
    """In s."""
    if not isinstance(raw, str):
        raise ValueError(f"{type_name(raw)} is not a comparison ({_AGE_EXAMPLE})")
    low, high = _parse_bounds(raw, parse_duration_s, step=0, example=_AGE_EXAMPLE)
    if low == high:
        raise ValueError(f"{quote(raw)} is a single moment ({_AGE_EXAMPLE})")
    if high is not None and high <= 0:
        raise ValueError(f"{quote(raw)} can never hold ({_AGE_EXAMPLE})")
    return low, high


def _parse_bounds(text: str, parse: Callable[[str], float], step: int, example: str) -> Bounds:
    """`step`: between a number and the next one; 0 if there are always more between them."""
    stripped = text.strip()
    sign = next((sign for sign in _SIGNS if stripped.startswith(sign)), "")
    if sign:
        bound = parse(stripped[len(sign) :].strip())
        if sign[0] == ">":
            return bound + (step if sign == ">" else 0), None
        return None, bound - (step if sign == "<" else 0)
    one, dots, two = stripped.partition("..")
    if not dots:
        return (same := parse(one)), same
    if not one.strip() or not two.strip():
        raise ValueError(f"{quote(text)} has one end only ({example})")
    low, high = parse(one.strip()), parse(two.strip())
    if low > high:
        raise ValueError(f"{quote(text)} is empty (write the smaller number first)")
    return low, high


def _parse_whole(text: str) -> int:
    try:
        return parse_int(text)
    except ValueError:
        raise ValueError(f"{quote(text)} is not a whole number ({_RANGE_EXAMPLE})") from None
