"""Counters as they were a while ago, in a ring of bounded size: rates over windows of our own are made of
these."""

from __future__ import annotations

from collections import deque

_SLOTS = 20
"""The kernel's own triggers look ten times in a window. Twice as often is exact enough, whatever our pace."""


class History:
    """The values of some counters over the last `span_s` seconds, at most every twentieth of that."""

    __slots__ = ("_least_s", "_ring", "_spacing_s", "_span_s")

    def __init__(self, span_s: float, least_s: float) -> None:
        self._span_s = span_s
        self._least_s = least_s
        self._spacing_s = span_s / _SLOTS
        self._ring: deque[tuple[float, tuple[float, ...]]] = deque(maxlen=_SLOTS + 3)

    def growth(self, now_s: float, values: tuple[float, ...]) -> tuple[float, tuple[float, ...]] | None:
        """Take the values in; how long the window is and how much each has grown within it, never less
        than 0.

        The window is `span_s` long, or as long as we have looked; None while that is less than `least_s`.
        """
        ring = self._ring
        if ring and now_s < ring[-1][0]:
            ring.clear()
        if not ring or now_s - ring[-1][0] >= self._spacing_s:
            ring.append((now_s, values))
        start_s = now_s - self._span_s
        while len(ring) > 1 and ring[1][0] <= start_s:
            ring.popleft()
        first_s, first = ring[0]
        observed_s = min(now_s - first_s, self._span_s)
        if observed_s <= 0 or observed_s < self._least_s:
            return None
        if first_s < start_s:
            # We slept across the start of the window: what happened between two looks is spread evenly.
            next_s, following = ring[1] if len(ring) > 1 else (now_s, values)
            share = (start_s - first_s) / (next_s - first_s)
            first = tuple(a + (b - a) * share for a, b in zip(first, following, strict=True))
        return observed_s, tuple(max(0.0, now - then) for now, then in zip(values, first, strict=True))

    def clear(self) -> None:
        """Forget everything."""
        self._ring.clear()
