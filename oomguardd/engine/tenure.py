"""Who has held their memory for long, and who is growing: what a few samples of each tell.

Rule of this file: memory that was seen in two samples has been held between them; what is new has been held
for no time at all. So a leak cannot pass for a database by growing between samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

SETTLE_S = 10.0
"""Time constant: of memory held for so long two thirds count as settled. A database that was loaded half a
minute ago is settled; what was taken in the last seconds is not."""
APART_S = 2.0
"""Growth is measured over at least so long: between nearer samples it is noise."""
KEPT = 512
"""So many processes are remembered; whoever holds least is forgotten first."""

Identity = tuple[int, int]


class Past(NamedTuple):
    """What is known of a process's memory."""

    settled_bytes: int
    growth_bytes_per_s: float


class _Seen:
    """The last sample, and two older ones to measure growth from."""

    __slots__ = ("at_s", "held", "older", "recent", "settled")

    def __init__(self, at_s: float, held: int, settled: float) -> None:
        self.at_s = at_s
        self.held = held
        self.settled = settled
        self.recent = (at_s, held)
        self.older: tuple[float, int] | None = None


class Tenure:
    """A bounded table of processes by identity."""

    def __init__(self) -> None:
        self._seen: dict[Identity, _Seen] = {}
        self._scan_s: float | None = None
        self._floor_bytes = 0

    def scanned(self, floor_bytes: int, now_s: float) -> None:
        """Everybody was looked at, and whoever is not in the table held at most `floor_bytes`."""
        self._scan_s, self._floor_bytes = now_s, max(0, floor_bytes)

    def sample(self, identity: Identity, held_bytes: int, age_s: float, now_s: float) -> Past:
        """Remembers what it holds now; what that says together with what was known."""
        seen = self._seen.get(identity)
        if seen is None:
            past = self.guess(held_bytes, age_s, now_s)
            self._forget_some()
            self._seen[identity] = _Seen(now_s, held_bytes, past.settled_bytes)
            return past
        both = min(seen.held, held_bytes)
        settled = min(seen.settled, float(held_bytes))
        if both > settled:
            settled += (both - settled) * _share(now_s - seen.at_s)
        seen.at_s, seen.held, seen.settled = now_s, held_bytes, settled
        return Past(int(settled), _growth(seen, held_bytes, now_s))

    def guess(self, held_bytes: int, age_s: float, now_s: float) -> Past:
        """Of a process that was never sampled: its memory came evenly over its life, but while it was on no
        list it held no more than anybody who was on none."""
        settled = held_bytes * _share(age_s / 2)
        if self._scan_s is None:
            return Past(int(settled), held_bytes / max(age_s, 0.1) if age_s < SETTLE_S else 0.0)
        since_s = now_s - self._scan_s
        if age_s <= since_s:  # born since
            return Past(int(settled), held_bytes / max(age_s, 0.1))
        growth = max(0, held_bytes - self._floor_bytes) / max(since_s, APART_S)
        return Past(int(min(settled, self._floor_bytes)), growth)

    def known(self) -> Iterable[Identity]:
        """Who is in the table."""
        return self._seen.keys()

    def _forget_some(self) -> None:
        if len(self._seen) >= KEPT:
            smallest = sorted(self._seen, key=lambda identity: self._seen[identity].held)[: KEPT // 4]
            for identity in smallest:
                self._floor_bytes = max(self._floor_bytes, self._seen[identity].held)
                del self._seen[identity]


def _share(time_s: float) -> float:
    """How much of what is held for so long counts as settled."""
    return 1 - math.exp(-max(0.0, time_s) / SETTLE_S)


def _growth(seen: _Seen, held_bytes: int, now_s: float) -> float:
    """Over the shortest time that is long enough."""
    from_s, from_bytes = seen.recent
    if now_s - from_s >= APART_S:
        seen.older, seen.recent = seen.recent, (now_s, held_bytes)
    elif seen.older is not None:
        from_s, from_bytes = seen.older
    return (held_bytes - from_bytes) / max(now_s - from_s, APART_S)
